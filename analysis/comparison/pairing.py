"""Which members of two ensembles are held against each other, and whether they belong together in pairs.

Ensembles that share their members' randomness are compared by the differences of members of one number, whose mean's
expectation is held against zero (`widesym.analysis.estimators.differences`). Members that only one of them has are left
out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from widesym.analysis.comparison.ensembles import Compared, Numbers
from widesym.analysis.estimators.differences import Differences, LogitsPart
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import FEWEST


class Pair(NamedTuple):
    """What is read to hold an ensemble against the reference, of how many pairs of members, and how many are left out.

    Where the two are independent `pairs` is 0. Else `ours` are the differences, and `theirs`, which are zero, None.
    """

    ours: Compared
    theirs: Compared | None
    pairs: int = 0
    left_out: int = 0  # of the ensemble
    reference_left_out: int = 0

    @property
    def kind(self) -> str:
        """How the two ensembles are compared, in tables: "paired" or "independent"."""
        return "paired" if self.pairs else "independent"


def pair_of(ensemble: Compared, reference: Compared) -> Pair:
    """How the members of two ensembles are held against each other.

    Of ensembles that share their randomness those of common numbers are paired, and the others left out. Where there
    are fewer than five pairs, and five or more of the larger ensemble have no partner, pairs are left out of that one
    instead, and the rest is independent.
    """
    if not ensemble.shares or ensemble.shares != reference.shares:
        return Pair(ensemble, reference)
    common = np.intersect1d(ensemble.numbers, reference.numbers)
    pairs, members, others = len(common), ensemble.members, reference.members
    if not pairs:
        return Pair(ensemble, reference)
    if pairs < FEWEST <= max(members, others) - pairs:
        if members > others:
            return Pair(_without(ensemble, common), reference, left_out=pairs)
        return Pair(ensemble, _without(reference, common), reference_left_out=pairs)
    return Pair(_differences(ensemble, reference, common), None, pairs, members - pairs, others - pairs)


def numbers_sharing(ensembles: Sequence[Compared]) -> Mapping[str, tuple[str, Numbers]]:
    """By ensemble: which is the first of its series that has its randomness, and the numbers that these have together.

    Among these numbers signs are drawn (`signs_among`), as what is said of a series combines its ensembles.
    """
    groups: dict[tuple[str, ...], list[Compared]] = {}
    for each in ensembles:
        is_alone = not each.series or not each.shares
        groups.setdefault((each.name,) if is_alone else (each.series, each.shares), []).append(each)
    return {
        each.name: (group[0].name, np.unique(np.concatenate([one.numbers for one in group])))
        for group in groups.values()
        for each in group
    }


def _without(ensemble: Compared, numbers: Numbers) -> Compared:
    rest = ~np.isin(ensemble.numbers, numbers)
    logits = EnsembleLogits(ensemble.logits.array, ensemble.logits.numbers[rest])
    training = {name: values[:, rest] for name, values in ensemble.training.items()}
    return replace(ensemble, logits=logits, member_numbers=ensemble.numbers[rest], training=training)


def _differences(ensemble: Compared, reference: Compared, numbers: Numbers) -> Compared:
    """The differences as an ensemble of the first's name, on the common sets alone, one after the other."""
    ends = np.cumsum([place.stop - place.start for place in ensemble.sets.values()]).tolist()
    sets = {name: slice(*part) for name, part in zip(ensemble.sets, zip([0, *ends], ends, strict=False), strict=True)}
    parts = [
        LogitsPart(
            each.logits.array,
            each.indices,
            each.logits.numbers[_places(each.numbers, numbers)],
            [each.sets[name] for name in sets],
        )
        for each in (ensemble, reference)
    ]
    times = tuple(range(len(ensemble.indices)))
    return Compared(ensemble.name, EnsembleLogits(Differences(*parts)), times, sets, member_numbers=numbers)


def _places(numbers: Numbers, wanted: Numbers) -> np.ndarray:
    order = np.argsort(numbers)
    return order[np.searchsorted(numbers, wanted, sorter=order)]
