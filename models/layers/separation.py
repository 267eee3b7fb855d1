"""The infinite-width state of two signals as how far they are from parallel and from opposite (theory.md §2-3).

Kernels of kinked activations depend on the angle between two signals, and K has lost it near ±√(qq'): there a rounding
error ε of K is an angle of √(2ε). So √(qq') ∓ K are carried instead of K, as sums of terms ≥ 0 that never cancel:
angles are then right to ε. With √q the length of a signal at a point, weighted sums of independent parts, of lengths u
and v for the two signals, have

    √(qq') ∓ K = Σ_p (u_p v_p ∓ K_p) + (|u| |v| − Σ_p u_p v_p),    |u| |v| − u·v = |u| |v|/2 Σ_p (u_p/|u| − v_p/|v|)²:

the first sum is the covariance operator A, as it acts on K, and the second is the `spread` below.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.models.covariance import Covariance, Lag, PointField, in_memory, product_mean
from widesym.models.smooth_roots import inverse, root

TOGETHER = 16  # channels whose differences are summed in one pass

GapDual = Callable[[PointField, PointField, Any, Any], tuple[PointField, PointField, PointField]]


class Separation(NamedTuple):
    """√(qq') − K, √(qq') + K and Θ, over the points of one lag (or on a single point), pair by pair.

    Before the first weights Θ is zero, and held as a single number.
    """

    near: PointField
    far: PointField
    ntk: PointField | Float[Array, ""]

    @classmethod
    def of_inputs(
        cls, x1: Float[Array, "row column channel pair1"], x2: Float[Array, "row column channel pair"], lag: Lag
    ) -> "Separation":
        """The separation of inputs, K = (1/n) Σ_c x_c x'_c and Θ = 0; one first input is paired with every second one,
        which is laid out as `Lag.meet` wants it.

        From the difference of the two directions, or their sum where K < 0.
        """
        nngp, channels = product_mean(*lag.meet(x1, x2)), x1.shape[-2]
        lengths = [root((x**2).sum(-2)) for x in (x1, x2)]
        units = [
            jax.lax.optimization_barrier(x * inverse(of)[..., None, :]) for x, of in zip((x1, x2), lengths, strict=True)
        ]
        length1, length2 = lag.meet(*lengths)
        norm, sign = length1 * length2 / channels, jnp.where(nngp >= 0, 1, -1).astype(nngp.dtype)
        small = norm / 2 * _squared_difference(*lag.meet(*units), sign)
        # Where a signal vanishes so does K, but not its slope.
        small = jnp.where(norm > 0, small, -sign * nngp)
        large = small + 2 * sign * nngp
        near, far = jnp.where(nngp >= 0, small, large), jnp.where(nngp >= 0, large, small)
        return cls(in_memory(near), in_memory(far), jnp.zeros((), nngp.dtype))

    @classmethod
    def of_covariance(cls, state: Covariance, norm: PointField) -> "Separation":
        """From K and √(qq'), where nothing better is known: angles to √ε."""
        gaps = gaps_of(state.nngp, norm)
        return cls(*gaps, state.ntk)

    @property
    def nngp(self) -> PointField:
        """The covariance K, half the difference of √(qq') + K and √(qq') − K."""
        return (self.far - self.near) / 2

    @property
    def covariance(self) -> Covariance:
        """The same pairs' covariances K and Θ."""
        return Covariance(self.nngp, self.ntk)

    def affine(
        self,
        average: Callable[[PointField, Lag], PointField],
        stds: tuple[float, float],
        lag: Lag,
        spread: PointField | float,
    ) -> "Separation":
        """K ← σ_w² A(K) + σ_b², Θ ← K_new + σ_w² A(Θ), with stds = (σ_w, σ_b) (theory.md §2; arXiv:2406.06504)."""
        w_std, b_std = stds
        near = in_memory(w_std**2 * average(self.near, lag) + spread)
        far = in_memory(w_std**2 * average(self.far, lag) + (spread + 2 * b_std**2))
        nngp = (far - near) / 2
        return Separation(near, far, nngp + w_std**2 * average(self.ntk, lag) if self.ntk.ndim else nngp)

    def nonlinear(self, dual: GapDual, side1: Any, side2: Any) -> "Separation":
        """K ← E[φφ], Θ ← Θ E[φ'φ'], with what the dual needs of the two signals at the two points (theory.md §2)."""
        near, far, derivative = dual(self.near, self.far, side1, side2)
        return Separation(near, far, self.ntk * derivative)

    def plus(self, other: "Separation", spread: PointField | float) -> "Separation":
        """The separation of the sums of two independent signals each; `spread` adds to √(qq') ∓ K."""
        return Separation(self.near + other.near + spread, self.far + other.far + spread, self.ntk + other.ntk)

    def uncorrelated(self) -> "Separation":
        """K = Θ = 0 between signals of the same lengths."""
        norm = (self.near + self.far) / 2
        return Separation(norm, norm, jnp.zeros_like(self.ntk))


class Split(NamedTuple):
    """A signal's length at each point, and those of the independent parts that it is the sum of, as shares of it."""

    length: PointField
    shares: tuple[PointField, ...]

    @classmethod
    def of(cls, parts: Float[Array, "part *point pair"]) -> "Split":
        """The split of a signal whose independent parts have these lengths at each point."""
        length = root((parts**2).sum(0))
        return cls(length, tuple(parts * inverse(length)))


def spread(first: Split, second: Split, lag: Lag) -> PointField | float:
    """|u| |v| − u·v, for the lengths of the parts that two signals are sums of at each point; 0 of a single part."""
    if len(first.shares) == 1:
        return 0.0
    length1, length2 = lag.meet(first.length, second.length)
    met = [lag.meet(*part) for part in zip(first.shares, second.shares, strict=True)]
    return length1 * length2 / 2 * reduce(jnp.add, [(u - v) ** 2 for u, v in met])


def spread_over_points(deviation1: PointField, deviation2: PointField) -> Float[Array, " pair"]:
    """The same where the parts are a signal's points, all of them as one vector."""
    points1, points2 = (of.reshape(-1, of.shape[-1]) for of in (deviation1, deviation2))
    length1, length2 = (root((of**2).sum(0)) for of in (points1, points2))
    return length1 * length2 / 2 * ((points1 * inverse(length1) - points2 * inverse(length2)) ** 2).sum(0)


def gaps_of(nngp: PointField, norm: PointField) -> tuple[PointField, PointField]:
    """√(qq') ∓ K from K and √(qq'); rounding may leave |K| a little above. Slopes are kept where they are zero."""
    near, far = norm - nngp, norm + nngp
    return jnp.where(near < 0, 0, near), jnp.where(far < 0, 0, far)


def _squared_difference(u1: Array, u2: Array, sign: PointField) -> PointField:
    """Σ_c (u_c ∓ u'_c)²."""
    channels, sign = u1.shape[-2], sign[..., None, :]
    if channels <= TOGETHER:
        u1, u2 = (jnp.moveaxis(u, -2, 0) for u in (u1, u2))
        return reduce(jnp.add, [(a - sign[..., 0, :] * b) ** 2 for a, b in zip(u1, u2, strict=True)])
    missing = -channels % TOGETHER  # some at a time: XLA sums over many one by one, whatever stands beside them
    cut = [jnp.pad(u, [(0, 0)] * (u.ndim - 2) + [(0, missing), (0, 0)]) for u in (u1, u2)]
    cut = [jnp.moveaxis(u.reshape(*u.shape[:-2], -1, TOGETHER, u.shape[-1]), (-3, -2), (0, 1)) for u in cut]

    def add(total: PointField, chunk: tuple[Array, Array]) -> tuple[PointField, None]:
        return total + reduce(jnp.add, [(a - sign[..., 0, :] * b) ** 2 for a, b in zip(*chunk, strict=True)]), None

    return jax.lax.scan(add, jnp.zeros_like(sign[..., 0, :]), (cut[0], cut[1]))[0]
