"""CIFAR-10 from the files of its binary version."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import (
    FilePath,
    class_names,
    existing,
    explaining_read_errors,
    labelled_images,
    read_bytes,
)
from widesym.models.checks import check_positive, check_seed

TRAIN = tuple(f"data_batch_{number}.bin" for number in range(1, 6))
SIDE = 32
PIXELS = 3 * SIDE * SIDE  # bytes
LABELS = 1  # bytes before them
MOST_TEXT = 2**16  # bytes of class names


@dataclass(frozen=True)
class CifarBinary:
    """CIFAR-10's binary version, unpacked in `directory`: data_batch_1.bin to data_batch_5.bin, test_batch.bin and the
    class names batches.meta.txt (https://www.cs.toronto.edu/~kriz/cifar.html).

    Loads float32 images [sample, 32, 32, 3], normalised (`Raw.splits` says how, and what `train`, `test` and `seed`
    draw). Loading raises DataError for files that are missing or do not hold `images_per_file` images (of CIFAR-10
    10,000), and labels without a class; making one raises ValueError for a number of images below 1.
    """

    directory: FilePath
    images_per_file: int = 10_000
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "CifarBinary: seed")
        object.__setattr__(self, "directory", str(self.directory))
        check_positive("CifarBinary", "images_per_file", self.images_per_file)

    def load(self) -> Splits:
        """The five batches as training set, the test batch as test set."""
        classes, provenance = self._classes(), f"{self.directory} (CIFAR-10, binary version)"
        train, test = (self._part(names, classes) for names in (TRAIN, ("test_batch.bin",)))
        return Raw(str(self.directory), train, test, provenance, classes).splits(
            self.train, self.test, self.seed, self.stratified
        )

    def _part(self, names: tuple[str, ...], classes: tuple[str, ...]) -> RawSplit:
        paths = [existing(Path(self.directory), name) for name in names]
        records = np.concatenate([read_records(path, self.images_per_file, LABELS) for path in paths])
        where = f"{self.directory}/{names[0]}" + (f" … {names[-1]}" if len(names) > 1 else "")
        return labelled_images(images_of(records[:, LABELS:]), records[:, 0], classes, where, where)

    def _classes(self) -> tuple[str, ...]:
        return read_names(existing(Path(self.directory), "batches.meta.txt"))


def read_records(path: Path, images: int, labels: int) -> UInt8[np.ndarray, "sample byte"]:
    """The records of a binary file: `labels` bytes of label, then the pixels. Raises DataError for another number."""
    record = labels + PIXELS
    content = read_bytes(path, images * record)
    if len(content) != (expected := images * record):
        raise DataError(f"{path} has {len(content)} bytes; {images} images of {record} bytes are {expected}")
    return np.frombuffer(content, np.uint8).reshape(images, record)


def images_of(pixels: UInt8[np.ndarray, "sample byte"]) -> UInt8[np.ndarray, "sample 32 32 3"]:
    """Images of which the red, the green and the blue plane stand one after the other, each row by row."""
    return np.ascontiguousarray(pixels.reshape(-1, 3, SIDE, SIDE).transpose(0, 2, 3, 1))


def read_names(path: Path) -> tuple[str, ...]:
    """The class names in a text, one a line; raises DataError for what are none."""
    with explaining_read_errors(path, "read as class names, one a line"):
        return class_names(read_bytes(path, MOST_TEXT).decode().split())
