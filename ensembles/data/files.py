"""What the sources that read files share: labelled pictures as they were stored, their split, and errors for people."""

import contextlib
import gzip
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Int, Num

from ensembles.data.dataset import DataError, Dataset, Images, Splits

FilePath = str | Path
BLOCK = 1024  # images that are in memory in float64 at once


@dataclass(frozen=True)
class Pictures:
    """Images as their file holds them, each with a label into `classes`; `images_from` and `labels_from` are the file,
    and the place in it, that messages name.

    Raises DataError for images that are none, not numbers or not finite, and labels that are not one class for each.
    """

    images: Num[np.ndarray, "sample row column channel"]
    labels: Int[np.ndarray, " sample"]
    classes: tuple[str, ...]
    images_from: str
    labels_from: str

    def __post_init__(self):
        check_images(self.images_from, self.images)
        check_labels(self.labels_from, self.labels, len(self.images), self.classes)

    def __len__(self) -> int:
        return len(self.images)

    def taken(self, indices: Int[np.ndarray, " chosen"]) -> "Pictures":
        """Some of the pictures, with their labels."""
        return replace(self, images=self.images[indices], labels=self.labels[indices])

    def drawn_split(self, test_fraction: float, seed: int) -> tuple["Pictures", "Pictures"]:
        """Disjoint training and test pictures in random order; raises DataError where one of the two would be empty."""
        test = round(test_fraction * len(self))
        if not 1 <= test < len(self):
            raise DataError(
                f"{self.images_from}: test_fraction = {test_fraction:g} of {len(self)} images makes {test} test images "
                f"and {len(self) - test} training images; both must be at least 1"
            )
        order = np.random.default_rng(seed).permutation(len(self))
        return self.taken(order[test:]), self.taken(order[:test])


def normalised(train: Pictures, test: Pictures, provenance: str) -> Splits:
    """Both parts, float32, shifted and scaled so that each channel of the training set has mean 0 and deviation 1.

    Raises DataError for test images of another size.
    """
    if train.images.shape[1:] != test.images.shape[1:]:
        raise DataError(
            f"{test.images_from}: images of {size_of(test.images)}, but {train.images_from} has {size_of(train.images)}"
        )
    mean, deviation = np.transpose([moments(channel) for channel in np.moveaxis(train.images, -1, 0)])

    def part(name: str, pictures: Pictures) -> Dataset:
        inputs = np.empty(pictures.images.shape, np.float32)
        np.subtract(pictures.images, mean, out=inputs, casting="same_kind")  # float64, but buffer by buffer
        inputs /= deviation
        return Dataset(name, inputs, pictures.labels.astype(int), pictures.classes, provenance)

    return Splits(part("train", train), part("test", test))


def moments(pixels: Num[np.ndarray, "sample row column"]) -> tuple[float, float]:
    """Mean and deviation of one channel; the deviation of a constant one counts as 1."""
    mean = pixels.mean(dtype=np.float64)
    blocks = (pixels[start : start + BLOCK] for start in range(0, len(pixels), BLOCK))
    deviation = math.sqrt(sum(np.square(block - mean).sum() for block in blocks) / pixels.size)
    return mean, deviation if deviation > 1e-12 * abs(mean) else 1.0  # the mean even of equal floats is rounded


def size_of(images: Images) -> str:
    """Rows, columns and channels, for messages."""
    return "{}×{} pixels and {} channels".format(*images.shape[1:])


def check_images(where: str, images: Num[np.ndarray, "sample row column channel"]) -> None:
    """Raise DataError for what are no images, or have pixels that are not finite."""
    if images.ndim != 4 or not images.size or images.dtype.kind not in "uif":
        raise DataError(
            f"{where}: {images.dtype} array of shape {images.shape}; images must be numbers, [sample, row, column] or "
            "[sample, row, column, channel], and at least one"
        )
    if images.dtype.kind == "f" and not (finite := np.isfinite(images).all((1, 2, 3))).all():
        raise DataError(
            f"{where}: {(~finite).sum()} of {len(images)} images have pixels that are NaN or infinite, the first of "
            f"them image {finite.argmin()}"
        )


def check_labels(where: str, labels: Int[np.ndarray, " sample"], images: int, classes: tuple[str, ...]) -> None:
    """Raise DataError for labels that are not one class for each image."""
    check_whole(where, labels)
    if len(labels) != images:
        raise DataError(f"{where}: {len(labels)} labels for {images} images")
    outside = (labels < 0) | (labels >= len(classes))
    if outside.any():
        raise DataError(
            f"{where}: label {labels[outside.argmax()]} of image {outside.argmax()} is out of range; with "
            f"{len(classes)} classes labels run from 0 to {len(classes) - 1}"
        )


def check_whole(where: str, labels: Int[np.ndarray, " sample"]) -> None:
    """Raise DataError for labels that are not a list of whole numbers."""
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise DataError(
            f"{where}: {labels.dtype} array of shape {labels.shape}; labels must be one whole number for each image"
        )


def check_split(test_fraction: float, seed: int) -> None:
    """Raise ValueError for what is no part of a whole, or no seed."""
    if isinstance(test_fraction, bool) or not isinstance(test_fraction, int | float) or not 0 < test_fraction < 1:
        raise ValueError(f"test_fraction is {test_fraction!r}; it must be a number between 0 and 1, both excluded")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise ValueError(f"seed is {seed!r}; it must be a whole number, at least 0")


def class_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple; raises ValueError for what are not distinct names."""
    found = () if isinstance(names, str) else tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"classes are {names!r}; give a sequence of names")
    if repeated := sorted({name for name in found if found.count(name) > 1}):
        raise ValueError(f"classes name {', '.join(repeated)} more than once; names must differ")
    return found


def read_bytes(path: Path) -> bytes:
    """What a file holds, decompressed if its name ends in .gz; raises DataError where it cannot be read to its end."""
    with explained(path, "read to its end"), gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        return file.read()


@contextlib.contextmanager
def explained(where: FilePath, purpose: str) -> Iterator[None]:
    """Raise DataError, which names the file, for whatever goes wrong in reading it."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # decoders meet damage as OSError, EOFError, SyntaxError, zlib.error, struct.error, …
        reason = re.sub(r"\s+", " ", str(error)) or type(error).__name__
        raise DataError(f"{where} cannot be {purpose}; it may be damaged or cut short ({reason})") from None


def existing(directory: Path, *names: str) -> Path:
    """The first of these files that there is; raises DataError, saying what there is instead."""
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise DataError(f"{directory} has no file {' or '.join(names)}; {contents(directory)}")


def contents(directory: Path, most: int = 12) -> str:
    """What there is in a directory, for messages."""
    if not directory.is_dir():
        return "it is a file" if directory.exists() else "there is no such directory"
    names = sorted(entry.name for entry in directory.iterdir())
    listed = ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
    return f"it holds {listed}" if names else "it is empty"
