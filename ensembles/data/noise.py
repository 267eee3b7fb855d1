"""Gaussian noise with a data set's own image statistics: out of distribution, yet with its mean and covariance."""

import numpy as np

from ensembles.data.dataset import Dataset, standardise_each


def matched_noise(like: Dataset, samples: int, seed: int = 0) -> Dataset:
    """Images ~ N(mean, covariance) of the pixels of `like`, each then brought to mean 0 and variance 1."""
    pixels = like.inputs.reshape(len(like), -1).astype(float)
    mean, left = pixels.mean(0), (pixels - pixels.mean(0)) / np.sqrt(len(pixels))
    draws = np.random.default_rng(seed).standard_normal((samples, len(left)))  # covariance = leftᵀ left
    images = (mean + draws @ left).reshape(samples, *like.inputs.shape[1:])
    return Dataset("noise", standardise_each(images), None, (), f"Gaussian with mean and covariance of {like.name}")
