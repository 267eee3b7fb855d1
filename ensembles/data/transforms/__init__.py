"""Transforms of inputs: pure functions from arrays to arrays, and `transformed`, which applies them to data sets."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from widesym.ensembles.data.dataset import DataError, Dataset, standardise_each
from widesym.ensembles.data.normalisation import Normalisation
from widesym.ensembles.data.transforms.images import (
    LUMA,
    check_colours,
    check_image_axes,
    grayscale,
    pad_or_crop,
    resize,
    rgb,
    weighted,
)
from widesym.ensembles.data.transforms.molecules import signals_at, spherical_signals
from widesym.ensembles.data.transforms.sphere import to_sphere

__all__ = [
    "grayscale",
    "in_grey",
    "pad_or_crop",
    "resize",
    "rgb",
    "signals_at",
    "spherical_signals",
    "standardised",
    "to_sphere",
    "transformed",
]


CHANNEL_BY_CHANNEL = (resize, pad_or_crop, to_sphere, standardise_each)  # which keep what the numbers stand for


def transformed(data: Dataset, transform: Callable[..., Any], *arguments: Any, **options: Any) -> Dataset:
    """The same data set with transform(inputs, …) in place of its inputs, and that noted in its provenance.

    `transformed(images, to_sphere, 10, seed=3)` projects images on the sphere, each rotated at random. `grayscale`
    takes luminance of values as they came (`in_grey`). After a function that is not of this package it is not known how
    the inputs were normalised.
    """
    if transform is grayscale:
        return in_grey(data, *arguments, **options)
    listed = ", ".join([*map(str, arguments), *(f"{name}={value}" for name, value in options.items())])
    note = f"{data.provenance}; {transform.__name__}({listed})"
    inputs = transform(data.inputs, *arguments, **options)
    return replace(data, inputs=inputs, provenance=note, normalisation=_kept(data.normalisation, transform))


def in_grey(data: Dataset) -> Dataset:
    """The luminance Y of pictures as they came, which is normalised again.

    With v_c = μ_c + σ_c x_c for the red, green and blue x_c that are there, and Y = Σ w_c v_c (`grayscale`), it is

        (Y − Σ w_c μ_c) / Σ w_c σ_c = Σ w_c σ_c x_c / Σ w_c σ_c,

    whose deviation is 1 where the channels vary together, and less where they do not. Raises ValueError for pictures
    that have other channels, DataError where it is not known how they were normalised.
    """
    check_colours(data.name, data.inputs)
    if data.normalisation is None:
        raise DataError(
            f"{data.name}: luminance is of colours as they came, and it is not known how these were normalised; make "
            "the set with `from_arrays`, or with `normalisation=Normalisation((0, 0, 0), (1, 1, 1))` if they are so"
        )
    weights = np.multiply(LUMA, data.normalisation.scale)
    shift, scale = float(np.dot(LUMA, data.normalisation.shift)), float(weights.sum())
    return replace(
        data,
        inputs=weighted(data.inputs, weights / scale),
        provenance=f"{data.provenance}; grayscale of values as they came",
        normalisation=Normalisation((shift,), (scale,)),
    )


def standardised(data: Dataset) -> Dataset:
    """Every image at mean 0 and variance 1, as out-of-distribution inputs are; raises ValueError for other inputs."""
    check_image_axes(data.name, data.inputs)
    return transformed(data, standardise_each)


def _kept(normalisation: Normalisation | None, transform: Callable[..., Any]) -> Normalisation | None:
    if normalisation is not None and transform is rgb:
        return Normalisation(3 * normalisation.shift, 3 * normalisation.scale)
    return normalisation if transform in CHANNEL_BY_CHANNEL else None
