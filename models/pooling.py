"""Layers that leave the grid or the group: Flatten and the global pools, at finite and infinite width.

At infinite width Flatten reads the zero lag and a pool averages over all lags; which is theory.md §3's last column.
"""

import math
from dataclasses import dataclass, replace

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layer import Reduction
from models.signal import Signal


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
    """Mean over all group elements and whatever pixels remain, per channel: exactly invariant (theory.md §1)."""

    def output(self, signal: Signal) -> Signal:
        if signal.group is None:
            raise ValueError(f"GroupPool averages over a group, but gets {signal}; start with LiftingConv")
        return Signal(signal.channels)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "MeanModule":
        return MeanModule((1, 2, 3) if signal.grid else (1,))


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
