"""Transforms of inputs: pure functions from arrays to arrays, and `transformed`, which applies them to data sets."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from ensembles.data.dataset import Dataset, standardise_each
from ensembles.data.transforms.images import check_images, grayscale, pad_or_crop, resize, rgb
from ensembles.data.transforms.molecules import signals_at, spherical_signals
from ensembles.data.transforms.sphere import to_sphere

__all__ = [
    "grayscale",
    "pad_or_crop",
    "resize",
    "rgb",
    "signals_at",
    "spherical_signals",
    "standardised",
    "to_sphere",
    "transformed",
]


def transformed(data: Dataset, transform: Callable[..., Any], *arguments: Any, **options: Any) -> Dataset:
    """The same data set with transform(inputs, …) in place of its inputs, and that noted in its provenance.

    `transformed(images, to_sphere, 10, seed=3)` projects images on the sphere, each rotated at random.
    """
    listed = ", ".join([*map(str, arguments), *(f"{name}={value}" for name, value in options.items())])
    note = f"{data.provenance}; {transform.__name__}({listed})"
    return replace(data, inputs=transform(data.inputs, *arguments, **options), provenance=note)


def standardised(data: Dataset) -> Dataset:
    """Every image at mean 0 and variance 1, as out-of-distribution inputs are; raises ValueError for other inputs."""
    check_images(data.name, data.inputs)
    return transformed(data, standardise_each)
