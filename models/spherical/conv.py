"""Spherical lifting and SO(3) convolutions with global filters, at finite and infinite width (theory.md §1, §3).

Between the layers are samples on the grids of models/spherical/wigner.py; within them, filters and integrals are
products of coefficients. White-noise filters W of bandlimit L have i.i.d. N(0, 1) coefficients in the orthonormal
bases.

At infinite width a hidden covariance is K(g, g') = κ(gg'⁻¹). The specs hand over κ as Wigner coefficients [l, m, n],
truncated at their own bandlimit; `values` puts them on a grid of SO(3), where nonlinearities act; the variance is the
value at the identity. The rest is the update of every layer: κ ← σ_w² κ + σ_b², Θ likewise.
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from widesym.models.checks import check_positive
from widesym.models.layer import Affine, AffineModule, Reduction
from widesym.models.signal import Signal
from widesym.models.spherical.harmonics import so3_analysis, so3_synthesis, sphere_analysis
from widesym.models.spherical.so3 import SO3
from widesym.models.spherical.wigner import (
    RingRule,
    driscoll_healy,
    norms,
    orders,
    so3_bandlimit,
    so3_weights,
    sphere_grid,
)


@dataclass(frozen=True)
class Spherical(Affine):
    """What the two layers share: their bandlimits, and on how fine a grid they hand over what they make.

    A nonlinearity's output has no bandlimit, and on the grid of bandlimit L itself its high degrees are taken for low
    ones: networks are then invariant, and follow their kernel, to a few percent. Oversampled twofold, at eight times
    the points, to some 10⁻³ (docs/architectures.md).
    """

    features: int
    bandlimit_in: int
    bandlimit_out: int
    oversampling: int = field(default=2, kw_only=True)

    def __post_init__(self):
        super().__post_init__()
        name = type(self).__name__
        for argument in ("bandlimit_in", "bandlimit_out", "oversampling"):
            check_positive(name, argument, getattr(self, argument))
        if self.bandlimit_out > self.bandlimit_in:
            raise ValueError(
                f"{name}: bandlimit_out={self.bandlimit_out} exceeds bandlimit_in={self.bandlimit_in}, and the degrees "
                "between them would be empty; choose bandlimit_out ≤ bandlimit_in"
            )


@dataclass(frozen=True)
class SphereLifting(Spherical):
    """From the sphere to SO(3): z(g) = σ_w/√(4πn) ∫_{S²} dx W(x) f(gx) + σ_b b (theory.md §1; arXiv:2406.06504)."""

    def output(self, signal: Signal) -> Signal:
        if signal.group or signal.atoms:
            raise ValueError(
                f"SphereLifting acts on the sphere, but gets {signal}; "
                + ("put it inside AtomSum(…)" if signal.atoms else "use SO3Conv after the first lifting")
            )
        expected = sphere_grid(self.bandlimit_in)
        if signal.grid != expected:
            raise ValueError(
                f"SphereLifting: signal has grid {signal.grid}, but bandlimit L={self.bandlimit_in} needs {expected}: "
                "2L rings of 2L−1 points"
            )
        return Signal(self.features, None, SO3(self.bandlimit_out, self.oversampling))

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "SphereLiftingModule":
        return SphereLiftingModule(self, signal.channels, rngs)

    def kappa(
        self, f1: Float[Array, "theta phi channel"], f2: Float[Array, "theta phi channel"]
    ) -> Float[Array, "l m n"]:
        """Coefficients l < L_out of κ₀(s) = 1/(4πn) Σ_c ∫ dx f1_c(sx) f2_c(x) = 1/(4πn) Σ_cl f1_lᵀ R^l(s) f2_l.

        The layer's κ is σ_w² κ₀ + σ_b², and its Θ is κ. Under nested vmaps over f1 and f2 each input is analysed once.
        """
        f1, f2 = (sphere_analysis(jnp.moveaxis(f, -1, 0)[..., None], self.bandlimit_out)[..., 0] for f in (f1, f2))
        scale = norms(self.bandlimit_out, 8 * np.pi**2) * 4 * np.pi * f1.shape[0]
        return jnp.einsum("clm,cln,l->lmn", f1, f2, jnp.asarray(1 / scale, f1.dtype))


@dataclass(frozen=True)
class SO3Conv(Spherical):
    """On SO(3): z(g) = σ_w/√(8π²n) ∫_{SO(3)} dh W(h) x(gh) + σ_b b (theory.md §1; arXiv:2406.06504)."""

    def output(self, signal: Signal) -> Signal:
        if not isinstance(signal.group, SO3) or signal.group.bandlimit != self.bandlimit_in:
            advice = "change its bandlimit_in" if isinstance(signal.group, SO3) else "put SphereLifting(…) before it"
            raise ValueError(f"SO3Conv needs a signal on {SO3(self.bandlimit_in)}, but gets {signal}; {advice}")
        return Signal(self.features, None, SO3(self.bandlimit_out, self.oversampling))

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "SO3ConvModule":
        return SO3ConvModule(self, signal.channels, rngs)

    def truncation(
        self, kappa: Float[Array, "group *pair"], rings: RingRule = driscoll_healy
    ) -> Float[Array, "l m n *pair"]:
        """A(κ): as ∫ dh κ(gh(g'h)⁻¹)/8π² = κ(gg'⁻¹), just the coefficients l < L_out, of κ on any grid of SO(3)."""
        coefficients = so3_analysis(kappa.reshape(1, len(kappa), -1), self.bandlimit_out, rings)[0]
        return coefficients.reshape(*coefficients.shape[:-1], *kappa.shape[1:])


@dataclass(frozen=True)
class SO3Pool(Reduction):
    """Mean over SO(3), 1/8π² ∫ dg, per channel: exactly invariant for band-limited signals (theory.md §1)."""

    def output(self, signal: Signal) -> Signal:
        if not isinstance(signal.group, SO3):
            raise ValueError(f"SO3Pool averages over SO(3), but gets {signal}; start with SphereLifting")
        return Signal(signal.channels)

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "SO3PoolModule":
        assert isinstance(signal.group, SO3)  # `output` has checked it
        return SO3PoolModule(signal.group.grid)

    def mean(self, kappa: Float[Array, "group *pair"], rings: RingRule = driscoll_healy) -> Float[Array, "*pair"]:
        """1/8π² ∫ ds κ(s), for κ on the grid of any bandlimit: the mean of K(g, g') over both g and g'."""
        weights = so3_weights(so3_bandlimit(len(kappa), rings), rings) / (8 * np.pi**2)
        return jnp.tensordot(jnp.asarray(weights, kappa.dtype), kappa, 1)


SphericalLayer = TypeVar("SphericalLayer", bound=Spherical)


class SphericalModule(AffineModule[SphericalLayer]):
    """What the finite layers share: weights meet coefficients, degree by degree, each order m with the same weights."""

    def weight_outputs(self, g: Float[Array, "feature group sample"]) -> Float[Array, "l feature*n m sample"]:
        L, samples = self.layer.bandlimit_out, g.shape[-1]
        z = jax.ShapeDtypeStruct((len(g), L, 2 * L - 1, 2 * L - 1, samples), g.dtype)
        (z,) = jax.linear_transpose(lambda z: so3_synthesis(z, L * self.layer.oversampling), z)(g)
        return jnp.einsum("klmns->lknms", z).reshape(L, -1, 2 * L - 1, samples)

    def _constant(self, inputs: Float[Array, "l fan_in m sample"]) -> Float[Array, "l 1 m sample"]:
        """The coefficients of a constant on SO(3): of degree and orders zero alone."""
        of_one = self.bias_scale * math.sqrt(8 * math.pi**2)
        return jnp.zeros_like(inputs[:, :1]).at[0, 0, self.layer.bandlimit_out - 1].set(of_one)


class SphereLiftingModule(SphericalModule[SphereLifting]):
    """Finite-width SphereLifting; per degree z^l_mn = σ_w √(2/(2l+1)n) Σ_c f^l_cm W^l_cn."""

    def __init__(self, layer: SphereLifting, channels: int, rngs: nnx.Rngs):
        super().__init__(layer, (layer.features, channels, layer.bandlimit_out**2), rngs)
        self.scale = layer.w_std / math.sqrt(4 * math.pi * channels)

    def __call__(self, x: Float[Array, "channel theta phi sample"]) -> Float[Array, "feature group sample"]:
        L = self.layer.bandlimit_out
        weight = padded(self.scaled_weight(), _sphere_index(L)) / norms(L, 8 * np.pi**2)[:, None].astype(x.dtype)
        z = jnp.einsum("clms,kcln->klmns", sphere_analysis(x, L), weight)
        return self.add_bias(so3_synthesis(z, L * self.layer.oversampling))

    def _inputs(self, x: Float[Array, "channel theta phi sample"]) -> Float[Array, "l channel m sample"]:
        L = self.layer.bandlimit_out
        f = sphere_analysis(x, L) / norms(L, 8 * np.pi**2)[:, None, None].astype(x.dtype)
        return jnp.moveaxis(f, 1, 0)


class SO3ConvModule(SphericalModule[SO3Conv]):
    """Finite-width SO3Conv; per degree z^l = σ_w/√((2l+1)n) Σ_c x^l_c (W^l_c)ᵀ."""

    def __init__(self, layer: SO3Conv, channels: int, rngs: nnx.Rngs):
        L = layer.bandlimit_out
        super().__init__(layer, (layer.features, channels, L * (4 * L**2 - 1) // 3), rngs)
        self.scale = layer.w_std / math.sqrt(8 * math.pi**2 * channels)

    def __call__(self, x: Float[Array, "channel group sample"]) -> Float[Array, "feature new_group sample"]:
        L = self.layer.bandlimit_out
        weight = padded(self.scaled_weight(), _so3_index(L)) / norms(L, 8 * np.pi**2)[:, None, None].astype(x.dtype)
        z = jnp.einsum("clmns,kclpn->klmps", so3_analysis(x, L), weight)
        return self.add_bias(so3_synthesis(z, L * self.layer.oversampling))

    def _inputs(self, x: Float[Array, "channel group sample"]) -> Float[Array, "l channel*n m sample"]:
        L = self.layer.bandlimit_out
        x = so3_analysis(x, L) / norms(L, 8 * np.pi**2)[:, None, None, None].astype(x.dtype)
        return jnp.einsum("clmns->lcnms", x).reshape(L, -1, 2 * L - 1, x.shape[-1])


class SO3PoolModule(nnx.Module):
    """The mean over SO(3) at finite width, (1/8π²) ∫ dg x(g) by quadrature."""

    def __init__(self, bandlimit: int):
        self.bandlimit = bandlimit

    def __call__(self, x: Float[Array, "channel group sample"]) -> Float[Array, "channel sample"]:
        return jnp.einsum("cgs,g->cs", x, jnp.asarray(so3_weights(self.bandlimit) / (8 * np.pi**2), x.dtype))


def values(
    kappa: Float[Array, "l m n *pair"], bandlimit: int, rings: RingRule = driscoll_healy
) -> Float[Array, "group *pair"]:
    """κ on the SO(3) grid of any bandlimit."""
    on_grid = so3_synthesis(kappa.reshape(1, *kappa.shape[:3], -1), bandlimit, rings)[0]
    return on_grid.reshape(-1, *kappa.shape[3:])


def padded(weight: Float[Array, "feature channel coefficient"], index: np.ndarray) -> Float[Array, "..."]:
    """The packed coefficients laid out densely by `index`, with zeros where it points past the last."""
    return jnp.pad(weight, ((0, 0), (0, 0), (0, 1)))[..., index]


@lru_cache
def _sphere_index(L: int) -> np.ndarray:
    """Where [l, m] lies in a vector of the L² coefficients with |m| ≤ l; L² elsewhere."""
    return _packed(np.abs(orders(L)) <= np.arange(L)[:, None])


@lru_cache
def _so3_index(L: int) -> np.ndarray:
    """Where [l, m, n] lies in a vector of the L(4L²−1)/3 coefficients with |m|, |n| ≤ l; past the end elsewhere."""
    exists = np.abs(orders(L)) <= np.arange(L)[:, None]
    return _packed(exists[:, :, None] & exists[:, None, :])


def _packed(exists: np.ndarray) -> np.ndarray:
    # 32 bits: JAX 0.10 mixes up 64-bit indices where a program is run both with and without x64.
    return np.where(exists, np.cumsum(exists).reshape(exists.shape) - 1, exists.sum()).astype(np.int32)
