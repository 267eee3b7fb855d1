"""Handwritten digits of 8×8 pixels, real images that ship with scikit-learn."""

import numpy as np
from sklearn.datasets import load_digits

from ensembles.data.dataset import Dataset

TOTAL = 1797


def digits(train: int, test: int, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Disjoint training and test sets, drawn at random, normalised with the training set's mean and deviation.

    Raises ValueError if they do not fit in the 1,797 images.
    """
    if train < 1 or test < 1 or train + test > TOTAL:
        raise ValueError(
            f"{train} training and {test} test images asked of digits, which has {TOTAL}; both must be ≥ 1"
        )
    pixels, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(TOTAL)
    images, labels = pixels[order].reshape(-1, 8, 8, 1) / 16, np.asarray(labels)[order]
    mean, deviation = images[:train].mean(), images[:train].std()
    normalised = ((images - mean) / deviation).astype(np.float32)

    def part(name: str, where: slice) -> Dataset:
        provenance = "optical recognition of handwritten digits (UCI), as shipped with scikit-learn"
        return Dataset(name, normalised[where], labels[where], tuple("0123456789"), provenance)

    return part("train", slice(train)), part("test", slice(train, train + test))
