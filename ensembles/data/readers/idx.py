"""MNIST and the sets that come in its format: MNIST, Fashion-MNIST, KMNIST."""

import math
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Num

from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import FilePath, class_names, existing, labelled_images, read_bytes
from widesym.models.checks import check_seed

# The third byte of a file, and the type of the numbers after the header, the high byte first.
DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


@dataclass(frozen=True)
class IdxFiles:
    """The four files of MNIST in `directory`, each plain or gzipped (.gz): train-images-idx3-ubyte,
    train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte (http://yann.lecun.com/exdb/mnist).

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

    def __post_init__(self):
        check_seed(self.seed, "IdxFiles: seed")
        object.__setattr__(self, "directory", str(self.directory))
        object.__setattr__(self, "classes", class_names(self.classes))

    def load(self) -> Splits:
        """The training files as training set, the t10k files as test set."""
        where = str(self.directory)
        raw = Raw(where, self._part("train"), self._part("t10k"), f"{where} (idx files)", self.classes)
        return raw.splits(self.train, self.test, self.seed)

    def _part(self, prefix: str) -> RawSplit:
        directory = Path(self.directory)
        names = f"{prefix}-images-idx3-ubyte", f"{prefix}-labels-idx1-ubyte"
        images, labels = (existing(directory, name, f"{name}.gz") for name in names)
        pixels = read_idx(images, axes=3)[..., None]
        return labelled_images(pixels, read_idx(labels, axes=1), self.classes, str(images), str(labels))


def read_idx(path: Path, axes: int) -> Num[np.ndarray, "..."]:
    """The array of an idx file, as it is stored: a 4-byte magic number (0, 0, type, number of axes), the length of each
    axis as 4-byte integer, the numbers.

    Raises DataError for another magic number, and for more or fewer bytes than the lengths say.
    """
    content = read_bytes(path)
    magic, header = content[:4], 4 + 4 * axes
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in DTYPES or magic[3] != axes:
        types = "/".join(f"{code:02x}" for code in DTYPES)
        raise DataError(
            f"{path} begins with the bytes {magic.hex(' ') or '(none)'}; an idx file of {axes} axes begins with "
            f"00 00 {types} {axes:02x}, where 08 stands for numbers of one byte"
        )
    if len(content) < header:
        raise DataError(f"{path} has {len(content)} bytes; the header alone of an idx file of {axes} axes has {header}")
    shape, dtype = struct.unpack_from(f">{axes}I", content, 4), np.dtype(DTYPES[magic[2]])
    if len(content) != (expected := header + math.prod(shape) * dtype.itemsize):
        unpacked = " unpacked" if path.suffix == ".gz" else ""
        raise DataError(
            f"{path} has {len(content)} bytes{unpacked}; its header, of shape {shape} and {dtype.itemsize} bytes a "
            f"number, says {expected}"
        )
    return np.frombuffer(content, dtype, offset=header).reshape(shape)
