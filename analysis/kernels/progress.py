"""How far a kernel is computed, told while it is."""

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import jax

Progress = Callable[[int, int], None]  # is told how many pairs of inputs are computed, and of how many
Told = Callable[[float], None]  # is told which part of the work is done, from 0 to 1


def tell(told: Told | None, values: Any, part: float) -> None:
    """Tell, if anybody wants to know, that this part of the work is done, once these values are there."""
    if told is not None:
        jax.block_until_ready(values)
        told(part)


def in_pieces(told: Told | None, sizes: Sequence[int]) -> list[Told | None]:
    """What each of several pieces of work is to tell, for `told` to hear of the whole; they are done in this order."""
    if told is None:
        return [None] * len(sizes)
    ends = [0, *itertools.accumulate(sizes)]
    return [_piece(told, *(end / ends[-1] for end in pair)) for pair in itertools.pairwise(ends)]


def _piece(told: Told, start: float, end: float) -> Told:
    return lambda part: told(start + part * (end - start))


def in_pairs(progress: Progress | None, pairs: int) -> Told | None:
    """Tells `progress` in pairs of inputs, of so many."""
    if progress is None:
        return None
    return lambda part: progress(round(part * pairs), pairs)
