"""Inputs to probe networks with that were trained on other data: each a function of the data set they were trained on.

Noise with the data's statistics is in ensembles/data/generators/noise.py, spins at other temperatures or with
continuous values in ising.py, longer vectors in cross_product.py. `matched_noise` and `printed_letters` bring every
image to mean 0 and variance 1; `standardised(data)` does so with those of the others.
"""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from widesym.ensembles.data.dataset import DataError, Dataset, Inputs
from widesym.ensembles.data.generators.cross_product import other_norms
from widesym.ensembles.data.generators.ising import at_temperature, continuous_spins
from widesym.ensembles.data.generators.letters import letters
from widesym.ensembles.data.generators.noise import matched_noise, pixel_noise, uniform_noise, white_noise
from widesym.ensembles.data.streams import other_stream, stream
from widesym.ensembles.data.transforms import grayscale, resize, rgb, standardised, transformed
from widesym.ensembles.data.transforms.images import Images, check_image_axes
from widesym.models.checks import check_positive

__all__ = [
    "at_temperature",
    "continuous_spins",
    "corrupted",
    "drawn",
    "like",
    "matched_noise",
    "other_norms",
    "permuted_pixels",
    "pixel_noise",
    "printed_letters",
    "standardised",
    "uniform_noise",
    "white_noise",
]


def like(other: Dataset, data: Dataset) -> Dataset:
    """Another data set's images at the size and with the channels that `data` has, their labels their own.

    Colours become luminance, that of the values as they came (`in_grey`), and grey becomes red = green = blue; sizes
    change by area, so other aspect ratios are squeezed. Raises ValueError for what are no images, DataError for
    channels that cannot be brought to each other, and colours of which it is not known how they were normalised.
    """
    for images in (other, data):
        check_image_axes(images.name, images.inputs)
    (rows, columns, wanted), found = data.inputs.shape[1:], other.inputs.shape[3]
    recoloured = {(1, 3): rgb, (3, 1): grayscale}.get((found, wanted))
    if found != wanted and recoloured is None:
        raise DataError(
            f"{other.name} has {found} channels and {data.name} {wanted}; only 3 can be made of 1, and 1 of 3"
        )
    result = other if recoloured is None else transformed(other, recoloured)
    if other.inputs.shape[1:3] == (rows, columns):
        return result
    return transformed(result, resize, rows, columns)


def printed_letters(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Letters at the size and with the channels that `data` has, each at mean 0 and variance 1; at most 624."""
    check_image_axes(data.name, data.inputs)
    rows, columns = data.inputs.shape[1:3]
    result = like(letters(samples, max(rows, columns), seed), data)
    return result if rows == columns else standardised(result)  # squeezing takes some of the variance


def permuted_pixels(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Samples of `data` with their pixels in another order, the same random one in all of them and all channels.

    The seed gives the permutation whatever the number of samples. Labels are kept, values left out: they would be of
    the inputs as they were.
    """
    shape = data.inputs.shape
    order = other_stream(seed).permutation(int(np.prod(shape[1:-1])))
    part = drawn(data, samples, seed)
    inputs = part.inputs.reshape(samples, -1, shape[-1])[:, order].reshape(samples, *shape[1:])
    return _changed(part, "permuted pixels", inputs, f"pixels permuted by seed {seed}")


def corrupted(
    data: Dataset, samples: int, seed: int = 0, *, corruption: Callable[[Images, int], Images], severity: int = 3
) -> Dataset:
    """Samples of `data`, each corrupted: `corruption` is `contrast` or `blur` of ensembles/data/corruptions.py.

    Labels are kept, values left out: they would be of the inputs as they were.
    """
    part = drawn(data, samples, seed)
    name = corruption.__name__
    return _changed(part, name, corruption(part.inputs, severity), f"{name}({severity})")


def drawn(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Some of the samples, in random order, without repetition; raises ValueError where there are fewer."""
    check_positive("drawn", "samples", samples)
    if samples > len(data):
        raise ValueError(f"{samples} samples asked of {data.name}, which has {len(data)}")
    chosen = stream(seed).permutation(len(data))[:samples]
    return replace(
        data,
        inputs=data.inputs[chosen],
        labels=None if data.labels is None else data.labels[chosen],
        values=None if data.values is None else data.values[chosen],
        provenance=f"{data.provenance}; {samples} drawn by seed {seed}",
    )


def _changed(data: Dataset, name: str, inputs: Inputs, note: str) -> Dataset:
    return replace(data, name=name, inputs=inputs, values=None, quantities=(), provenance=f"{data.provenance}; {note}")
