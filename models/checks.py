"""Checks of arguments that many things share."""

import math
from numbers import Integral
from typing import Any

MOST_COUNT = 2**31 - 1  # of anything: places in arrays are counted in 32 bits
MOST_MEMBERS = 10**6  # of an ensemble
MOST_NUMBERS = 2**29  # of one array of data, 2 GiB in float32
MOST_SEED = 2**32 - 1  # beyond, JAX's keys repeat those of smaller seeds, and NumPy's streams those of pairs of them


def check_positive(name: str, argument: str, value: int, most: int = MOST_COUNT) -> None:
    """Raise ValueError for what is no positive integer, or beyond `most`."""
    if not _is_whole(value) or value < 1:
        raise ValueError(f"{name}: {argument} is {value!r}; it must be a positive integer")
    if value > most:
        raise ValueError(f"{name}: {argument} is {shown(value)}; it must be at most {most}")


def check_numbers(name: str, **axes: int) -> None:
    """Raise ValueError, which names the axes, for an array that would have more than `MOST_NUMBERS` numbers."""
    if math.prod(map(int, axes.values())) > MOST_NUMBERS:
        lengths = ", ".join(f"{axis} {shown(length)}" for axis, length in axes.items())
        raise ValueError(
            f"{name}: {lengths} are an array of more than {MOST_NUMBERS} numbers, {4 * MOST_NUMBERS / 2**30:.0f} GiB; "
            "ask for less"
        )


def shown(number: Integral | int) -> str:
    """A number for messages, of which no more than its size matters where it is very long."""
    return (
        f"{number}" if abs(int(number)) < 10**40 else f"about 10^{int(abs(int(number)).bit_length() * math.log10(2))}"
    )


def check_seed(seed: Any, name: str = "seed", most: int = MOST_SEED) -> None:
    """Raise ValueError, which begins with `name`, for what is no seed: a whole number from 0 to `most`."""
    if not _is_whole(seed) or not 0 <= seed <= most:
        raise ValueError(f"{name} is {seed!r}; it must be a whole number from 0 to {most}")


def _is_whole(value: Any) -> bool:
    """Whether it is an integer, of Python or of NumPy, and not a truth value."""
    return isinstance(value, Integral) and not isinstance(value, bool)
