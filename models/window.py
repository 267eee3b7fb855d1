"""Where a square window stands as it slides over a grid: convolutions and local pools share it."""

import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.models.checks import check_positive
from widesym.models.signal import Domain, Signal

Padding = Literal["SAME", "VALID", "CIRCULAR"]


@dataclass(frozen=True)
class Window:
    """`size` × `size` pixels in steps of `stride`, placed as JAX's paddings place them; CIRCULAR wraps SAME's around.

    Raises ValueError for a size, stride or padding that does not exist, naming the layer `name`.
    """

    name: str
    size: int
    stride: int = 1
    padding: Padding = "SAME"

    def __post_init__(self):
        for field in ("size", "stride"):
            check_positive(self.name, field, getattr(self, field))
        if self.padding not in typing.get_args(Padding):
            allowed = ", ".join(typing.get_args(Padding))
            raise ValueError(f"{self.name}: padding is {self.padding!r}; it must be one of {allowed}")

    def places(self, pixels: int) -> int:
        """How many places the window takes along an axis of `pixels`."""
        if self.padding == "VALID":
            return (pixels - self.size) // self.stride + 1
        return -(-pixels // self.stride)

    def pads(self, pixels: int) -> tuple[int, int]:
        """Pixels that the window reads before the first and after the last of an axis."""
        if self.padding == "VALID":
            return 0, 0
        total = max((self.places(pixels) - 1) * self.stride + self.size - pixels, 0)
        return total // 2, total - total // 2

    def output_grid(self, signal: Signal) -> tuple[int, int]:
        """The grid of places; raises ValueError where there is no grid or the window does not fit on it."""
        if signal.grid is None:
            hint = "; images of one channel are (H, W, 1)" if signal.atoms else ""
            raise ValueError(f"{self.name} acts on images, but gets {signal}{hint}")
        if signal.atoms:
            raise ValueError(f"{self.name} acts on images, but gets {signal}; put it inside AtomSum(…)")
        rows, columns = signal.grid
        if self.padding != "SAME" and self.size > min(rows, columns):  # zeros around an image have no bounds
            raise ValueError(
                f"{self.name}: a window of {self.size}×{self.size} does not fit in {rows}×{columns} pixels"
            )
        if self.padding == "CIRCULAR" and (rows % self.stride or columns % self.stride):
            raise ValueError(
                f"{self.name}: with CIRCULAR padding the stride must divide the grid, but {self.stride} does not "
                f"divide {rows}×{columns}"
            )
        if signal.group:
            self.check_symmetry(signal.group, signal)
        return self.places(rows), self.places(columns)

    def check_symmetry(self, group: Domain, signal: Signal) -> None:
        """Raise ValueError where the group does not map the grid, or the window's places on it, to themselves."""
        rows, columns = signal.grid or (1, 1)
        if group.needs_square and rows != columns:
            raise ValueError(f"{self.name}: {group} needs a square image, but gets {signal}")
        if group.order == 1:
            return
        for pixels in (rows, columns):
            before, after = self.pads(pixels)
            left = before + pixels + after - (self.places(pixels) - 1) * self.stride - self.size
            if before != after or left:
                raise ValueError(
                    f"{self.name}: windows of {self.size}×{self.size} with stride {self.stride} and {self.padding} "
                    f"padding do not lie symmetrically on {pixels} pixels, which {group} turns around; "
                    f"{self._remedy(pixels)}"
                )

    def _remedy(self, pixels: int) -> str:
        if self.padding == "VALID":
            return f"(pixels − size) must be a multiple of the stride, but {pixels} − {self.size} is not"
        return "use an odd size with stride 1, a size as even or odd as the stride, or VALID padding"

    def padded(
        self, x: Float[Array, "*axis row column sample"]
    ) -> Float[Array, "*axis padded_row padded_column sample"]:
        """x with the pixels around it that windows read: zeros, or its other side."""
        rows, columns = self.pads(x.shape[-3]), self.pads(x.shape[-2])
        if not any((*rows, *columns)):
            return x
        width = (*[(0, 0)] * (x.ndim - 3), rows, columns, (0, 0))
        return jnp.pad(x, width, mode="wrap" if self.padding == "CIRCULAR" else "constant")

    def views(self, x: Float[Array, "*axis row column sample"]) -> Float[Array, "tap *axis new_row new_column sample"]:
        """What each of the window's pixels reads at each place, tap by tap."""
        return self.read(self.padded(x))

    def read(
        self, padded: Float[Array, "*axis row column sample"]
    ) -> Float[Array, "tap *axis new_row new_column sample"]:
        """The same of what is padded already."""
        return jnp.stack([padded[index] for index in self.taps(padded.shape)])

    def taps(self, padded: Sequence[int]) -> list[tuple[Any, ...]]:
        """For each of the window's pixels the indices, into an array of this padded shape, of what it reads."""

        def along(pixels: int, offset: int) -> slice:
            places = (pixels - self.size) // self.stride + 1
            return slice(offset, offset + (places - 1) * self.stride + 1, self.stride)

        return [
            (..., along(padded[-3], i), along(padded[-2], j), slice(None))
            for i in range(self.size)
            for j in range(self.size)
        ]
