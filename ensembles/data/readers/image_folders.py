"""Pictures in one folder a class, as NCT-CRC-HE-100K comes."""

import itertools
import math
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64, Integer, UInt8

from widesym.ensembles.data.cache import FromFiles
from widesym.ensembles.data.dataset import Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import FilePath, labelled_images, state_of
from widesym.ensembles.data.readers.picture_files import read_square, side_of
from widesym.ensembles.data.readers.picture_trees import Classes, pictures_by_part
from widesym.models.checks import check_positive, check_seed

MOST_AT_ONCE = 2**26  # pixels that are in memory at a time, in some 20 bytes each
READING = 2  # how pictures are read; it grows when the arrays of a folder that stays the same become others


@dataclass(frozen=True)
class ImageFolders(FromFiles):
    """PNG, JPEG and TIFF files below `path`, in one folder for each class, which is named after it: the layout of
    NCT-CRC-HE-100K (doi:10.5281/zenodo.1214456; 224×224 pixels). Or such folders in `train` and in `test` (or `val`),
    which are then the two parts. Other files, and what is hidden, are left out.

    The pictures, which must all be squares of one size, are turned upright where their files say how they were taken
    (EXIF), and averaged over areas to `size` × `size` pixels; grey ones become coloured. What comes of them is cached,
    and made anew when a file has changed. Loads float32 images [sample, size, size, 3], normalised (`Raw.splits` says
    how, and what `train`, `test` and `seed` draw), and labels into the classes in the order of their names.

    Loading raises DataError for a folder that is missing or has no pictures; for pictures that would be dropped: of
    other formats, beside class folders or in folders of these, several in one file; for parts with different classes;
    and for a picture that cannot be read, is of another size or smaller than `size`, can be seen through, or is stored
    otherwise than in at most 8 bits of grey, RGB or palette (16 bits: `from_arrays`). Making one raises ValueError for
    a size below 1.
    """

    path: FilePath
    size: int = 32
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "ImageFolders: seed")
        object.__setattr__(self, "path", str(self.path))
        check_positive("ImageFolders", "size", self.size)

    def load(self) -> Splits:
        """The parts that the folder has, or a random split of the pictures, from the cache where that has them."""
        return self.raw().splits(self.train, self.test, self.seed, self.stratified)

    @property
    def _title(self) -> str:
        return Path(self.path).resolve().name

    @property
    def _description(self) -> dict[str, Any]:
        folder = Path(self.path).resolve()
        state = state_of(file for part in pictures_by_part(folder).values() for file in files_of_classes(part))
        about = {"source": "image folders", "path": str(folder), "size": self.size, "files": state}
        return about | {"reading": READING}

    def _read(self) -> Raw:
        folder = Path(self.path).resolve()
        parts = pictures_by_part(folder)
        first, *second = parts.values()
        images = read_images([file for classes in parts.values() for file in files_of_classes(classes)], self.size)
        pixels = np.split(images, [len(files_of_classes(first))])
        train, *test = (part_of(classes, pixels.pop(0), folder) for classes in (first, *second))
        names = f", {' and '.join(parts)}" if second else ""
        provenance = f"{folder} (image folders{names}, averaged to {self.size}×{self.size} pixels)"
        return Raw(str(folder), train, test[0] if test else None, provenance, tuple(first))


def files_of_classes(classes: Classes) -> list[Path]:
    """The files of all classes, one class after the other."""
    return [file for files in classes.values() for file in files]


def part_of(classes: Classes, images: UInt8[np.ndarray, "sample size size 3"], folder: Path) -> RawSplit:
    """The pictures with their labels."""
    labels = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    return labelled_images(images, labels, tuple(classes), str(folder), str(folder))


def read_images(files: Sequence[Path], size: int) -> UInt8[np.ndarray, "sample size size 3"]:
    """The pictures at `size` × `size` pixels; raises DataError for one that cannot be read or is unlike the first."""
    images, side = np.empty((len(files), size, size, 3), np.uint8), side_of(files[0], size)

    def read(index: int) -> None:
        images[index] = read_image(files[index], size, side)

    at_once = max(1, min(os.cpu_count() or 1, MOST_AT_ONCE // side**2))
    with ThreadPoolExecutor(at_once) as threads:  # decoding and averaging do not hold Python's lock
        list(threads.map(read, range(len(files))))
    return images


def read_image(file: Path, size: int, side: int) -> UInt8[np.ndarray, "size size 3"]:
    """The picture averaged to size × size pixels; raises DataError as `read_square` does."""
    return area_means(read_square(file, side), size)


def area_means(pixels: UInt8[np.ndarray, "side side 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Means over size × size equal areas, pixels on a border counting in part on both sides; rounded once, at the end.

    Pillow's box filter counts whole pixels only, and its `reduce` rounds some means to the farther number.
    """
    side = len(pixels)
    parts = size // math.gcd(size, side)  # that a pixel is cut into, each way, so that areas hold whole parts
    width = parts * side // size  # of an area, in parts
    of_rows = area_sums(pixels, size, parts)
    sums = area_sums(of_rows.swapaxes(0, 1), size, parts).swapaxes(0, 1)
    return np.rint(sums / width**2).astype(np.uint8)


def area_sums(pixels: Integer[np.ndarray, "side other 3"], size: int, parts: int) -> Int64[np.ndarray, "size other 3"]:
    """Sums over `size` equal stretches of the first axis, each pixel counted once for each of its `parts` within."""
    side = len(pixels)
    first, beyond = np.divmod(np.arange(size + 1) * (parts * side // size), parts)  # where stretches begin, and in what
    edges = beyond[:, None, None] * pixels[np.minimum(first, side - 1)]
    whole = np.stack([pixels[low:high].sum(0, dtype=np.int64) for low, high in itertools.pairwise(first)])
    return parts * whole + edges[1:] - edges[:-1]
