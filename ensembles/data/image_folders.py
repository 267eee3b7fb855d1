"""Pictures in one folder a class, as NCT-CRC-HE-100K comes."""

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from ensembles.data.cache import Entry, cached, entry_of
from ensembles.data.dataset import DataError, Splits
from ensembles.data.files import FilePath, contents, explained, pictures, state_of
from ensembles.data.raw import Raw
from models.checks import check_positive, check_seed

SUFFIXES = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
MODES = ("L", "P", "RGB", "RGBA")  # Pillow's names for grey, palette and colours of 8 bits a channel


@dataclass(frozen=True)
class ImageFolders:
    """PNG, JPEG and TIFF files below `path`, in one folder for each class, which is named after it: the layout of
    NCT-CRC-HE-100K (doi:10.5281/zenodo.1214456; 224×224 pixels). Other files, and what is hidden, are left out.

    The pictures, which must all be squares of one size, are averaged over areas to `size` × `size` pixels; grey ones
    become coloured and transparency is dropped. What comes of them is cached, and made anew when a file has changed.
    Loads float32 images [sample, size, size, 3], normalised (`Raw.splits` says how, and what `train`, `test` and `seed`
    draw), and labels into the classes in the order of their names.

    Loading raises DataError for a folder that is missing or has no pictures, and for a picture that cannot be read, is
    of another size or smaller than `size`, or stored otherwise than as 8 bits of grey, RGB, RGBA or palette; making one
    raises ValueError for a size below 1.
    """

    path: FilePath
    size: int = 32
    train: int | None = None
    test: int | None = None
    seed: int = 0

    def __post_init__(self):
        check_seed(self.seed, "ImageFolders: seed")
        object.__setattr__(self, "path", str(self.path))
        check_positive("ImageFolders", "size", self.size)

    def load(self) -> Splits:
        """A random split of the pictures, from the cache where that has them."""
        return self.raw().splits(self.train, self.test, self.seed)

    def raw(self) -> Raw:
        """All pictures; raises as `load` does."""
        return cached(self._title, self._description, self._read)

    def prepare(self) -> None:
        """Cache the pictures; raises as `load` does."""
        self.raw()

    @property
    def entry(self) -> Entry:
        """Where the cache keeps the pictures as they are now."""
        return entry_of(self._title, self._description)

    @property
    def _title(self) -> str:
        return Path(self.path).resolve().name

    @property
    def _description(self) -> dict[str, Any]:
        folder = Path(self.path).resolve()
        state = state_of(file for files in pictures_by_class(folder).values() for file in files)
        return {"source": "image folders", "path": str(folder), "size": self.size, "files": state}

    def _read(self) -> Raw:
        folder = Path(self.path).resolve()
        files = pictures_by_class(folder)
        labels = np.repeat(np.arange(len(files)), [len(names) for names in files.values()])
        images = read_images([file for names in files.values() for file in names], self.size)
        part = pictures(images, labels, tuple(files), str(folder), str(folder))
        provenance = f"{folder} (image folders, averaged to {self.size}×{self.size} pixels)"
        return Raw(str(folder), part, None, provenance, tuple(files))


def pictures_by_class(path: Path) -> dict[str, list[Path]]:
    """The picture files of each class folder; raises DataError where there are none."""
    return {folder.name: pictures_in(folder) for folder in class_folders(path)}


def class_folders(path: Path) -> list[Path]:
    """The folders below a path, by name; raises DataError where there are none."""
    folders = sorted(entry for entry in path.glob("[!.]*") if entry.is_dir())
    if not folders:
        raise DataError(f"{path} has no class folders; {contents(path)}")
    return folders


def pictures_in(folder: Path) -> list[Path]:
    """The picture files of a folder, by name; raises DataError where there are none."""
    files = sorted(file for file in folder.glob("[!.]*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder} has no pictures ({', '.join(SUFFIXES)}); {contents(folder)}")
    return files


def read_images(files: Sequence[Path], size: int) -> UInt8[np.ndarray, "sample size size 3"]:
    """The pictures at `size` × `size` pixels; raises DataError for one that cannot be read or is unlike the first."""
    images, side = np.empty((len(files), size, size, 3), np.uint8), side_of(files[0], size)

    def read(index: int) -> None:
        images[index] = read_image(files[index], size, side)

    with ThreadPoolExecutor() as threads:  # decoding and averaging do not hold Python's lock
        list(threads.map(read, range(len(files))))
    return images


def side_of(file: Path, size: int) -> int:
    """Rows, and columns, of a square picture of at least `size` × `size` pixels; raises DataError for any other."""
    with explained(file, "read as picture"), Image.open(file) as picture:
        if picture.width != picture.height or picture.width < size:
            raise DataError(
                f"{file} has {picture.width}×{picture.height} pixels; it must be a square, of side {size} or more"
            )
        return picture.width


def read_image(file: Path, size: int, side: int) -> UInt8[np.ndarray, "size size 3"]:
    """The picture averaged to size × size pixels; raises DataError for another side, or other than 8 bits a channel."""
    with explained(file, "read as picture"), Image.open(file) as picture:
        if picture.size != (side, side):
            raise DataError(f"{file} has {picture.width}×{picture.height} pixels; the first picture has {side}×{side}")
        if picture.mode not in MODES:
            raise DataError(
                f"{file} has pixels of mode {picture.mode}; they must be {', '.join(MODES)} (8 bits a channel)"
            )
        return area_means(np.asarray(picture.convert("RGB")), size)


def area_means(pixels: UInt8[np.ndarray, "side side 3"], size: int) -> UInt8[np.ndarray, "size size 3"]:
    """Means over size × size equal areas, pixels on a border counting in part on both sides; rounded once, at the end.

    Pillow's box filter counts whole pixels only, and its `reduce` rounds some means to the farther number.
    """
    side = len(pixels)
    parts = size // math.gcd(size, side)  # that a pixel is cut into, each way, so that areas hold whole parts
    width = parts * side // size  # of an area, in parts
    rows = pixels.repeat(parts, axis=0).reshape(size, width, side, 3).sum(1, dtype=np.int32)
    sums = rows.repeat(parts, axis=1).reshape(size, size, width, 3).sum(2)
    return np.rint(sums / width**2).astype(np.uint8)
