"""Layer normalisation."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import Any

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from widesym.models.layer import Nonlinearity
from widesym.models.signal import Signal


@dataclass(frozen=True)
class LayerNorm(Nonlinearity):
    """z = (x − mean_c x)/√(var_c x + ε), over the channels at each point, without weights of its own.

    At infinite width, after a layer with weights, mean and variance over channels are 0 and K(x, x): a division by a
    number, so Gaussians stay Gaussian. The derivative of that number is shared by all channels and vanishes from Θ.
    """

    epsilon: float = 1e-6

    def __post_init__(self):
        if not isinstance(self.epsilon, Real) or not 0 < self.epsilon < math.inf:
            raise ValueError(f"LayerNorm: epsilon is {self.epsilon!r}; it must be positive")

    def output(self, signal: Signal) -> Signal:
        if signal.channels < 2:
            raise ValueError(f"LayerNorm normalises over channels and needs at least two, but gets {signal}")
        return signal

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "LayerNormModule":
        return LayerNormModule(self.epsilon)

    def dual(
        self, nngp: Float[Array, "..."], variance1: Float[Array, "..."], variance2: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """K/√((q+ε)(q'+ε)), and the same factor for Θ."""
        scale = 1 / (jnp.sqrt(variance1 + self.epsilon) * jnp.sqrt(variance2 + self.epsilon))
        return nngp * scale, jnp.broadcast_to(scale, nngp.shape)

    def side(self, variance: Float[Array, "..."]) -> Float[Array, "..."]:
        """The factor 1/√(q + ε) by which inputs of variance q are scaled."""
        return 1 / jnp.sqrt(variance + self.epsilon)

    def dual_of_gaps(
        self, near: Float[Array, "..."], far: Float[Array, "..."], side1: Any, side2: Any
    ) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
        """Both gaps times the factor: angles stay as they are."""
        scale = side1 * side2
        return near * scale, far * scale, jnp.broadcast_to(scale, near.shape)


class LayerNormModule(nnx.Module):
    """The normalisation of `LayerNorm` at finite width, over the channels at each point."""

    def __init__(self, epsilon: float):
        self.epsilon = epsilon

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "channel *point sample"]:
        centred = x - x.mean(axis=0)
        return centred / jnp.sqrt((centred**2).mean(axis=0) + self.epsilon)
