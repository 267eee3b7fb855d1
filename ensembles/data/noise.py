"""Noise with a data set's own statistics: out of distribution, yet of its mean, variance, covariance or range."""

import numpy as np

from ensembles.data.dataset import Dataset, standardise_each
from models.checks import check_positive


def matched_noise(like: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Images ~ N(mean, covariance) of the pixels of `like`, each then brought to mean 0 and variance 1."""
    pixels = like.inputs.reshape(len(like), -1).astype(float)
    mean, left = pixels.mean(0), (pixels - pixels.mean(0)) / np.sqrt(len(pixels))
    draws = np.random.default_rng(seed).standard_normal((samples, len(left)))  # covariance = leftᵀ left
    images = (mean + draws @ left).reshape(samples, *like.inputs.shape[1:])
    return Dataset("noise", standardise_each(images), None, (), f"Gaussian with mean and covariance of {like.name}")


def pixel_noise(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Independent Gaussian numbers with the mean and variance that `data` have at each pixel and channel."""
    inputs = data.inputs.astype(float)
    draws = _normal(data, samples, seed, "pixel_noise")
    return _noise("pixel noise", inputs.mean(0) + inputs.std(0) * draws, f"each pixel of {data.name}, seed {seed}")


def white_noise(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Independent Gaussian numbers with the mean and variance of all numbers in `data`."""
    inputs = data.inputs.astype(float)
    draws = _normal(data, samples, seed, "white_noise")
    return _noise("white noise", inputs.mean() + inputs.std() * draws, f"all pixels of {data.name}, seed {seed}")


def uniform_noise(data: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Independent numbers uniform between the least and the greatest in `data`."""
    check_positive("uniform_noise", "samples", samples)
    low, high = data.inputs.min(), data.inputs.max()
    images = other_stream(seed).uniform(low, high, (samples, *data.inputs.shape[1:]))
    provenance = f"uniform between the extremes of {data.name}, seed {seed}"
    return Dataset("uniform noise", images.astype(np.float32), None, (), provenance)


def other_stream(seed: int) -> np.random.Generator:
    """Random numbers independent of default_rng(seed): what is generated out of distribution must not share the draws
    of the data set that was generated from the same seed.
    """
    return np.random.default_rng((seed, 1))


def _normal(data: Dataset, samples: int, seed: int, name: str) -> np.ndarray:
    check_positive(name, "samples", samples)
    return other_stream(seed).standard_normal((samples, *data.inputs.shape[1:]))


def _noise(name: str, images: np.ndarray, like: str) -> Dataset:
    return Dataset(name, images.astype(np.float32), None, (), f"Gaussian with the mean and variance of {like}")
