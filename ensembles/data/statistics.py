"""Means and deviations in float64, of which no more than a block of samples is in memory at once."""

from collections.abc import Iterator

import numpy as np
from jaxtyping import Float, Num

BLOCK = 1024  # samples
Statistic = Float[np.ndarray, "..."]


def blocks(samples: int, size: int = BLOCK) -> Iterator[slice]:
    """Consecutive parts of the samples, of that size or smaller."""
    return (slice(start, start + size) for start in range(0, samples, size))


def moments(numbers: Num[np.ndarray, "sample *point"], axis: int | None = None) -> tuple[Statistic, Statistic]:
    """Mean and deviation of all numbers, or along an axis."""
    mean = numbers.mean(axis, dtype=np.float64)
    squares = sum(np.square(numbers[part] - mean).sum(axis) for part in blocks(len(numbers)))
    return mean, np.sqrt(squares * mean.size / numbers.size)


def divisor(mean: Statistic, deviation: Statistic) -> Statistic:
    """The deviation; 1 for constants, of which it is 0 up to rounding: the mean even of equal floats is rounded."""
    return np.where(deviation > 1e-12 * np.abs(mean), deviation, 1)
