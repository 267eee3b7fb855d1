"""Rotated MNIST and its kin, as text in .amat files."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from widesym.ensembles.data.cache import FromFiles
from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import (
    FilePath,
    contents,
    existing,
    explaining_read_errors,
    labelled_images,
    reading,
    state_of,
)
from widesym.models.checks import check_positive, check_seed

SIDE = 28
LONGEST = 2**16  # bytes of a line; 785 numbers take some 12,000
CLASSES = tuple("0123456789")


class Variation(NamedTuple):
    """The two files of a set, and whether they have images column by column."""

    train: str
    test: str
    by_columns: bool


# That three of them lie on their side is known from who has looked at them: github.com/jaberg/skdata says so in
# skdata/larochelle_etal_2007/dataset.py. Rotated digits would only be mirrored, which nobody sees at once.
VARIATIONS = {
    "rotated": Variation(
        "mnist_all_rotation_normalized_float_train_valid.amat", "mnist_all_rotation_normalized_float_test.amat", False
    ),
    "rotated on images": Variation(
        "mnist_all_background_images_rotation_normalized_train_valid.amat",
        "mnist_all_background_images_rotation_normalized_test.amat",
        False,
    ),
    "upright": Variation("mnist_train.amat", "mnist_test.amat", False),
    "on images": Variation("mnist_background_images_train.amat", "mnist_background_images_test.amat", True),
    "on noise": Variation("mnist_background_random_train.amat", "mnist_background_random_test.amat", True),
}


@dataclass(frozen=True)
class Amat(FromFiles):
    """Rotated MNIST (Larochelle et al. 2007, doi:10.1145/1273496.1273556), from the two files in `directory`,
    mnist_all_rotation_normalized_float_train_valid.amat and …_test.amat, or another of the MNIST variations
    (`VARIATIONS`): text, with the 784 pixels of an image, row by row, and its label on each line. Those with
    backgrounds of images or noise have them column by column, and are turned upright.

    What is read is cached, and made anew when a file has changed. Loads float32 images [sample, 28, 28, 1], normalised
    (`Raw.splits` says how, and what `train`, `test` and `seed` draw). Loading raises DataError for a folder with the
    files of none or of two variations, and files that are cut short, damaged, or do not hold `images` images to train
    and to test; making one raises ValueError for numbers of images below 1.
    """

    directory: FilePath
    images: tuple[int, int] = (12_000, 50_000)
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "Amat: seed")
        object.__setattr__(self, "directory", str(self.directory))
        if not isinstance(self.images, tuple | list) or len(self.images) != 2:
            raise ValueError(f"Amat: images is {self.images!r}; it must be two numbers, to train and to test")
        for number in self.images:
            check_positive("Amat", "images", number)
        object.__setattr__(self, "images", tuple(self.images))

    def load(self) -> Splits:
        """The two files as training and test set, from the cache where that has them."""
        return self.raw().splits(self.train, self.test, self.seed, self.stratified)

    @property
    def _title(self) -> str:
        return Path(self.directory).resolve().name

    @property
    def _description(self) -> dict[str, Any]:
        folder = Path(self.directory).resolve()
        _, variation = variation_in(folder)
        state = state_of(existing(folder, name) for name in (variation.train, variation.test))
        return {"source": "amat", "path": str(folder), "images": list(self.images), "files": state}

    def _read(self) -> Raw:
        folder = Path(self.directory).resolve()
        name, variation = variation_in(folder)
        train, test = (
            read_amat(existing(folder, file), images, variation.by_columns)
            for file, images in zip((variation.train, variation.test), self.images, strict=True)
        )
        return Raw(str(folder), train, test, f"{folder} (MNIST {name}, amat files)", CLASSES)


def variation_in(folder: Path) -> tuple[str, Variation]:
    """The variation whose training file a folder has; raises DataError where there is none, and where there are two."""
    found = [name for name, variation in VARIATIONS.items() if (folder / variation.train).is_file()]
    if len(found) != 1:
        held = f"it has those of digits {' and '.join(found)}" if found else contents(folder)
        names = ", ".join(variation.train for variation in VARIATIONS.values())
        raise DataError(
            f"{folder} must have the files of one variation of MNIST, beginning with one of {names}; {held}"
        )
    return found[0], VARIATIONS[found[0]]


def read_amat(path: Path, images: int, by_columns: bool) -> RawSplit:
    """The images of a file, and their labels; raises DataError for more or fewer than `images`, and what are none."""
    check_large_enough(path, images)
    pixels, labels = np.empty((images, SIDE * SIDE), np.float32), np.empty(images)
    found = 0
    for row in rows_of(path):
        if found == images:
            raise DataError(f"{path} has more than {images} lines; expected one for each of {images} images")
        pixels[found], labels[found] = row[:-1], row[-1]
        found += 1
    if found < images:
        raise DataError(f"{path} has {found} lines; expected one for each of {images} images")
    if (odd := labels != labels.astype(int)).any():
        raise DataError(
            f"{path}, line {odd.argmax() + 1}: the label is {labels[odd.argmax()]}; it must be a whole number"
        )
    axes = (0, 2, 1) if by_columns else (0, 1, 2)
    upright = np.ascontiguousarray(pixels.reshape(images, SIDE, SIDE).transpose(axes))[..., None]
    return labelled_images(upright, labels.astype(np.int64), CLASSES, str(path), str(path))


def check_large_enough(path: Path, images: int) -> None:
    """Raise DataError for a file that is too small to have two bytes for each number, before memory is taken."""
    with explaining_read_errors(path, "read"):
        size = path.stat().st_size
    if size < (least := 2 * images * (SIDE * SIDE + 1)):
        raise DataError(f"{path} has {size} bytes; the numbers of {images} images take {least} at least")


def rows_of(path: Path) -> Iterator[Float[np.ndarray, " number"]]:
    """The numbers of each line that has some; raises DataError for lines that are not an image and its label."""
    with reading(path, "read as text") as file:
        line_number = 0
        while line := file.readline(LONGEST):
            line_number += 1
            where = f"{path}, line {line_number}"
            if not (words := line.split()):
                continue
            if len(words) != SIDE * SIDE + 1:
                raise DataError(f"{where} has {len(words)} numbers; expected {SIDE * SIDE} pixels and a label")
            with explaining_read_errors(where, "read as numbers"):
                row = np.array(words).astype(np.float64)
            if not np.isfinite(row).all():
                raise DataError(f"{where} has numbers that are NaN or infinite")
            yield row
