"""Checks of arguments that many things share."""

from numbers import Integral
from typing import Any

MOST_SEED = 2**32 - 1  # beyond, JAX's keys repeat those of smaller seeds, and NumPy's streams those of pairs of them


def check_positive(name: str, argument: str, value: int) -> None:
    """Raise ValueError for what is no positive integer."""
    if not _is_whole(value) or value < 1:
        raise ValueError(f"{name}: {argument} is {value!r}; it must be a positive integer")


def check_seed(seed: Any, name: str = "seed", most: int = MOST_SEED) -> None:
    """Raise ValueError, which begins with `name`, for what is no seed: a whole number from 0 to `most`."""
    if not _is_whole(seed) or not 0 <= seed <= most:
        raise ValueError(f"{name} is {seed!r}; it must be a whole number from 0 to {most}")


def _is_whole(value: Any) -> bool:
    """Whether it is an integer, of Python or of NumPy, and not a truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)
