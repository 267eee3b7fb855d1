"""Common corruptions of images, at the severities of CIFAR-10-C (Hendrycks & Dietterich 2019, arXiv:1903.12261)."""

import math

import numpy as np

from widesym.ensembles.data.transforms.images import Images, Kernel, check_image_axes, separable

CONTRASTS = (0.75, 0.5, 0.4, 0.3, 0.15)
WIDTHS = (0.4, 0.6, 0.7, 0.8, 1.0)  # in pixels
REACH = 4  # standard deviations, after which the Gaussian is cut


def contrast(images: Images, severity: int = 3) -> Images:
    """Mean + c (pixel − mean), the mean that of each image and channel, with c from 0.75 down to 0.15.

    Bringing each image to mean 0 and variance 1 undoes this where there is one channel.
    """
    check_image_axes("contrast", images)
    mean = images.mean((1, 2), keepdims=True)
    return (mean + of_severity("contrast", CONTRASTS, severity) * (images - mean)).astype(np.float32)


def blur(images: Images, severity: int = 3) -> Images:
    """Convolved with a Gaussian of standard deviation σ = 0.4 … 1 pixels, as if the border's pixels went on outside.

    σ is for images up to 32 pixels wide, and grows with the width of larger ones.
    """
    check_image_axes("blur", images)
    width = of_severity("blur", WIDTHS, severity) * max(1, images.shape[2] / 32)
    return separable(images, *(blur_weights(size, width) for size in images.shape[1:3]))


def blur_weights(size: int, width: float) -> Kernel:
    """Rows of weights ∝ exp(−(i − j)²/2σ²), |i − j| ≤ 4σ, that sum to 1; those outside lie on the border's pixel."""
    offsets = np.arange(-math.ceil(REACH * width), math.ceil(REACH * width) + 1)
    weights = np.exp(-(offsets**2) / (2 * width**2))
    kernel = np.zeros((size, size))
    pixel = np.arange(size)
    for offset, weight in zip(offsets, weights / weights.sum(), strict=True):
        kernel[pixel, np.clip(pixel + offset, 0, size - 1)] += weight
    return kernel


def of_severity(name: str, values: tuple[float, ...], severity: int) -> float:
    """The value for a severity from 1 to 5; raises ValueError for others."""
    if severity not in range(1, len(values) + 1):
        raise ValueError(f"{name}: severity is {severity!r}; it must be one of 1, 2, 3, 4, 5")
    return values[severity - 1]
