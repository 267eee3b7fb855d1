"""Layers without weights that average or maximise over points, and Flatten.

At infinite width Flatten reads the zero lag and a global pool averages over all lags (theory.md §3). Local averages mix
lags, and a maximum has no closed form.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.groups import Group
from models.layer import Layer, Reduction
from models.signal import Signal
from models.window import Window


@dataclass(frozen=True)
class Flatten(Reduction):
    """All channels at all points, as one vector."""

    def output(self, signal: Signal) -> Signal:
        return Signal(signal.channels * signal.points)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "FlattenModule":
        return FlattenModule()


@dataclass(frozen=True)
class GlobalAvgPool(Reduction):
    """Mean over all pixels, per channel and group element."""

    def output(self, signal: Signal) -> Signal:
        if signal.grid is None:
            raise ValueError(f"GlobalAvgPool averages over pixels, but gets {signal}")
        return replace(signal, grid=None)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "MeanModule":
        return MeanModule((-3, -2))


@dataclass(frozen=True)
class GroupPool(Reduction):
    """Mean over all group elements and whatever pixels remain, per channel (theory.md §1).

    Exactly invariant if every layer before it is equivariant.
    """

    def output(self, signal: Signal) -> Signal:
        if not isinstance(signal.group, Group):
            advice = "use SO3Pool" if signal.group else "start with LiftingConv"
            raise ValueError(f"GroupPool averages over a finite group, but gets {signal}; {advice}")
        return Signal(signal.channels)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "MeanModule":
        return MeanModule((1, 2, 3) if signal.grid else (1,))


@dataclass(frozen=True)
class _LocalPool(Layer):
    """A function of each size × size window that fits in the grid, per channel and group element."""

    size: int
    stride: int | None = None

    def __post_init__(self):
        _ = self.window

    @property
    def window(self) -> Window:
        """Where the windows stand: side by side, unless a stride is given."""
        stride = self.size if self.stride is None else self.stride
        return Window(type(self).__name__, self.size, stride, "VALID")

    def output(self, signal: Signal) -> Signal:
        return replace(signal, grid=self.window.output_grid(signal))


@dataclass(frozen=True)
class AvgPool(_LocalPool, Reduction):
    """Mean over each window, z(t) = (1/|S|) Σ_{y∈S} x(stride·t+y); its kernel mixes lags (theory.md §3)."""

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "LocalPoolModule":
        return LocalPoolModule(self.window, jnp.mean)


@dataclass(frozen=True)
class MaxPool(_LocalPool):
    """Maximum over each window; there is no closed form of its kernel."""

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "LocalPoolModule":
        return LocalPoolModule(self.window, jnp.max)


class FlattenModule(nnx.Module):
    """Finite-width Flatten."""

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "feature sample"]:
        return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


class MeanModule(nnx.Module):
    """Mean over some axes of [channel, group, row, column, sample]."""

    def __init__(self, axes: tuple[int, ...]):
        self.axes = axes

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "channel *kept sample"]:
        return jnp.mean(x, axis=self.axes)


class LocalPoolModule(nnx.Module):
    """A reduction over the pixels of each window."""

    def __init__(self, window: Window, reduce: Callable[..., Array]):
        self.window, self.reduce = window, reduce

    def __call__(self, x: Float[Array, "channel *axis row column sample"]) -> Float[Array, "channel *axis r c sample"]:
        size = self.window.size
        if self.window.stride != size:
            return self.reduce(self.window.views(x), axis=0)
        # Side by side, windows are blocks of the array: no copies, and a gradient several times faster.
        rows, columns = (self.window.places(pixels) for pixels in x.shape[-3:-1])
        blocks = x[..., : rows * size, : columns * size, :]
        return self.reduce(blocks.reshape(*x.shape[:-3], rows, size, columns, size, x.shape[-1]), axis=(-4, -2))
