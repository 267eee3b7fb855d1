"""What travels between layers: the shape of a signal, and the memory layout behind it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import jax.numpy as jnp
from jaxtyping import Array, Float


class Domain(Protocol):
    """What a signal's group axis runs over: a finite `Group`, or the grid points of `SO3`."""

    @property
    def order(self) -> int:
        """Number of elements or points."""
        ...

    @property
    def needs_square(self) -> bool:
        """Whether it acts on square pixel grids alone."""
        ...


@dataclass(frozen=True)
class Signal:
    """`channels` functions on `atoms`, on a group, on the pixels of `grid` (rows, columns), on several, or on a point.

    Arrays inside a network are laid out [channel, atom, group, row, column, sample], absent axes left out. The sample
    axis is innermost: patches are then contiguous copies, every convolution one large matrix product (docs/design.md).
    """

    channels: int
    grid: tuple[int, int] | None = None
    group: Domain | None = None
    atoms: int | None = None

    @classmethod
    def of_input(cls, shape: Sequence[int]) -> "Signal":
        """Of an input shape: (H, W, C) an image or sphere, (C,) a vector; (A, H, W, C) or (A, C) a set of A of them.

        Raises ValueError for any other shape.
        """
        if not 1 <= len(shape) <= 4 or any(size < 1 for size in shape):
            raise ValueError(
                f"input shape is {tuple(shape)}; it must be (H, W, C) for images, (C,) for vectors, "
                "(A, H, W, C) or (A, C) for sets of A of them"
            )
        grid = (shape[-3], shape[-2]) if len(shape) >= 3 else None
        return cls(shape[-1], grid, atoms=shape[0] if len(shape) in (2, 4) else None)

    def __str__(self) -> str:
        if self.is_vector:
            return f"a vector of {self.channels} channels"
        axes = [
            *([f"{self.atoms} atoms"] if self.atoms else []),
            *([str(self.group)] if self.group else []),
            *([f"{self.grid[0]}×{self.grid[1]} pixels"] if self.grid else []),
        ]
        return f"{self.channels} channels on {' × '.join(axes)}"

    @property
    def is_vector(self) -> bool:
        """Whether the signal lives on a single point."""
        return not self.axes

    @property
    def axes(self) -> tuple[int, ...]:
        """Sizes of the axes between channels and samples."""
        return (
            *([self.atoms] if self.atoms else []),
            *([self.group.order] if self.group else []),
            *(self.grid or ()),
        )

    @property
    def points(self) -> int:
        """Number of points the signal lives on: atoms times group elements times pixels."""
        return math.prod(self.axes)


def to_layout(x: Float[Array, "sample *pixel channel"]) -> Float[Array, "channel *pixel sample"]:
    """From the users' layout (samples first, channels last) to the networks'."""
    return jnp.moveaxis(x, (0, -1), (-1, 0))
