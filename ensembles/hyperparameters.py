"""Numbers that one member may have of its own: a sweep over them is one ensemble."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

PerMember = float | tuple[float, ...]  # one number for all members, or one for each


def checked(name: str, value: Any, low: float, high: float = math.inf, *, open_below: bool = False) -> PerMember:
    """The value as floats; raises ValueError for what is no number, or a sequence of numbers, of that range."""
    several = isinstance(value, Sequence | np.ndarray) and not isinstance(value, str) and np.ndim(value) > 0
    numbers: tuple[Any, ...] = tuple(value) if several else (value,)
    for number in numbers:
        is_number = isinstance(number, Real) and not isinstance(number, bool)
        with np.errstate(over="ignore", under="ignore"):
            used = float(np.float32(number)) if is_number else math.nan  # as members compute with it
        if not low <= used < high or (open_below and used == low):
            below = "above" if open_below else "at least"
            above = "finite" if high == math.inf else f"below {high:g}"
            raise ValueError(f"{name} is {number!r}; it must be a number, {below} {low:g} and {above}")
    if not numbers:
        raise ValueError(f"{name} is an empty sequence; give one number, or one for each member")
    return tuple(float(number) for number in numbers) if several else float(numbers[0])


def checked_number(name: str, value: float, low: float, *, open_below: bool = False) -> float:
    """The same for what is one number for all members."""
    number = checked(name, value, low, open_below=open_below)
    if isinstance(number, tuple):
        raise ValueError(f"{name} is {value!r}; it is one number for all members")
    return number


def by_member(name: str, value: PerMember, members: int) -> Float[np.ndarray, " member"]:
    """The value for each member, float32; raises ValueError where there are more or fewer values than members."""
    if isinstance(value, tuple) and len(value) != members:
        raise ValueError(f"{name} has {len(value)} values for {members} members; give one number, or one for each")
    return np.broadcast_to(np.asarray(value, np.float32), (members,))


def numbers_of(spec: Any) -> dict[str, PerMember]:
    """The fields of a dataclass that may differ per member: its floats and tuples of floats."""
    values = {field.name: getattr(spec, field.name) for field in fields(spec)}
    return {name: value for name, value in values.items() if isinstance(value, float | tuple)}


class Alike(NamedTuple):
    """Members that have the same numbers: those that may differ between members, by name, and the members' places."""

    numbers: dict[str, float]
    members: Int[np.ndarray, " member"]


def groups_of(numbers: Mapping[str, PerMember], members: int) -> list[Alike]:
    """The members by the numbers that they have of their own, groups in the order of their first members.

    All are one group, without a number, where each number is one for all.
    """
    own = {name: value for name, value in numbers.items() if isinstance(value, tuple)}
    found: dict[tuple[float, ...], list[int]] = {}
    for member in range(members):
        found.setdefault(tuple(value[member] for value in own.values()), []).append(member)
    return [Alike(dict(zip(own, values, strict=True)), np.array(places)) for values, places in found.items()]
