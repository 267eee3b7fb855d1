"""Pictures that are arrays already."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Num

from widesym.ensembles.data.layouts import Layout, channels_last, check_layout
from widesym.ensembles.data.raw import Raw
from widesym.ensembles.data.readers.files import class_names, labelled_images, labels_of, numbered_classes

Labelled = tuple[Num[np.ndarray, "sample row column *channel"], Int[np.ndarray, " sample"]]


def from_arrays(
    train: Labelled,
    test: Labelled | None = None,
    classes: Sequence[str] = (),
    name: str = "arrays",
    layout: Layout | None = None,
) -> Raw:
    """Images [sample, row, column] or [sample, row, column, channel] with their labels into `classes` (without names
    given "0", "1", …, of which each must occur in training), and a test set if there is one. `layout` says how the
    axes stand ("NHW", "NHWC" or "NCHW") where their lengths do not tell (`channels_last`).

    `from_arrays((images, labels)).splits(train=100, test=50)` draws, splits and normalises them. Raises DataError for
    images that are none, not finite, of a layout that may be another, of two sizes or two scales, and labels without a
    class, ValueError for names that repeat and other layouts.
    """
    check_layout(layout)
    given = {"train": train} | ({} if test is None else {"test": test})
    arrays = {
        part: (
            channels_last(f"{name}[{part} images]", np.asanyarray(images), layout),
            labels_of(f"{name}[{part} labels]", np.asarray(labels)),
        )
        for part, (images, labels) in given.items()
    }
    names = class_names(classes) or numbered_classes(name, arrays["train"][1])
    parts = {
        part: labelled_images(images, labels, names, f"{name}[{part} images]", f"{name}[{part} labels]")
        for part, (images, labels) in arrays.items()
    }
    return Raw(name, parts["train"], parts.get("test"), f"{name}, passed in Python", names)
