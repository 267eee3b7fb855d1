"""Pictures in one .npz file, as `numpy.savez` or MedMNIST leave them."""

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Num

from widesym.ensembles.data.archives import read_array
from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.layouts import Layout, channels_last, check_layout
from widesym.ensembles.data.raw import Raw
from widesym.ensembles.data.readers.files import (
    FilePath,
    class_names,
    existing,
    explaining_read_errors,
    labelled_images,
    labels_of,
    numbered_classes,
)
from widesym.models.checks import check_seed

StoredImages = Num[np.ndarray, "sample row column channel"]
Labels = Int[np.ndarray, " sample"]


@dataclass(frozen=True)
class Naming:
    """The names of images and labels, of a set in one piece or of both parts, and of what is left out beside them."""

    pairs: tuple[tuple[str, str], ...]
    left_out: frozenset[str] = frozenset()

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all arrays that are read."""
        return tuple(name for pair in self.pairs for name in pair)


NAMINGS = (
    Naming((("images", "labels"),)),
    Naming((("train_images", "train_labels"), ("test_images", "test_labels")), frozenset(("val_images", "val_labels"))),
    Naming((("x_train", "y_train"), ("x_test", "y_test"))),
)
OF_DATA = re.compile(r"(.*_)?(images|labels)|[xy]_.*")  # names that would be dropped without a word


@dataclass(frozen=True)
class Npz:
    """Arrays `images` [sample, row, column] or [sample, row, column, channel] and `labels` [sample] or [sample, 1] of
    one .npz file; or, with a test set of its own, MedMNIST's layout (arXiv:2110.14795; PathMNIST is NCT-CRC-HE-100K at
    28×28 pixels): `train_images`, `train_labels`, `test_images`, `test_labels`. Its `val_images` and `val_labels`
    belong to neither set and are left out. Or keras' layout, in which its mnist.npz is: `x_train`, `y_train`, `x_test`,
    `y_test`. `layout` says how axes stand where their lengths do not tell (`channels_last`): "NHW", "NHWC", or "NCHW"
    where channels come first.

    Loads float32 images [sample, row, column, channel], normalised (`Raw.splits` says how, and what `train`, `test` and
    `seed` draw), and labels into `classes`; without names given they are "0", "1", …, and each must occur in
    training. Loading raises DataError for a file that is missing, damaged or has other arrays, images that are not
    finite, of a layout that may be another or on two scales, or labels without a class; making one raises ValueError
    for names that repeat and other layouts.
    """

    path: FilePath
    classes: tuple[str, ...] = ()
    train: int | None = None
    test: int | None = None
    seed: int = 0
    layout: Layout | None = None
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "Npz: seed")
        object.__setattr__(self, "path", str(self.path))
        object.__setattr__(self, "classes", class_names(self.classes))
        check_layout(self.layout)

    def load(self) -> Splits:
        """The sets that the file has, or else a random split."""
        path = existing(Path(self.path).parent, Path(self.path).name)
        naming, arrays = read_npz(path, self.layout)
        classes = self.classes or numbered_classes(path, arrays[0][1])
        train, *rest = (
            labelled_images(*pair, classes, f"{path}[{images}]", f"{path}[{labels}]")
            for pair, (images, labels) in zip(arrays, naming.pairs, strict=True)
        )
        raw = Raw(str(path), train, rest[0] if rest else None, f"{path} (npz)", classes)
        return raw.splits(self.train, self.test, self.seed, self.stratified)


def read_npz(path: Path, layout: Layout | None = None) -> tuple[Naming, list[tuple[StoredImages, Labels]]]:
    """Images and labels of each part, and how they are named; raises DataError where there are none, more than these
    or they cannot be read.
    """
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is no .npz file, or a part of one: it is not a whole zip archive")
    with explaining_read_errors(path, "read as .npz file"), np.load(path) as archive:
        data = {name for name in archive.files if OF_DATA.fullmatch(name)}
        for naming in NAMINGS:
            if {*naming.names} <= data and data <= {*naming.names} | naming.left_out:
                return naming, [
                    (
                        channels_last(f"{path}[{images}]", read_array(path, archive, images), layout),
                        labels_of(f"{path}[{labels}]", read_array(path, archive, labels)),
                    )
                    for images, labels in naming.pairs
                ]
        expected = " or ".join(", ".join(naming.names) for naming in NAMINGS)
        raise DataError(f"{path} has the arrays {', '.join(archive.files) or '(none)'}; expected {expected}")
