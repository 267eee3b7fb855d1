"""Pointwise nonlinearities φ and their Gaussian duals, E[φ(u)φ(v)] and E[φ'(u)φ'(v)] (theory.md §2).

In the duals k = E[uv], q = E[u²], q' = E[v²] and c = k/√(qq'). A zero variance is a signal that is zero, and gives φ(0)
and φ'(0); rounding may leave |k| a little above √(qq').
"""

import math
from dataclasses import dataclass
from numbers import Real

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.arc_cosine import arccos
from models.layer import Nonlinearity
from models.signal import Signal

Field = Float[Array, "..."]


@dataclass(frozen=True)
class Activation(Nonlinearity):
    """A nonlinearity given by its function φ."""

    def phi(self, z: Field) -> Field:
        """φ(z), value by value."""
        raise NotImplementedError

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "PointwiseModule":
        return PointwiseModule(self)


class PointwiseModule(nnx.Module):
    """Any activation at finite width."""

    def __init__(self, layer: Activation):
        self.layer = layer

    def __call__(self, x: Field) -> Field:
        return self.layer.phi(x)


def norm_and_cosine(nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
    """√(qq') and c, clipped to [−1, 1]; c is 0 where a variance is.

    As q_max √(q_min/q_max): qq' would underflow in float32 for inputs of 1e-10, and √q √q' round to other than q where
    q = q', so that an input's cosine with itself would not be exactly 1.
    """
    large, small = jnp.maximum(variance1, variance2), jnp.minimum(variance1, variance2)
    norm = large * jnp.sqrt(small / jnp.where(large > 0, large, 1))
    return norm, jnp.clip(nngp / jnp.where(norm > 0, norm, 1), -1, 1)


def sine_of(cosine: Field) -> Field:
    """√(1 − c²)."""
    return jnp.sqrt((1 - cosine) * (1 + cosine))


def hypotenuse(a: Field, b: Field) -> Field:
    """√(a² + b²) for a > 0, b ≥ 0, without their squares, which overflow in float32 for inputs of 1e10."""
    large, small = jnp.maximum(a, b), jnp.minimum(a, b)
    return large * jnp.sqrt(1 + (small / large) ** 2)


@dataclass(frozen=True)
class PiecewiseLinear(Activation):
    """φ(z) = s₊ max(z, 0) − s₋ max(−z, 0), with φ'(0) = 0 at any width."""

    @property
    def slopes(self) -> tuple[float, float]:
        """s₊ and s₋, of positive and of negative z."""
        raise NotImplementedError

    def phi(self, z: Field) -> Field:
        positive, negative = self.slopes
        return positive * jax.nn.relu(z) - negative * jax.nn.relu(-z)

    def dual(self, nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
        """√(qq') ((s₊ − s₋)² J₁(c) + s₊ s₋ c) and (s₊ − s₋)² J₀(c) + s₊ s₋, as φ(z) = (s₊ − s₋) max(z, 0) + s₋ z.

        J₁(c) = (√(1 − c²) + (π − arccos c) c)/2π and J₀(c) = (π − arccos c)/2π are max(z, 0)'s own, the arc-cosine
        kernels of order one and zero (Lee et al. 2019, arXiv:1902.06720).
        """
        norm, cosine = norm_and_cosine(nngp, variance1, variance2)
        value, derivative = self._at(cosine)
        return norm * value, jnp.where(norm > 0, derivative, 0)

    def side(self, variance: Field) -> tuple[Field, Field]:
        """√q and 1/√q, or zeros where the signal vanishes."""
        deviation = jnp.sqrt(variance)
        return deviation, jnp.where(deviation > 0, 1 / jnp.where(deviation > 0, deviation, 1), 0)

    def dual_of_sides(self, nngp: Field, side1: tuple[Field, Field], side2: tuple[Field, Field]) -> tuple[Field, Field]:
        """The dual without a division or a root for each pair; where a variance is zero, Θ is too and stays so."""
        (deviation1, inverse1), (deviation2, inverse2) = side1, side2
        value, derivative = self._at(jnp.clip(nngp * inverse1 * inverse2, -1, 1))
        return (deviation1 * deviation2) * value, derivative

    def _at(self, cosine: Field) -> tuple[Field, Field]:
        """The dual of unit variances."""
        angle = jnp.pi - arccos(cosine)
        kink, product = (self.slopes[0] - self.slopes[1]) ** 2, self.slopes[0] * self.slopes[1]
        value = kink / (2 * jnp.pi) * (sine_of(cosine) + angle * cosine) + product * cosine
        return value, kink / (2 * jnp.pi) * angle + product


@dataclass(frozen=True)
class Relu(PiecewiseLinear):
    """φ(z) = max(z, 0)."""

    def phi(self, z: Field) -> Field:
        return jax.nn.relu(z)

    @property
    def slopes(self) -> tuple[float, float]:
        return 1.0, 0.0


@dataclass(frozen=True)
class LeakyRelu(PiecewiseLinear):
    """φ(z) = z where z > 0, else slope·z."""

    slope: float

    def __post_init__(self):
        _check_finite(self, "slope", self.slope)

    @property
    def slopes(self) -> tuple[float, float]:
        return 1.0, self.slope


@dataclass(frozen=True)
class Abs(PiecewiseLinear):
    """φ(z) = |z|."""

    @property
    def slopes(self) -> tuple[float, float]:
        return 1.0, -1.0


@dataclass(frozen=True)
class Erf(Activation):
    """φ(z) = erf(z)."""

    def phi(self, z: Field) -> Field:
        return jax.scipy.special.erf(z)

    def dual(self, nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
        """(2/π) arctan(2k/√D) and (4/π)/√D with D = (1 + 2q)(1 + 2q') − 4k² (Williams 1997, theory.md §2)."""
        norm, cosine = norm_and_cosine(nngp, variance1, variance2)
        root = hypotenuse(jnp.sqrt(1 + 2 * variance1 + 2 * variance2), 2 * norm * sine_of(cosine))
        return 2 / jnp.pi * jnp.arctan2(2 * nngp, root), 4 / jnp.pi / root


@dataclass(frozen=True)
class Gelu(Activation):
    """φ(z) = z P(z) with the normal distribution function P(z) = (1 + erf(z/√2))/2: the exact form."""

    def phi(self, z: Field) -> Field:
        return jax.nn.gelu(z, approximate=False)

    def dual(self, nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
        """kF + N(qq' − k² + k²/(1+q) + k²/(1+q')) and F + Nk(1/(1+q) + 1/(1+q') + 1/D).

        With D = (1 + q)(1 + q') − k², F = E[P(u)P(v)] = 1/4 + arctan(k/√D)/2π and N = E[P'(u)P'(v)] = 1/(2π√D): Stein's
        lemma, as P'' = −z P' (Tsuchida et al. 2021, arXiv:2002.08517, prove the first in another form).
        """
        norm, cosine = norm_and_cosine(nngp, variance1, variance2)
        gap = norm * sine_of(cosine)  # √(qq' − k²), without cancellation where c = 1
        root = hypotenuse(jnp.sqrt(1 + variance1 + variance2), gap)  # √D
        both = 1 / 4 + jnp.arctan2(nngp, root) / (2 * jnp.pi)
        shrunk = nngp / (1 + variance1) + nngp / (1 + variance2)
        value = nngp * both + (gap * (gap / root) + nngp / root * shrunk) / (2 * jnp.pi)
        return value, both + (shrunk + nngp / root / root) / root / (2 * jnp.pi)


@dataclass(frozen=True)
class Sin(Activation):
    """φ(z) = sin(frequency·z)."""

    frequency: float = 1.0

    def __post_init__(self):
        _check_finite(self, "frequency", self.frequency)

    def phi(self, z: Field) -> Field:
        return jnp.sin(self.frequency * z)

    def dual(self, nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
        """e^{−(q+q')/2} sinh k and ω² e^{−(q+q')/2} cosh k, after k, q, q' ← ω²k, ω²q, ω²q' for the frequency ω.

        As e^{|k| − (q+q')/2} (1 ∓ e^{−2|k|})/2, which does not overflow, with (q + q')/2 − |k| as
        (√q − √q')²/2 + √(qq') (1 − |c|), which is exactly 0 between a signal and itself, however large.
        """
        squared = self.frequency**2
        size = squared * jnp.abs(nngp)
        norm, cosine = norm_and_cosine(nngp, variance1, variance2)
        gap = (jnp.sqrt(variance1) - jnp.sqrt(variance2)) ** 2 / 2 + norm * (1 - jnp.abs(cosine))
        decay = jnp.exp(-squared * gap) / 2
        mirrored = jnp.expm1(-2 * size)
        return -jnp.sign(nngp) * decay * mirrored, squared * decay * (2 + mirrored)


def _check_finite(layer: Activation, name: str, value: float) -> None:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{type(layer).__name__}: {name} is {value!r}; it must be a finite number")
