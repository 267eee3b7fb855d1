"""Layers without weights that average or maximise over points, and Flatten.

At infinite width Flatten reads the zero lag and a global pool averages over all lags (theory.md §3). Local averages mix
lags, and a maximum has no closed form.
"""

import math
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import ClassVar

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from widesym.models.groups import Group
from widesym.models.layer import Layer, Reduction
from widesym.models.signal import Signal
from widesym.models.window import Window


@dataclass(frozen=True)
class Flatten(Reduction):
    """All channels at all points, as one vector."""

    keeps_lags_apart: ClassVar[bool] = True

    def output(self, signal: Signal) -> Signal:
        return Signal(signal.channels * signal.points)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "FlattenModule":
        return FlattenModule()


@dataclass(frozen=True)
class GlobalAvgPool(Reduction):
    """Mean over all pixels, per channel and group element."""

    keeps_lags_apart: ClassVar[bool] = True

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

    keeps_lags_apart: ClassVar[bool] = True

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

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "AvgPoolModule":
        return AvgPoolModule(self.window)


@dataclass(frozen=True)
class MaxPool(_LocalPool):
    """Maximum over each window; there is no closed form of its kernel.

    Its derivative is the mean over the pixels that reach the maximum.
    """

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "MaxPoolModule":
        return MaxPoolModule(self.window)


class FlattenModule(nnx.Module):
    """The flattening of `Flatten` at finite width: all points' channels in one vector, [feature, sample]."""

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "feature sample"]:
        return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


class MeanModule(nnx.Module):
    """Mean over some axes of [channel, group, row, column, sample]."""

    def __init__(self, axes: tuple[int, ...]):
        self.axes = axes

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "channel *kept sample"]:
        return jnp.mean(x, axis=self.axes)


class AvgPoolModule(nnx.Module):
    """Mean over the pixels of each window."""

    def __init__(self, window: Window):
        self.window = window

    def __call__(self, x: Float[Array, "channel *axis row column sample"]) -> Float[Array, "channel *axis r c sample"]:
        size = self.window.size
        if self.window.stride != size:
            return self.window.views(x).mean(axis=0)
        # Side by side, windows are blocks of the array: no copies, and a gradient several times faster.
        rows, columns = (self.window.places(pixels) for pixels in x.shape[-3:-1])
        blocks = x[..., : rows * size, : columns * size, :]
        return blocks.reshape(*x.shape[:-3], rows, size, columns, size, x.shape[-1]).mean(axis=(-4, -2))


class MaxPoolModule(nnx.Module):
    """Maximum over the pixels of each window."""

    def __init__(self, window: Window):
        self.window = window

    def __call__(self, x: Float[Array, "channel *axis row column sample"]) -> Float[Array, "channel *axis r c sample"]:
        return max_over_taps(self.window.views(x))


@jax.custom_jvp
def max_over_taps(taps: Float[Array, "tap *place"]) -> Float[Array, "*place"]:
    """The maximum over taps, whose derivative is the mean over those taps that reach it.

    Autodiff compares taps with the maximum. But a compiler may compute a tap twice, for the maximum and for the
    comparison, and round it differently (a bias is multiplied and added in one operation or in two), as XLA's for CPUs
    does: then no tap equals the maximum, and the gradient is lost. Here taps are compared with each other, so that
    there is always one that no other exceeds, however each was rounded.
    """
    return taps.max(axis=0)


@max_over_taps.defjvp
def _largest_and_derivative(
    primals: tuple[Float[Array, "tap *place"]], tangents: tuple[Float[Array, "tap *place"]]
) -> tuple[Float[Array, "*place"], Float[Array, "*place"]]:
    (taps,), (changes,) = primals, tangents
    reached = _unexceeded(taps)
    return max_over_taps(taps), jnp.where(reached, changes, 0).sum(axis=0) / reached.sum(axis=0)


def _unexceeded(taps: Float[Array, "tap *place"]) -> Bool[Array, "tap *place"]:
    """Which taps reach all those before them, and are exceeded by none after them."""
    before = accumulate(taps[:-1], jnp.maximum)  # the largest so far, for each tap but the first
    pairs = list(zip(taps[1:], before, strict=True))
    found, lasting = [], jnp.ones(taps.shape[1:], bool)
    for tap, highest in reversed(pairs):
        reaches = tap >= highest
        found.append(lasting & reaches)
        lasting &= (tap <= highest) | ~reaches  # one of both holds, even if the two comparisons round differently
    return jnp.stack([lasting, *reversed(found)])
