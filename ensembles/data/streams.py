"""NumPy's random numbers of a seed, which data sets are drawn by."""

import numpy as np

from widesym.models.checks import check_seed


def stream(seed: int) -> np.random.Generator:
    """The random numbers of a seed; raises ValueError for what is none."""
    check_seed(seed)
    return np.random.default_rng(seed)


def other_stream(seed: int) -> np.random.Generator:
    """Random numbers independent of `stream(seed)`: what is generated out of distribution must not share the draws
    of the data set that was generated from the same seed. Raises ValueError as that does.
    """
    check_seed(seed)
    return np.random.default_rng((seed, 1))
