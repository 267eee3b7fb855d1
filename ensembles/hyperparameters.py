"""Numbers that one member may have of its own: a sweep over them is one ensemble."""

import math
from collections.abc import Iterable
from dataclasses import fields
from numbers import Real
from typing import Any

import numpy as np
from jaxtyping import Float

PerMember = float | tuple[float, ...]  # one number for all members, or one for each


def checked(name: str, value: PerMember, low: float, high: float = math.inf, *, open_below: bool = False) -> PerMember:
    """The value as floats; raises ValueError for what is no number, or a sequence of numbers, of that range."""
    numbers = tuple(value) if isinstance(value, Iterable) and not isinstance(value, str) else (value,)
    for number in numbers:
        is_number = isinstance(number, Real) and not isinstance(number, bool)
        if not is_number or not low <= float(number) < high or (open_below and number == low):
            below = "above" if open_below else "at least"
            above = "finite" if high == math.inf else f"below {high:g}"
            raise ValueError(f"{name} is {number!r}; it must be a number, {below} {low:g} and {above}")
    if not numbers:
        raise ValueError(f"{name} is an empty sequence; give one number, or one for each member")
    return float(numbers[0]) if numbers[0] is value else tuple(float(number) for number in numbers)


def by_member(name: str, value: PerMember, members: int) -> Float[np.ndarray, " member"]:
    """The value for each member, float32; raises ValueError where there are more or fewer values than members."""
    if isinstance(value, tuple) and len(value) != members:
        raise ValueError(f"{name} has {len(value)} values for {members} members; give one number, or one for each")
    return np.broadcast_to(np.asarray(value, np.float32), (members,))


def numbers_of(spec: Any) -> dict[str, PerMember]:
    """The fields of a dataclass that may differ per member: its floats and tuples of floats."""
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {name: value for name, value in values.items() if isinstance(value, float | tuple)}
