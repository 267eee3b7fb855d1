"""Images brought to another size, channel count or shape: arrays in, float32 arrays out."""

from typing import Any

import numpy as np
from jaxtyping import Float

from widesym.models.checks import check_positive

Images = Float[np.ndarray, "sample row column channel"]
Kernel = Float[np.ndarray, "new old"]
Background = float | tuple[float, ...]  # of all channels, or of each
Margins = tuple[int, int]

LUMA = (0.299, 0.587, 0.114)  # of red, green and blue: ITU-R BT.601


def resize(images: Images, rows: int, columns: int) -> Images:
    """Every new pixel is the mean of the image over its area, old pixels counted by the part of them that lies inside.

    The image's mean is kept; the aspect ratio is not. Enlarging to a multiple repeats pixels.
    """
    check_image_axes("resize", images)
    check_positive("resize", "rows", rows)
    check_positive("resize", "columns", columns)
    return separable(images, overlaps(images.shape[1], rows), overlaps(images.shape[2], columns))


def grayscale(images: Images) -> Images:
    """Y = 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) of images with three channels; raises ValueError for others.

    Of colours as they came: on channels that have been normalised, each with its own mean and deviation, it is no
    luminance. `in_grey` takes it of a data set, whichever way that is normalised.
    """
    check_colours("grayscale", images)
    return weighted(images, np.array(LUMA))


def rgb(images: Images) -> Images:
    """Red = green = blue = the one channel; raises ValueError for images with more."""
    check_image_axes("rgb", images)
    if images.shape[3] != 1:
        raise ValueError(f"rgb: images have {images.shape[3]} channels; one is needed")
    return np.repeat(images, 3, axis=3).astype(np.float32)


def pad_or_crop(images: Images, rows: int, columns: int, background: Background = 0.0) -> Images:
    """The image in the middle of rows × columns pixels, cut where too large, on `background` where too small: one
    number, or one for each channel. In normalised images 0 is the mean, and `normalisation.of(0)` black.

    Of an odd number of pixels to add or to cut, the one that is over goes to the bottom or the right.
    """
    check_image_axes("pad_or_crop", images)
    check_positive("pad_or_crop", "rows", rows)
    check_positive("pad_or_crop", "columns", columns)
    found = images.shape[1:3]
    margins = [divmod(max(new - old, 0), 2) for new, old in zip((rows, columns), found, strict=True)]
    vertical, horizontal = ((half, half + odd) for half, odd in margins)
    padded = framed(images, vertical, horizontal, background)
    top, left = (max(old - new, 0) // 2 for new, old in zip((rows, columns), found, strict=True))
    return padded[:, top : top + rows, left : left + columns].astype(np.float32)


def framed(images: Images, vertical: Margins, horizontal: Margins, background: Background) -> Images:
    """The images with that many pixels of `background` above and below, and to the left and right."""
    (top, bottom), (left, right) = vertical, horizontal
    samples, rows, columns, channels = images.shape
    shape = samples, top + rows + bottom, left + columns + right, channels
    result = np.empty(shape, np.result_type(images, np.float32))
    result[:] = background
    result[:, top : top + rows, left : left + columns] = images
    return result


def weighted(images: Images, weights: Float[np.ndarray, " channel"]) -> Images:
    """Σ_c weights[c] image[c], as the one channel."""
    return (images @ weights)[..., None].astype(np.float32)


def separable(images: Images, rows: Kernel, columns: Kernel) -> Images:
    """Σ_ij rows[r, i] columns[c, j] image[i, j]."""
    return np.einsum("ri,sijk,cj->srck", rows, images, columns, optimize=True).astype(np.float32)


def overlaps(old: int, new: int) -> Kernel:
    """Part of each of `new` equal intervals that each of `old` equal intervals covers; rows sum to 1."""
    size = old / new
    start, pixel = size * np.arange(new)[:, None], np.arange(old)
    return np.clip(np.minimum(start + size, pixel + 1) - np.maximum(start, pixel), 0, None) / size


def check_colours(name: str, images: Any) -> None:
    """Raise ValueError for what are no images of three channels."""
    check_image_axes(name, images)
    if images.shape[3] != 3:
        raise ValueError(f"{name}: images have {images.shape[3]} channels; red, green and blue are needed")


def check_image_axes(name: str, images: Any) -> None:
    """Raise ValueError for what is no array [sample, row, column, channel]."""
    if np.ndim(images) != 4:
        raise ValueError(
            f"{name}: inputs have shape {np.shape(images)}; images [sample, row, column, channel] are needed"
        )
