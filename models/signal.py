"""What travels between layers: the shape of a signal, and the memory layout behind it."""

from collections.abc import Sequence
from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from models.groups import Group


@dataclass(frozen=True)
class Signal:
    """`channels` functions on the pixels of `grid` (rows, columns), on `group`, on both, or on one point (a vector).

    Arrays inside a network are laid out [channel, group, row, column, sample], absent axes left out. The sample axis is
    innermost: patches are then contiguous copies and every convolution is one large matrix product (docs/design.md).
    """

    channels: int
    grid: tuple[int, int] | None = None
    group: Group | None = None

    @classmethod
    def of_input(cls, shape: Sequence[int]) -> "Signal":
        """Of an input shape, (H, W, C) for images or (C,) for vectors; raises ValueError for any other."""
        shape = tuple(shape)
        if len(shape) not in (1, 3) or any(size < 1 for size in shape):
            raise ValueError(f"input shape is {shape}; it must be (H, W, C) for images or (C,) for vectors")
        return cls(shape[-1], (shape[0], shape[1]) if len(shape) == 3 else None)

    def __str__(self) -> str:
        if self.is_vector:
            return f"a vector of {self.channels} channels"
        axes = ([str(self.group)] if self.group else []) + (
            [f"{self.grid[0]}×{self.grid[1]} pixels"] if self.grid else []
        )
        return f"{self.channels} channels on {' × '.join(axes)}"

    @property
    def is_vector(self) -> bool:
        """Whether the signal lives on a single point."""
        return self.grid is None and self.group is None

    @property
    def points(self) -> int:
        """Number of points the signal lives on: group elements times pixels."""
        rows, columns = self.grid or (1, 1)
        return rows * columns * (self.group.order if self.group else 1)


def to_layout(x: Float[Array, "sample *pixel channel"]) -> Float[Array, "channel *pixel sample"]:
    """From the users' layout (samples first, channels last) to the networks'."""
    return jnp.moveaxis(x, (0, -1), (-1, 0))
