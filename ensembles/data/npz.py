"""Pictures in one .npz file, as `numpy.savez` or MedMNIST leave them."""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int, Num

from ensembles.data.dataset import DataError, Splits
from ensembles.data.files import (
    FilePath,
    Pictures,
    check_split,
    check_whole,
    class_names,
    existing,
    explained,
    normalised,
)

LAYOUTS = (("images", "labels"), ("train_images", "train_labels", "test_images", "test_labels"))


@dataclass(frozen=True)
class Npz:
    """Arrays `images` [sample, row, column] or [sample, row, column, channel] and `labels` [sample] or [sample, 1] of
    one .npz file, of which `test_fraction`, drawn by `seed`, is the test set; or, with a split of its own, MedMNIST's
    layout (arXiv:2110.14795; PathMNIST is NCT-CRC-HE-100K at 28×28 pixels): `train_images`, `train_labels`,
    `test_images`, `test_labels`. Its `val_images` and `val_labels` belong to neither set and are left out.

    Loads float32 images [sample, row, column, channel], shifted and scaled by mean and deviation of each channel over
    all training pixels, and labels into `classes`; without names given they are "0", "1", …, and each must occur.
    Loading raises DataError for a file that is missing, damaged or has other arrays, images that are not finite, or
    labels without a class; making one raises ValueError for a fraction outside (0, 1) or names that repeat.
    """

    path: FilePath
    test_fraction: float = 0.2
    seed: int = 0
    classes: tuple[str, ...] = ()

    def __post_init__(self):
        object.__setattr__(self, "path", str(self.path))
        object.__setattr__(self, "classes", class_names(self.classes))
        check_split(self.test_fraction, self.seed)

    def load(self) -> Splits:
        """The sets that the file has, or else a random split."""
        arrays = read_npz(existing(Path(self.path).parent, Path(self.path).name))
        labels = {key: labels_of(f"{self.path}[{key}]", arrays[key]) for key in arrays if key.endswith("labels")}
        classes = self.classes or numbered_classes(self.path, np.concatenate(list(labels.values())))
        parts = [
            Pictures(
                with_channel(arrays[images]), labels[key], classes, f"{self.path}[{images}]", f"{self.path}[{key}]"
            )
            for key, images in ((key, key.replace("labels", "images")) for key in labels)
        ]
        train, test = parts if len(parts) == 2 else parts[0].drawn_split(self.test_fraction, self.seed)
        return normalised(train, test, f"{self.path} (npz)")


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the file's layout; raises DataError where it has none or cannot be read."""
    if not zipfile.is_zipfile(path):
        raise DataError(f"{path} is no .npz file, or a part of one: it is not a whole zip archive")
    with explained(path, "read as .npz file"), np.load(path) as archive:
        for layout in LAYOUTS:
            if set(layout) <= set(archive.files):
                return {key: archive[key] for key in layout}
        expected = " or ".join(", ".join(layout) for layout in LAYOUTS)
        raise DataError(f"{path} has the arrays {', '.join(archive.files) or '(none)'}; expected {expected}")


def with_channel(images: Num[np.ndarray, "sample row column *channel"]) -> Num[np.ndarray, "sample row column channel"]:
    """Grey images [sample, row, column] with a channel axis, others as they are."""
    return images[..., None] if images.ndim == 3 else images


def labels_of(where: str, labels: Int[np.ndarray, "sample *one"]) -> Int[np.ndarray, " sample"]:
    """Labels [sample, 1], as MedMNIST has them, without their last axis; raises DataError for what are no labels."""
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    check_whole(where, labels)
    return labels


def numbered_classes(path: FilePath, labels: Int[np.ndarray, " sample"]) -> tuple[str, ...]:
    """The labels themselves as class names; raises DataError where they leave a number out, as damaged ones do."""
    found = np.unique(labels)
    if not np.array_equal(found, np.arange(len(found))):
        listed = ", ".join(map(str, found[:12])) + (", …" if len(found) > 12 else "")
        raise DataError(
            f"{path}: the labels that occur are {listed}; give classes, or labels 0, 1, … with none left out"
        )
    return tuple(map(str, found))
