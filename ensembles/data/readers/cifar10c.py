"""CIFAR-10-C: CIFAR-10's test images, corrupted in one way at one of five severities."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Num

from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.raw import Raw
from widesym.ensembles.data.readers.files import (
    FilePath,
    existing,
    explaining_read_errors,
    labelled_images,
    labels_of,
)
from widesym.models.checks import check_positive, check_seed

SEVERITIES = 5
LABELS = "labels.npy"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


@dataclass(frozen=True)
class Cifar10C:
    """One corruption of CIFAR-10-C at one severity (Hendrycks & Dietterich 2019, arXiv:1903.12261;
    doi:10.5281/zenodo.2535967): of the file `corruption`.npy in `directory`, in which the test images stand five times,
    from severity 1 to 5, with their labels in labels.npy. There is also such a layout of CIFAR-100-C, whose class names
    must be given.

    Only images of this severity are read. Loads float32 images [sample, 32, 32, 3] in one piece, a part of which is
    held out, normalised (`Raw.splits` says how, and what `train`, `test` and `seed` draw). To probe networks that were
    trained on clean images, it is an evaluation set (`ood`). Loading raises DataError for files that are missing,
    damaged or do not hold `images` images at each severity, and labels without a class; making one raises ValueError
    for other severities than 1 to 5, and numbers of images below 1.
    """

    directory: FilePath
    corruption: str
    severity: int = 3
    classes: tuple[str, ...] = CLASSES
    images: int = 10_000
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "Cifar10C: seed")
        object.__setattr__(self, "directory", str(self.directory))
        object.__setattr__(self, "classes", tuple(self.classes))
        check_positive("Cifar10C", "images", self.images)
        if type(self.severity) is not int or not 1 <= self.severity <= SEVERITIES:
            raise ValueError(
                f"Cifar10C: severity is {self.severity!r}; it must be a whole number from 1 to {SEVERITIES}"
            )

    def load(self) -> Splits:
        """A random split of the images of this severity."""
        directory = Path(self.directory)
        images, labels = (existing(directory, name) for name in (f"{self.corruption}.npy", LABELS))
        part = slice((self.severity - 1) * self.images, self.severity * self.images)
        pixels = self._mapped(images)
        if pixels.shape[1:] != (32, 32, 3) or pixels.dtype != np.uint8:
            raise DataError(
                f"{images}: {pixels.dtype} array of shape {pixels.shape}; expected bytes [sample, 32, 32, 3]"
            )
        numbers = labels_of(str(labels), self._mapped(labels)[part])
        split = labelled_images(np.array(pixels[part]), numbers, self.classes, str(images), str(labels))
        provenance = f"{images} (CIFAR-10-C, {self.corruption} at severity {self.severity})"
        raw = Raw(str(images), split, None, provenance, self.classes)
        return raw.splits(self.train, self.test, self.seed, self.stratified)

    def _mapped(self, path: Path) -> Num[np.ndarray, "sample *axis"]:
        """The array of a file, of which nothing is in memory yet; raises DataError for one of another length."""
        with explaining_read_errors(path, "read as .npy file"):
            array = np.load(path, mmap_mode="r", allow_pickle=False)
            if not isinstance(array, np.ndarray):
                raise DataError(f"{path} is no .npy file of one array")
        expected = SEVERITIES * self.images
        if array.ndim < 1 or len(array) != expected:
            raise DataError(
                f"{path}: array of shape {array.shape}; {self.images} images at each of {SEVERITIES} severities are "
                f"{expected}"
            )
        return array
