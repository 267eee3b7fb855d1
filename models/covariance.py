"""The infinite-width state (K, Θ) of a pair of inputs at one lag, and its one update (theory.md §2-3).

A convolutional layer maps covariances K(t, t') of the same displacement t' − t among themselves, so each displacement
is carried alone. On a grid with P rows, the displacements d ≥ 0 and d − P share one array: it holds at t the covariance
of the pixels t and (t + shift) mod P, which is displacement `shift` where the sum does not wrap and `shift` − P where
it does. That stores every pair of pixels exactly once, and circular and zero padding differ only in their masks.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from models.window import Window

PixelField = Float[Array, "*pixel"]
Dual = Callable[[PixelField, PixelField, PixelField], tuple[PixelField, PixelField]]


class Lag(NamedTuple):
    """A displacement between two signals: pixel t of the first meets pixel (t + shift) mod period of the second."""

    shift: Int[Array, "2"]
    period: tuple[int, int]

    def partner(self, axis: int, size: int) -> Int[Array, " size"]:
        """The second signal's coordinates that the first's 0 … size−1 meet along an axis."""
        return (jnp.arange(size) + self.shift[axis]) % self.period[axis]

    def inside(self, grid: tuple[int, ...]) -> Bool[Array, "*grid"]:
        """Which pixels of `grid` meet a pixel of `grid`: the rest of the array has no meaning and is kept at zero.

        Off the grid, where arrays are not two-dimensional, everything is inside.
        """
        if len(grid) != 2:
            return jnp.ones(grid, bool)
        rows, columns = (self.partner(axis, size) < size for axis, size in enumerate(grid))
        return rows[:, None] & columns[None, :]

    def shifted(self, f: Float[Array, "row column *rest"]) -> Float[Array, "row column *rest"]:
        """f at each pixel's partner; where there is none, some other of f's values (finite, to be masked).

        Off the grid, f itself.
        """
        if f.ndim < 2:
            return f
        rows, columns = (jnp.minimum(self.partner(axis, size), size - 1) for axis, size in enumerate(f.shape[:2]))
        return f[rows][:, columns]


def filter_mean(covariance: Float[Array, "row column"], window: Window, lag: Lag) -> Float[Array, "new_row new_column"]:
    """A(K)(t, t') = 1/|S| Σ_{y∈S} K(t+y, t'+y) for a square support at stride 1, axis after axis (theory.md §2)."""
    for axis in (0, 1):
        covariance = jnp.moveaxis(_axis_mean(jnp.moveaxis(covariance, axis, 0), axis, window, lag), 0, axis)
    return covariance


def _axis_mean(
    covariance: Float[Array, "pixel other"], axis: int, window: Window, lag: Lag
) -> Float[Array, "new_pixel other"]:
    grid = covariance.shape[0]
    if window.padding == "VALID":
        new = window.places(grid)
        return jnp.stack([covariance[y : y + new] for y in range(window.size)]).mean(0)
    total, before = jnp.zeros_like(covariance), window.pads(grid)[0]
    for y in range(-before, window.size - before):
        moved = jnp.roll(covariance, -y, axis=0)
        if window.padding == "SAME":  # a tap counts where neither of its two pixels is padding
            first, second = jnp.arange(grid) + y, lag.partner(axis, grid) + y
            both = (first >= 0) & (first < grid) & (second >= 0) & (second < grid)
            moved = jnp.where(both[:, None], moved, 0)
        total += moved
    return total / window.size


class Covariance(NamedTuple):
    """K = E[z z'] and Θ = E[Σ ∂z ∂z'] per channel, over the pixels t of one lag (or on a single point)."""

    nngp: Float[Array, "*pixel"]
    ntk: Float[Array, "*pixel"]

    @classmethod
    def of_inputs(
        cls, x1: Float[Array, "*pixel channel"], x2: Float[Array, "*pixel channel"], lag: Lag
    ) -> "Covariance":
        """K = (1/n) Σ_c x_c x'_c and Θ = 0."""
        nngp = (x1 * lag.shifted(x2)).mean(-1)
        nngp = jnp.where(lag.inside(nngp.shape), nngp, 0)
        return cls(nngp, jnp.zeros_like(nngp))

    def affine(
        self, average: Callable[[PixelField, Lag], PixelField], w_std: float, b_std: float, lag: Lag
    ) -> "Covariance":
        """K ← σ_w² A(K) + σ_b², Θ ← K_new + σ_w² A(Θ) (theory.md §2; arXiv:2406.06504)."""
        nngp = w_std**2 * average(self.nngp, lag) + b_std**2
        inside = lag.inside(nngp.shape)
        nngp = jnp.where(inside, nngp, 0)
        return Covariance(nngp, nngp + jnp.where(inside, w_std**2 * average(self.ntk, lag), 0))

    def nonlinear(
        self, dual: Dual, variance1: Float[Array, "*pixel"], variance2: Float[Array, "*pixel"]
    ) -> "Covariance":
        """K ← E[φφ], Θ ← Θ E[φ'φ'], with the two signals' variances at the two pixels (theory.md §2)."""
        nngp, derivative = dual(self.nngp, variance1, variance2)
        return Covariance(nngp, self.ntk * derivative)
