"""Printed letters at digit size, drawn from the DejaVu fonts that ship with matplotlib."""

import string
from pathlib import Path

import matplotlib as mpl
import numpy as np
from jaxtyping import Float
from matplotlib.ft2font import FT2Font

from widesym.ensembles.data.dataset import Dataset, standardise_each
from widesym.ensembles.data.streams import stream

FONTS = tuple(
    f"DejaVu{family}.ttf"
    for family in (
        *("Sans", "Sans-Bold", "Sans-Oblique", "Sans-BoldOblique", "SansMono", "SansMono-Bold", "SansMono-Oblique"),
        *("SansMono-BoldOblique", "Serif", "Serif-Bold", "Serif-Italic", "Serif-BoldItalic"),
    )
)
OVERSAMPLING = 4  # the digits, too, are means over 4×4 blocks of a finer bitmap


def letters(samples: int, size: int, seed: int = 0) -> Dataset:
    """Latin letters A–Z, a–z in twelve fonts at size × size pixels, in random order, each at mean 0 and variance 1.

    Raises ValueError if more are asked for than there are.
    """
    glyphs = [(font, letter) for font in FONTS for letter in string.ascii_letters]
    if not 1 <= samples <= len(glyphs):
        raise ValueError(f"letters: {samples} samples asked for; it must be between 1 and {len(glyphs)}")
    chosen = stream(seed).permutation(len(glyphs))[:samples]
    images = np.stack([draw(font, letter, size) for font, letter in (glyphs[index] for index in chosen)])[..., None]
    labels = np.array([string.ascii_letters.index(glyphs[index][1]) for index in chosen])
    return Dataset(
        "letters", standardise_each(images), labels, tuple(string.ascii_letters), f"{len(FONTS)} DejaVu fonts"
    )


def draw(font: str, letter: str, size: int) -> Float[np.ndarray, "size size"]:
    """One letter, centred, as the mean over blocks of a finer bitmap; between 0 and 1."""
    side = OVERSAMPLING * size
    points = side  # one pixel a point: capitals then fill about three quarters of the side
    bitmap = rendered(font, letter, points)
    while bitmap[side:].any() or bitmap[:, side:].any():  # bold M and W are wider than high: smaller, rather than cut
        points -= 1
        bitmap = rendered(font, letter, points)
    bitmap = bitmap[:side, :side]
    canvas = np.zeros((side, side))
    top, left = ((side - length) // 2 for length in bitmap.shape)
    canvas[top : top + bitmap.shape[0], left : left + bitmap.shape[1]] = bitmap
    return canvas.reshape(size, OVERSAMPLING, size, OVERSAMPLING).mean((1, 3))


def rendered(font: str, letter: str, points: int) -> Float[np.ndarray, "row column"]:
    """The letter's bitmap at this font size, between 0 and 1."""
    face = FT2Font(str(Path(mpl.get_data_path()) / "fonts" / "ttf" / font))
    face.set_size(points, 72)
    face.set_text(letter, 0.0)
    face.draw_glyphs_to_bitmap(antialiased=True)
    return np.asarray(face.get_image(), float) / 255
