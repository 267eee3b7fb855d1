"""Pictures in one .npz file, as `numpy.savez` or MedMNIST leave them."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Num

from ensembles.data.dataset import DataError, Splits
from ensembles.data.files import (
    FilePath,
    class_names,
    existing,
    explained,
    labels_of,
    numbered_classes,
    pictures,
    with_channel,
)
from ensembles.data.raw import Raw
from models.checks import check_seed

StoredImages = Num[np.ndarray, "sample row column channel"]
Labels = Int[np.ndarray, " sample"]
LAYOUTS = (("",), ("train_", "test_"))  # what precedes "images" and "labels" in the names of arrays


@dataclass(frozen=True)
class Npz:
    """Arrays `images` [sample, row, column] or [sample, row, column, channel] and `labels` [sample] or [sample, 1] of
    one .npz file; or, with a test set of its own, MedMNIST's layout (arXiv:2110.14795; PathMNIST is NCT-CRC-HE-100K at
    28×28 pixels): `train_images`, `train_labels`, `test_images`, `test_labels`. Its `val_images` and `val_labels`
    belong to neither set and are left out.

    Loads float32 images [sample, row, column, channel], normalised (`Raw.splits` says how, and what `train`, `test` and
    `seed` draw), and labels into `classes`; without names given they are "0", "1", …, and each must occur. Loading
    raises DataError for a file that is missing, damaged or has other arrays, images that are not finite, or labels
    without a class; making one raises ValueError for names that repeat.
    """

    path: FilePath
    classes: tuple[str, ...] = ()
    train: int | None = None
    test: int | None = None
    seed: int = 0

    def __post_init__(self):
        check_seed(self.seed, "Npz: seed")
        object.__setattr__(self, "path", str(self.path))
        object.__setattr__(self, "classes", class_names(self.classes))

    def load(self) -> Splits:
        """The sets that the file has, or else a random split."""
        path = existing(Path(self.path).parent, Path(self.path).name)
        arrays = read_npz(path)
        classes = self.classes or numbered_classes(path, np.concatenate([labels for _, labels in arrays.values()]))
        train, *rest = (
            pictures(images, labels, classes, f"{path}[{prefix}images]", f"{path}[{prefix}labels]")
            for prefix, (images, labels) in arrays.items()
        )
        raw = Raw(str(path), train, rest[0] if rest else None, f"{path} (npz)", classes)
        return raw.splits(self.train, self.test, self.seed)


def read_npz(path: Path) -> dict[str, tuple[StoredImages, Labels]]:
    """Images and labels by what precedes their names; raises DataError where there are none or they cannot be read."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is no .npz file, or a part of one: it is not a whole zip archive")
    with explained(path, "read as .npz file"), np.load(path) as archive:
        for layout in LAYOUTS:
            if set(names_in(layout)) <= set(archive.files):
                return {
                    prefix: (
                        with_channel(archive[f"{prefix}images"]),
                        labels_of(f"{path}[{prefix}labels]", archive[f"{prefix}labels"]),
                    )
                    for prefix in layout
                }
        expected = " or ".join(", ".join(names_in(layout)) for layout in LAYOUTS)
        raise DataError(f"{path} has the arrays {', '.join(archive.files) or '(none)'}; expected {expected}")


def names_in(layout: tuple[str, ...]) -> list[str]:
    """The arrays of a layout."""
    return [f"{prefix}{kind}" for prefix in layout for kind in ("images", "labels")]
