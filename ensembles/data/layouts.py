"""The order of an array's axes, which its shape alone does not tell."""

from typing import Literal, get_args

import numpy as np
from jaxtyping import Num

from widesym.ensembles.data.dataset import DataError

Layout = Literal["NHW", "NHWC", "NCHW"]  # sample, row (height), column (width), channel
MOST_CHANNELS = 4  # of pictures: grey or red, green and blue, with or without transparency


def channels_last(
    where: str, images: Num[np.ndarray, "sample *axis"], layout: Layout | None = None
) -> Num[np.ndarray, "sample row column channel"]:
    """The images of an array of this layout, or of the one that its shape tells: grey, or with channels last.

    Raises DataError, which begins with `where`, for a shape that the layout does not have, and one that does not tell:
    where there would be more than four channels, as of colours that stand first, or of volumes; where the pictures
    would be squares if channels stood first; and where grey pictures would be at most four pixels wide, and higher.
    """
    if isinstance(images, np.ma.MaskedArray) and np.ma.is_masked(images):
        raise DataError(f"{where}: {np.ma.count_masked(images)} numbers are masked; fill them first")
    images = np.asarray(images)
    if layout is None:
        check_plain(where, images)
        return images[..., None] if images.ndim == 3 else images
    if images.ndim != len(layout):
        raise DataError(f"{where}: array of shape {images.shape}; of layout {layout} it must have {len(layout)} axes")
    if layout == "NHW":
        return images[..., None]
    return np.ascontiguousarray(np.moveaxis(images, layout.index("C"), -1))  # to sum in one order, whatever was stored


def check_plain(where: str, images: Num[np.ndarray, "sample *axis"]) -> None:
    """Raise DataError for images of which the shape does not tell the layout."""
    shape = images.shape
    if images.ndim == 4 and (
        shape[3] > MOST_CHANNELS or (shape[1] <= MOST_CHANNELS and shape[1] != shape[2] == shape[3])
    ):
        raise DataError(
            f"{where}: array of shape {shape}, which may be pictures of {shape[1]}×{shape[2]} pixels and {shape[3]} "
            f"channels, or of {shape[2]}×{shape[3]} pixels and {shape[1]} channels; say `layout` (a field of Npz, an "
            "argument of from_arrays): NHWC for the former, NCHW for the latter"
        )
    if images.ndim == 3 and shape[2] <= MOST_CHANNELS < shape[1]:
        raise DataError(
            f"{where}: array of shape {shape}, which may be grey pictures of {shape[1]}×{shape[2]} pixels, one picture "
            f"or signals of {shape[2]} channels; say `layout` NHW (a field of Npz, an argument of from_arrays) for the "
            "first, and give the others the axis that they lack"
        )


def check_layout(layout: Layout | None) -> None:
    """Raise ValueError for what is no layout."""
    if layout is not None and layout not in get_args(Layout):
        raise ValueError(f"layout is {layout!r}; it must be one of {', '.join(get_args(Layout))}, or not given")
