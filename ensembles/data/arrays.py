"""Pictures that are arrays already."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Num

from ensembles.data.files import class_names, labels_of, numbered_classes, pictures, with_channel
from ensembles.data.raw import Raw

Labelled = tuple[Num[np.ndarray, "sample row column *channel"], Int[np.ndarray, " sample"]]


def from_arrays(
    train: Labelled, test: Labelled | None = None, classes: Sequence[str] = (), name: str = "arrays"
) -> Raw:
    """Images [sample, row, column] or [sample, row, column, channel] with their labels into `classes` (without names
    given "0", "1", …, of which each must occur), and a test set if there is one.

    `from_arrays((images, labels)).splits(train=100, test=50)` draws, splits and normalises them. Raises DataError for
    images that are none, not finite or of two sizes, and labels without a class, ValueError for names that repeat.
    """
    given = {"train": train} | ({} if test is None else {"test": test})
    arrays = {
        part: (with_channel(np.asarray(images)), labels_of(f"{name}[{part} labels]", np.asarray(labels)))
        for part, (images, labels) in given.items()
    }
    names = class_names(classes) or numbered_classes(name, np.concatenate([labels for _, labels in arrays.values()]))
    parts = {
        part: pictures(images, labels, names, f"{name}[{part} images]", f"{name}[{part} labels]")
        for part, (images, labels) in arrays.items()
    }
    return Raw(name, parts["train"], parts.get("test"), f"{name}, passed in Python", names)
