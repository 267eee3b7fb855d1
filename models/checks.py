"""Checks of arguments that many things share."""

from numbers import Integral


def check_positive(name: str, argument: str, value: int) -> None:
    """Raise ValueError for what is no positive integer."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{name}: {argument} is {value!r}; it must be a positive integer")
