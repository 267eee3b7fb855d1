"""Differences of two ensembles' logits, member by member, for ensembles whose members share their randomness.

Member k of A and member k of B depend on each other, members of different numbers do not. So d_k = f_A,k − f_B,k are
independent over k, however A and B depend on each other, and the mean of d_k is the difference of the means: what is
estimated of one ensemble and an exact mean holds for d and the exact mean 0 (docs/estimators.md).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Int

from widesym.analysis.estimators.logits import BLOCK_BYTES, Block, LogitsArray


@dataclass(frozen=True, eq=False)
class LogitsPart:
    """Part of an ensemble's logits: some times, members and stretches of the sample axis, each in its own order."""

    array: LogitsArray
    times: Sequence[int]
    members: Int[np.ndarray, " member"]
    samples: Sequence[slice]

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The lengths of the axes time, member, sample and logit."""
        samples = sum(part.stop - part.start for part in self.samples)
        return len(self.times), len(self.members), samples, self.array.shape[3]

    def read(self, time: int, members: slice) -> Block:
        """The logits of some of its members at one of its times; no more than a block of the array is held beside."""
        wanted = self.members[members]
        found = np.empty((len(wanted), *self.shape[2:]), np.float32)
        fitting = max(1, BLOCK_BYTES // (4 * max(1, self.array.shape[2] * self.array.shape[3])))
        for place, stretch in _stretches(wanted, fitting):
            whole = self.array[self.times[time], stretch]
            np.concatenate([whole[:, part] for part in self.samples], axis=1, out=found[place])
        return found


@dataclass(frozen=True, eq=False)
class Differences:
    """f_A − f_B as an array [time, pair, sample, logit], read as it is needed; a pair is a member of each.

    Raises ValueError for parts of other shapes.
    """

    ours: LogitsPart
    theirs: LogitsPart

    def __post_init__(self) -> None:
        if self.ours.shape != self.theirs.shape:
            raise ValueError(f"logits of shapes {self.ours.shape} and {self.theirs.shape} have no differences")

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """The lengths of the axes time, pair, sample and logit."""
        return self.ours.shape

    def __getitem__(self, index: Any, /) -> Block:
        """Of a time and a slice of pairs."""
        time, pairs = index
        found = self.ours.read(time, pairs)
        found -= self.theirs.read(time, pairs)
        return found


def _stretches(members: Int[np.ndarray, " member"], longest: int) -> Iterator[tuple[slice, slice]]:
    """Places of neighbours, and what they are neighbours of: ranges as long as they are, up to `longest`."""
    start = 0
    for stop in range(1, len(members) + 1):
        ends = stop == len(members) or members[stop] != members[stop - 1] + 1
        if ends or stop - start == longest:
            yield slice(start, stop), slice(int(members[start]), int(members[stop - 1]) + 1)
            start = stop
