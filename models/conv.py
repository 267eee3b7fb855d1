"""Planar convolution, at finite and infinite width."""

import typing
from dataclasses import dataclass
from numbers import Integral

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.covariance import Lag, Padding, filter_mean, taps
from models.layer import Affine, AffineModule
from models.signal import Signal


@dataclass(frozen=True)
class Conv(Affine):
    """z(t) = σ_w/√(n·|S|) Σ_{y∈S} W(y) x(t+y) + σ_b b, over a filter S of size × size pixels (theory.md §1)."""

    features: int
    size: int
    padding: Padding = "SAME"

    def __post_init__(self):
        super().__post_init__()
        check_filter("Conv", self.size, self.padding)

    def output(self, signal: Signal) -> Signal:
        if signal.group:
            raise ValueError(
                f"Conv acts on images, but gets {signal}; use GroupConv({signal.group}, …) after a lifting"
            )
        return Signal(self.features, convolved_grid("Conv", signal, self.size, self.padding))

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "ConvModule":
        return ConvModule(self, (self.features, self.size**2 * signal.channels), rngs)

    def average(self, covariance: Float[Array, "row column"], lag: Lag) -> Float[Array, "new_row new_column"]:
        """A(K)(t,t') = (1/|S|) Σ_y K(t+y, t'+y) (theory.md §2)."""
        return filter_mean(covariance, self.size, self.padding, lag)


class ConvModule(AffineModule[Conv]):
    """Finite-width Conv: patches, then one matrix product."""

    def __call__(self, x: Float[Array, "channel row column sample"]) -> Float[Array, "feature row column sample"]:
        columns, grid = patches(x, self.layer.size, self.layer.padding)
        return self.add_bias((self.scaled_weight() @ columns).reshape(-1, *grid, x.shape[-1]))


def check_filter(name: str, size: int, padding: str) -> None:
    """Raise ValueError for a filter size or a padding that does not exist."""
    if not isinstance(size, Integral) or size < 1:
        raise ValueError(f"{name}: size is {size!r}; it must be a positive integer")
    if padding not in typing.get_args(Padding):
        raise ValueError(f"{name}: padding is {padding!r}; it must be one of {', '.join(typing.get_args(Padding))}")


def convolved_grid(name: str, signal: Signal, size: int, padding: Padding) -> tuple[int, int]:
    """The grid after a convolution; raises ValueError where there is no grid or the filter does not fit in it."""
    if signal.grid is None:
        raise ValueError(f"{name} acts on images, but gets {signal}")
    rows, columns = signal.grid
    if size > min(rows, columns):
        raise ValueError(f"{name}: a filter of {size}×{size} does not fit in {rows}×{columns} pixels")
    return (rows - size + 1, columns - size + 1) if padding == "VALID" else (rows, columns)


def patches(
    x: Float[Array, "channel row column sample"], size: int, padding: Padding
) -> tuple[Float[Array, "tap*channel pixel*sample"], tuple[int, int]]:
    """The pixels under the filter at each output pixel, tap by tap, and the output's grid."""
    if padding != "VALID":
        offsets = taps(size, padding)
        width = (-offsets[0], offsets[-1])
        x = jnp.pad(x, ((0, 0), width, width, (0, 0)), mode="wrap" if padding == "CIRCULAR" else "constant")
    rows, columns = x.shape[1] - size + 1, x.shape[2] - size + 1
    views = [x[:, i : i + rows, j : j + columns] for i in range(size) for j in range(size)]
    return jnp.stack(views).reshape(size**2 * x.shape[0], -1), (rows, columns)
