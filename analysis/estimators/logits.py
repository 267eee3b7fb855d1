"""An ensemble's logits [time, member, sample, logit], read block by block of members: they need not fit in memory."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float32, Int

BLOCK_BYTES = 2**27

Block = Float32[np.ndarray, "member sample logit"]


class LogitsArray(Protocol):
    """What is read: a NumPy array, a zarr array, or anything else that slices as they do."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes time, member, sample and logit."""
        ...

    def __getitem__(self, index: Any, /) -> Any:
        """The logits at numbers and slices, one for each leading axis, as in NumPy."""
        ...


@dataclass(frozen=True, eq=False)
class EnsembleLogits:
    """The logits `array` [time, member, sample, logit] and the numbers of the members that count, by default all.

    Raises ValueError for arrays of other dimensions, and for members that are not there, count twice or not in order.
    """

    array: LogitsArray
    kept: Int[np.ndarray, " kept"] | None = None

    def __post_init__(self) -> None:
        if len(self.array.shape) != 4:
            raise ValueError(f"logits have shape {self.array.shape}; it must be [time, member, sample, logit]")
        stored = self.array.shape[1]
        kept = np.arange(stored) if self.kept is None else np.asarray(self.kept)
        inside = kept.ndim == 1 and len(kept) and kept[0] >= 0 and kept[-1] < stored and (np.diff(kept) > 0).all()
        if not inside:
            raise ValueError(f"members {kept} are to be kept; they must be rising numbers between 0 and {stored - 1}")
        object.__setattr__(self, "kept", kept)

    @property
    def numbers(self) -> Int[np.ndarray, " kept"]:
        """The numbers of the members that count, places along the array's member axis in rising order."""
        assert self.kept is not None
        return self.kept

    @property
    def members(self) -> int:
        """How many members count: the length of `numbers`."""
        return len(self.numbers)

    @property
    def shape(self) -> tuple[int, int]:
        """The number of samples and the number of logits."""
        return self.array.shape[2], self.array.shape[3]

    def blocks(self, time: int, memory: int = BLOCK_BYTES) -> Iterator[tuple[slice, Block]]:
        """The kept members' logits at a time, each block with its place among them.

        A block is read as one range of members, of whole chunks where the array has chunks that fit, and holds at most
        `memory` bytes, or a single member. Raises ValueError for logits that are not finite.
        """
        place = 0
        for members in self._ranges(memory):
            inside = self.numbers[(self.numbers >= members.start) & (self.numbers < members.stop)]
            if not len(inside):
                continue
            block = np.asarray(self.array[time, members], np.float32)
            if len(inside) < len(block):
                block = block[inside - members.start]
            finite = np.isfinite(block).all((1, 2))
            if not finite.all():
                raise ValueError(
                    f"logits of member {inside[~finite][0]} at time index {time} are not finite; "
                    "leave out members that are not healthy, and times that are not recorded"
                )
            yield slice(place, place + len(inside)), block
            place += len(inside)

    def _ranges(self, memory: int) -> Iterator[slice]:
        samples, logits = self.shape
        fitting = max(1, memory // max(1, 4 * samples * logits))
        chunk = getattr(self.array, "chunks", (1, 1))[1]
        length = fitting // chunk * chunk or fitting
        stored = self.array.shape[1]
        return (slice(start, min(start + length, stored)) for start in range(0, stored, length))
