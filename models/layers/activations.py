"""Pointwise nonlinearities φ and their Gaussian duals, E[φ(u)φ(v)] and E[φ'(u)φ'(v)] (theory.md §2).

In the duals k = E[uv], q = E[u²], q' = E[v²] and c = k/√(qq'). A zero variance is a signal that is zero, and gives φ(0)
and φ'(0), of piecewise linear φ what the mean of their slopes gives; rounding may leave |k| a little above √(qq').
"""

import math
from dataclasses import dataclass
from numbers import Real

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from widesym.models.covariance import in_memory
from widesym.models.layer import Nonlinearity
from widesym.models.layers.arc_cosine import angle_and_sine
from widesym.models.layers.separation import gaps_of
from widesym.models.signal import Signal
from widesym.models.smooth_roots import inverse, root

Field = Float[Array, "..."]


@dataclass(frozen=True)
class Activation(Nonlinearity):
    """A nonlinearity given by its function φ."""

    def phi(self, z: Field) -> Field:
        """φ(z) of each value of z, in its shape and type."""
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
    norm = large * root(small * inverse(large))
    return norm, jnp.clip(nngp * inverse(norm), -1, 1)


def sine_of(cosine: Field) -> Field:
    """√(1 − c²) of cosines c; zero, with slope zero, where |c| ≥ 1."""
    return root((1 - cosine) * (1 + cosine))


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
        norm, _ = norm_and_cosine(nngp, variance1, variance2)
        near, far, derivative = self._of_gaps(*gaps_of(nngp, norm), norm, inverse(norm))
        return (far - near) / 2, derivative

    def side(self, variance: Field) -> tuple[Field, Field]:
        """√q and 1/√q, or zeros where the signal vanishes."""
        deviation = root(variance)
        return deviation, inverse(deviation)

    def dual_of_gaps(
        self, near: Field, far: Field, side1: tuple[Field, Field], side2: tuple[Field, Field]
    ) -> tuple[Field, Field, Field]:
        """To ε however close c is to ±1, and without a division or a root for each pair but of the angle itself."""
        (deviation1, inverse1), (deviation2, inverse2) = side1, side2
        return self._of_gaps(near, far, deviation1 * deviation2, inverse1 * inverse2)

    def _of_gaps(self, near: Field, far: Field, norm: Field, inverse_norm: Field) -> tuple[Field, Field, Field]:
        """In even and odd parts of c = ±cos θ, θ ≤ π/2: with α = ((s₊ + s₋)/2)² and β = (s₊ − s₋)²/2π,

        E[φφ] = αk + β√(qq') (sin θ + (π/2 − θ) cos θ) and E[φ'φ'] = α ± β (π/2 − θ). Taken from √(qq') E[φ²]/q, what
        multiplies β √(qq') leaves π/2 − (…) = bend below, which is small where θ is.
        """
        positive, negative = self.slopes
        mean, kink = (positive + negative) ** 2 / 4, (positive - negative) ** 2 / (2 * math.pi)
        is_near = near <= far
        gap = jnp.where(inverse_norm > 0, jnp.where(is_near, near, far) * inverse_norm, 1)  # at zero as at c = 0
        angle, sine = angle_and_sine(gap)
        bend = kink * norm * (math.pi / 2 * gap - (sine - (1 - gap) * angle))
        angle, bend = in_memory(angle), in_memory(bend)
        odd = kink * (math.pi / 2 - angle)
        derivative = mean + jnp.where(is_near, odd, -odd)
        return mean * near + bend, mean * far + (math.pi * kink * norm - bend), derivative


@dataclass(frozen=True)
class Relu(PiecewiseLinear):
    """The rectified linear unit φ(z) = max(z, 0)."""

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
    """The absolute value as activation, φ(z) = |z|."""

    @property
    def slopes(self) -> tuple[float, float]:
        return 1.0, -1.0


@dataclass(frozen=True)
class ClosedForm(Activation):
    """A smooth activation whose dual is known from k, √(qq') ∓ k and the variances."""

    def dual(self, nngp: Field, variance1: Field, variance2: Field) -> tuple[Field, Field]:
        norm, _ = norm_and_cosine(nngp, variance1, variance2)
        return self.closed_form(nngp, gaps_of(nngp, norm), (variance1, variance2))

    def dual_of_gaps(
        self, near: Field, far: Field, side1: tuple[Field, Field], side2: tuple[Field, Field]
    ) -> tuple[Field, Field, Field]:
        """From the gaps, which matter where variances are large; afterwards √(qq') ∓ K is but to rounding of K."""
        (variance1, after1), (variance2, after2) = side1, side2
        value, derivative = self.closed_form((far - near) / 2, (near, far), (variance1, variance2))
        return *gaps_of(value, after1 * after2), derivative

    def closed_form(
        self, nngp: Field, gaps: tuple[Field, Field], variances: tuple[Field, Field]
    ) -> tuple[Field, Field]:
        """E[φ(u)φ(v)] and E[φ'(u)φ'(v)] from k, √(qq') ∓ k and q, q', the (co)variances of u and v."""
        raise NotImplementedError


