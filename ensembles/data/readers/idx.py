"""MNIST and the sets that come in its format and under its names: MNIST, Fashion-MNIST, KMNIST."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Num

from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import (
    FilePath,
    check_may_hold,
    class_names,
    existing,
    labelled_images,
    reading,
)
from widesym.models.checks import check_seed

# The third byte of a file, and the type of the numbers after the header, the high byte first.
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class IdxFiles:
    """The four files of MNIST in `directory`, each plain or gzipped (.gz): train-images-idx3-ubyte,
    train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (http://yann.lecun.com/exdb/mnist), or with
    a dot for the last dash but one, train-images.idx3-ubyte, as they are called once unpacked.

    Loads float32 images [sample, row, column, 1], normalised (`Raw.splits` says how, and what `train`, `test` and
    `seed` draw), and labels into `classes`. Loading raises DataError for files that are missing, cut short, not in the
    format or do not fit each other, and labels without a class; making one raises ValueError for what are not distinct
    class names.
    """

    directory: FilePath
    classes: tuple[str, ...] = tuple("0123456789")
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "IdxFiles: seed")
        object.__setattr__(self, "directory", str(self.directory))
        object.__setattr__(self, "classes", class_names(self.classes))

    def load(self) -> Splits:
        """The training files as training set, the t10k files as test set."""
        where = str(self.directory)
        raw = Raw(where, self._part("train"), self._part("t10k"), f"{where} (idx files)", self.classes)
        return raw.splits(self.train, self.test, self.seed, self.stratified)

    def _part(self, prefix: str) -> RawSplit:
        images, labels = idx_files(Path(self.directory), prefix)
        pixels = read_idx(images, axes=3)[..., None]
        return labelled_images(pixels, read_idx(labels, axes=1), self.classes, str(images), str(labels))


def idx_files(directory: Path, prefix: str) -> tuple[Path, Path]:
    """The files of images and of labels whose names begin so; raises DataError where one is missing."""
    images, labels = (
        existing(
            directory, *(f"{prefix}-{kind}{separator}{end}" for separator in "-." for end in (suffix, f"{suffix}.gz"))
        )
        for kind, suffix in (("images", "idx3-ubyte"), ("labels", "idx1-ubyte"))
    )
    return images, labels


def read_idx(path: Path, axes: int) -> Num[np.ndarray, "..."]:
    """The array of an idx file, as it is stored: a 4-byte magic number (0, 0, type, number of axes), the length of each
    axis as 4-byte integer, the numbers.

    Raises DataError for another magic number, and for more or fewer bytes than the lengths say.
    """
    with reading(path, "read to its end") as file:
        magic, sizes = file.read(4), file.read(4 * axes)
        shape, dtype = shape_of(path, magic, sizes, axes)
        expected = len(magic) + len(sizes) + math.prod(shape) * dtype.itemsize
        check_may_hold(path, expected, f"its header, of shape {shape} and {dtype.itemsize} bytes a number, says")
        numbers = file.read(expected - len(magic) - len(sizes) + 1)
    if (found := len(magic) + len(sizes) + len(numbers)) != expected:
        more = "more than " if found > expected else ""
        unpacked = " unpacked" if path.suffix == ".gz" else ""
        raise DataError(
            f"{path} has {more}{min(found, expected)} bytes{unpacked}; its header, of shape {shape} and "
            f"{dtype.itemsize} bytes a number, says {expected}"
        )
    return np.frombuffer(numbers, dtype).reshape(shape)


def shape_of(path: Path, magic: bytes, sizes: bytes, axes: int) -> tuple[tuple[int, ...], np.dtype]:
    """The shape and the type of the numbers that a header says; raises DataError for what is none of that many axes."""
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or magic[3] != axes:
        types = "/".join(f"{code:02x}" for code in DTYPES)
        raise DataError(
            f"{path} begins with the bytes {magic.hex(' ') or '(none)'}; an idx file of {axes} axes begins with "
            f"00 00 {types} {axes:02x}, where 08 stands for numbers of one byte"
        )
    if len(sizes) < 4 * axes:
        raise DataError(
            f"{path} has {4 + len(sizes)} bytes; the header alone of an idx file of {axes} axes has {4 + 4 * axes}"
        )
    return struct.unpack(f">{axes}I", sizes), np.dtype(DTYPES[magic[2]])
