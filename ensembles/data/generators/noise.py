"""Noise with a data set's own statistics: out of distribution, yet of its mean, variance, covariance or range."""

import numpy as np

from widesym.ensembles.data.dataset import Dataset, standardise_each
from widesym.ensembles.data.statistics import Statistic, blocks, moments
from widesym.ensembles.data.streams import other_stream, stream
from widesym.models.checks import check_numbers, check_positive

AT_ONCE = 256  # images of matched noise; for each there is a number for every training sample


def matched_noise(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Images ~ N(mean, covariance) of the pixels of `data`, each then brought to mean 0 and variance 1.

    They are mean + Σ_s g_s (x_s − mean)/√n over all n samples x_s of `data`, with independent Gaussian numbers g_s.
    """
    check_samples("matched_noise", samples, data)
    rng, mean = stream(seed), data.inputs.mean(0, dtype=float)
    images = np.empty((samples, *mean.shape), np.float32)
    for part in blocks(samples, AT_ONCE):
        draws = rng.standard_normal((len(images[part]), len(data)))
        draws /= np.sqrt(len(data))
        images[part] = mean + sum(
            np.tensordot(draws[:, some], data.inputs[some] - mean, 1) for some in blocks(len(data))
        )
    note = f"Gaussian with the mean and covariance of {data.name}, seed {seed}"
    return Dataset("noise", standardise_each(images), None, (), note, normalisation=data.normalisation)


def pixel_noise(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Independent Gaussian numbers with the mean and variance that `data` have at each pixel and channel."""
    return _independent("pixel noise", data, samples, seed, moments(data.inputs, 0), f"each pixel of {data.name}")


def white_noise(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Independent Gaussian numbers with the mean and variance of all numbers in `data`."""
    return _independent("white noise", data, samples, seed, moments(data.inputs), f"all pixels of {data.name}")


def uniform_noise(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Independent numbers uniform between the least and the greatest in `data`."""
    check_samples("uniform_noise", samples, data)
    low, high = data.inputs.min(), data.inputs.max()
    images = other_stream(seed).uniform(low, high, (samples, *data.inputs.shape[1:]))
    provenance = f"uniform between the extremes of {data.name}, seed {seed}"
    inputs = images.astype(np.float32)
    return Dataset("uniform noise", inputs, None, (), provenance, normalisation=data.normalisation)


def _independent(
    name: str, data: Dataset, samples: int, seed: int, statistics: tuple[Statistic, Statistic], of: str
) -> Dataset:
    check_samples(name.replace(" ", "_"), samples, data)
    (mean, deviation), shape = statistics, (samples, *data.inputs.shape[1:])
    inputs = (mean + deviation * other_stream(seed).standard_normal(shape)).astype(np.float32)
    note = f"Gaussian with the mean and variance of {of}, seed {seed}"
    return Dataset(name, inputs, None, (), note, normalisation=data.normalisation)


def check_samples(name: str, samples: int, data: Dataset) -> None:
    """Raise ValueError for a number of samples like those of `data` that is none, or that takes too much memory."""
    check_positive(name, "samples", samples)
    check_numbers(name, samples=samples, numbers=data.inputs[0].size)