@dataclass(frozen=True)
class Erf(ClosedForm):
    """The error function as activation, φ(z) = erf(z)."""

    def phi(self, z: Field) -> Field:
        return jax.scipy.special.erf(z)

    def closed_form(
        self, nngp: Field, gaps: tuple[Field, Field], variances: tuple[Field, Field]
    ) -> tuple[Field, Field]:
        """(2/π) arctan(2k/√D) and (4/π)/√D with D = (1 + 2q)(1 + 2q') − 4k² (Williams 1997, theory.md §2)."""
        (near, far), (variance1, variance2) = gaps, variances
        root_d = hypotenuse(jnp.sqrt(1 + 2 * variance1 + 2 * variance2), 2 * root(near) * root(far))
        return 2 / jnp.pi * jnp.arctan2(2 * nngp, root_d), 4 / jnp.pi / root_d


@dataclass(frozen=True)
class Gelu(ClosedForm):
    """φ(z) = z P(z) with the normal distribution function P(z) = (1 + erf(z/√2))/2: the exact form."""

    def phi(self, z: Field) -> Field:
        return jax.nn.gelu(z, approximate=False)

    def closed_form(
        self, nngp: Field, gaps: tuple[Field, Field], variances: tuple[Field, Field]
    ) -> tuple[Field, Field]:
        """kF + N(qq' − k² + k²/(1+q) + k²/(1+q')) and F + Nk(1/(1+q) + 1/(1+q') + 1/D).

        With D = (1 + q)(1 + q') − k², F = E[P(u)P(v)] = 1/4 + arctan(k/√D)/2π and N = E[P'(u)P'(v)] = 1/(2π√D): Stein's
        lemma, as P'' = −z P' (Tsuchida et al. 2021, arXiv:2002.08517, prove the first in another form).
        """
        (near, far), (variance1, variance2) = gaps, variances
        gap = root(near) * root(far)  # √(qq' − k²), without cancellation where c = 1
        root_d = hypotenuse(jnp.sqrt(1 + variance1 + variance2), gap)
        both = 1 / 4 + jnp.arctan2(nngp, root_d) / (2 * jnp.pi)
        shrunk = nngp / (1 + variance1) + nngp / (1 + variance2)
        value = nngp * both + (gap * (gap / root_d) + nngp / root_d * shrunk) / (2 * jnp.pi)
        return value, both + (shrunk + nngp / root_d / root_d) / root_d / (2 * jnp.pi)


@dataclass(frozen=True)
class Sin(ClosedForm):
    """The sine as activation, φ(z) = sin(frequency·z)."""

    frequency: float = 1.0

    def __post_init__(self):
        _check_finite(self, "frequency", self.frequency)

    def phi(self, z: Field) -> Field:
        return jnp.sin(self.frequency * z)

    def closed_form(
        self, nngp: Field, gaps: tuple[Field, Field], variances: tuple[Field, Field]
    ) -> tuple[Field, Field]:
        """e^{−(q+q')/2} sinh k and ω² e^{−(q+q')/2} cosh k, after k, q, q' ← ω²k, ω²q, ω²q' for the frequency ω.

        As e^{|k| − (q+q')/2} (1 ∓ e^{−2|k|})/2, which does not overflow, with (q + q')/2 − |k| as
        (√q − √q')²/2 + √(qq') − |k|, which is exactly 0 between a signal and itself, however large.
        """
        squared, (near, far), (variance1, variance2) = self.frequency**2, gaps, variances
        positive = nngp >= 0
        size, gap = jnp.where(positive, nngp, -nngp), jnp.where(positive, near, far)
        decay = jnp.exp(-squared * ((root(variance1) - root(variance2)) ** 2 / 2 + gap)) / 2
        mirrored = jnp.expm1(-2 * squared * size)
        return decay * jnp.where(positive, -mirrored, mirrored), squared * decay * (2 + mirrored)


def _check_finite(layer: Activation, name: str, value: float) -> None:
    if not isinstance(value, Real) or not math.isfinite(value):
        raise ValueError(f"{type(layer).__name__}: {name} is {value!r}; it must be a finite number")
