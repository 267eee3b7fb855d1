"""Equal shares of classes, whichever number of samples is drawn."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from widesym.ensembles.data.dataset import DataError

Order = Int[np.ndarray, " sample"]


def in_turns(labels: Int[np.ndarray, " all"], order: Order) -> Order:
    """The samples of a random order with classes taking turns: the first of each class, then the second of each, …

    The first n have the same number of each class, or one more of some, which ones being random as the order is; until
    a class has no more.
    """
    mine = labels[order]
    by_class = np.argsort(mine, kind="stable")
    together = mine[by_class]
    places = np.empty_like(order)  # of each sample among those of its class
    places[by_class] = np.arange(len(order)) - np.searchsorted(together, together)
    return order[np.argsort(places, kind="stable")]


def check_equal_shares(where: str, labels: Int[np.ndarray, " chosen"], classes: Sequence[str]) -> None:
    """Raise DataError, which begins with `where`, where some class has too few samples for its share."""
    counts = np.bincount(labels, minlength=len(classes))
    if counts.max() > counts.min() + 1:
        share, fewest = len(labels) // len(classes), int(counts.argmin())
        raise DataError(
            f"{where}: {len(labels)} asked for in equal shares, which are {share} or more of each of {len(classes)} "
            f"classes, but of class {classes[fewest]!r} there are {counts[fewest]}; ask for fewer, or leave "
            "`stratified` out"
        )
