"""One picture in a PNG, JPEG or TIFF file, judged by what its own header says before Pillow converts it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps

from widesym.ensembles.data.dataset import DataError
from widesym.ensembles.data.readers.files import explaining_read_errors
from widesym.ensembles.files import open_regular

FORMATS = ("PNG", "JPEG", "TIFF")  # and no others: of EPS files Pillow would start Ghostscript
MOST_SIDE = 2**13  # pixels; a small file can say that it has many, and have Pillow take memory for them
SUFFIXES = (".jpeg", ".jpg", ".png", ".tif", ".tiff")
OTHER_SUFFIXES = (  # of pictures in formats that are not read, or under names that are not looked for
    *(".apng", ".avif", ".bmp", ".dcm", ".dib", ".eps", ".gif", ".heic", ".heif", ".j2k", ".jfif", ".jp2"),
    *(".jpe", ".jpx", ".jxl", ".mpo", ".ndpi", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psd", ".raw", ".svg", ".svs"),
    *(".tga", ".webp"),
)
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # Pillow's names for black and white, grey, palette and colours
# Tags of TIFF 6.0: bits of each number of a pixel, how many there are, what they are, and the palette.
BITS, SAMPLES, SAMPLE_FORMAT, COLOUR_MAP = 258, 277, 339, 320


def side_of(file: Path, size: int) -> int:
    """Rows, and columns, of a square picture of at least `size` × `size` pixels; raises DataError for any other."""
    with opened(file) as picture:
        if picture.width != picture.height or picture.width < size:
            raise DataError(
                f"{file} has {picture.width}×{picture.height} pixels; it must be a square, of side {size} or more"
            )
        if picture.width > MOST_SIDE:
            raise DataError(
                f"{file} has {picture.width}×{picture.height} pixels; a side of {MOST_SIDE} is the most that is read: "
                "make the pictures smaller, or cut them into pieces"
            )
        return picture.width


def read_square(file: Path, side: int) -> UInt8[np.ndarray, "side side 3"]:
    """Red, green and blue of the picture, upright, whichever way up its file says that it was taken.

    Raises DataError for another side, for more than one picture in the file, more than 8 bits a channel, numbers other
    than grey, palette, RGB and transparency, and pixels through which one can see.
    """
    with opened(file) as picture:
        if picture.size != (side, side):
            raise DataError(f"{file} has {picture.width}×{picture.height} pixels; the first picture has {side}×{side}")
        check_header(file, picture)
        picture.load()  # Pillow turns TIFF files here, and no others
        colours = np.asarray(ImageOps.exif_transpose(picture).convert("RGBA"))
    if (clear := colours[..., 3] < 255).any():
        raise DataError(
            f"{file} has {clear.sum()} pixels that are transparent, and does not say before what; put it on a "
            "background first"
        )
    return colours[..., :3]


@contextmanager
def opened(file: Path) -> Iterator[Image.Image]:
    """The picture, of which only the header has been read; raises DataError for what is none, or cannot be decoded."""
    with (
        explaining_read_errors(file, "read as picture (PNG, JPEG or TIFF)"),
        open_regular(file) as stored,
        Image.open(stored, formats=FORMATS) as picture,
    ):
        yield picture


def check_header(file: Path, picture: Image.Image) -> None:
    """Raise DataError for several pictures in a file, and pixels that 8 bits of grey or of each colour do not hold."""
    if (count := getattr(picture, "n_frames", 1)) != 1:
        raise DataError(
            f"{file} holds {count} pictures (pages, frames or previews); give each one that is meant a file of its own"
        )
    if (bits := bits_of(file, picture)) > 8:
        raise DataError(
            f"{file} has {bits} bits a channel; they must be at most 8: convert it, or load the numbers yourself and "
            "pass them to `from_arrays`, which keeps them"
        )
    if bits < 8 and picture.mode == "L" and "transparency" in picture.info:  # which Pillow looks for before it scales
        raise DataError(f"{file} has a grey of {bits} bits that is transparent; put it on a background first")
    if picture.mode not in MODES or is_special(picture):
        raise DataError(
            f"{file} has pixels of mode {picture.mode}{tags_of(picture)}; they must be {', '.join(MODES)}, whole "
            "numbers of at most 8 bits"
        )


def bits_of(file: Path, picture: Image.Image) -> int:
    """Bits of each number of a pixel, as the file stores them, those of its palette included."""
    if picture.format == "PNG":
        with file.open("rb") as content:
            return content.read(25)[24]  # after the signature, length and name of IHDR, width and height
    if picture.format != "TIFF":
        return getattr(picture, "bits", 8)
    palette = np.array(tag(picture, COLOUR_MAP, (0,)))
    of_palette = 8 if not (palette % 257).any() or not (palette % 256).any() else 16  # bytes, twice or before zeros
    return max(*tag(picture, BITS, (1,)), of_palette)


def is_special(picture: Image.Image) -> bool:
    """Whether a TIFF file has other numbers than whole ones from 0, or more to a pixel than its colours."""
    if picture.format != "TIFF":
        return False
    numbers, formats = tag(picture, SAMPLES, (1,)), tag(picture, SAMPLE_FORMAT, (1,))
    return set(formats) != {1} or numbers != (len(picture.getbands()),)


def tags_of(picture: Image.Image) -> str:
    """What the message about a TIFF file adds."""
    if picture.format != "TIFF":
        return ""
    (numbers,), formats = tag(picture, SAMPLES, (1,)), tag(picture, SAMPLE_FORMAT, (1,))
    return f" ({numbers} numbers a pixel, SampleFormat {', '.join(map(str, sorted(set(formats))))})"


def tag(picture: Any, number: int, default: tuple[int, ...]) -> tuple[int, ...]:
    """The numbers of a TIFF tag."""
    found = picture.tag_v2.get(number, default)
    return tuple(found) if isinstance(found, tuple | list) else (found,)
