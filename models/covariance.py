"""The infinite-width state (K, Θ) of pairs of inputs at one lag of the rows, and its one update (theory.md §2-3).

A convolutional layer maps covariances K(t, t') of the same displacement t' − t among themselves. So each displacement
of the rows is carried alone, with all pairs of columns: an array [row, column, column', pair] holds the covariance of
pixel (row, column) of a first signal with pixel (row + displacement, column') of a second, for several pairs of signals
at once. Columns slide along the diagonals of the two column axes: padding and strides need no bookkeeping there.

On a grid of P rows, the displacements d ≥ 0 and d − P share one array: row t meets row (t + shift) mod P, which is
displacement `shift` where the sum does not wrap and `shift` − P where it does. That stores every pair of pixels once.
"""

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from widesym.models.window import Window

PointField = Float[Array, "*point pair"]
Dual = Callable[[PointField, Any, Any], tuple[PointField, PointField]]

FUSED_SIZE = 3  # up to here all taps of a window are read in one pass, beyond first along columns, then along rows

FEW_CHANNELS = 4  # up to here the inputs' covariance is a sum of products written out


class Lag(NamedTuple):
    """A displacement of two signals' rows: row t of the first meets row (t + shift) mod period of the second.

    With `shift` None, each pixel meets itself alone, and arrays are [row, column, pair].
    """

    shift: Int[Array, ""] | None = None
    period: int = 1

    @property
    def column_axes(self) -> int:
        """Column axes of arrays at this lag."""
        return 1 if self.shift is None else 2

    def partner(self, rows: int) -> Int[Array, " row"]:
        """The second signal's rows that the first's 0 … rows−1 meet."""
        shift = 0 if self.shift is None else self.shift
        return (jnp.arange(rows) + shift) % self.period

    def inside(self, rows: int) -> Bool[Array, "row"]:
        """Which of the first's rows meet a row of the second; the others' values have no meaning, but are finite."""
        return self.partner(rows) < rows

    def twice(self, second: Float[Array, "row *rest"]) -> Float[Array, "row_of_two_periods *rest"]:
        """The second signal's rows over two periods, from which `meet` reads: laid out once, for all displacements."""
        empty = jnp.zeros((self.period - len(second), *second.shape[1:]), second.dtype)
        return jnp.concatenate([second, empty, second, empty])

    def meet(
        self, first: Float[Array, "row column *rest"], twice: Float[Array, "row_of_two_periods column *rest"]
    ) -> tuple[Float[Array, "row *point"], Float[Array, "row *point"]]:
        """Both signals' values where covariances at this lag have them, to be broadcast against each other."""
        if self.shift is None:
            return first, twice
        return first[:, :, None], jax.lax.dynamic_slice_in_dim(twice, self.shift, len(first))[:, None]


def filter_mean(covariance: PointField, window: Window, lag: Lag) -> PointField:
    """A(K)(t, t') = 1/|S| Σ_{y∈S} K(stride·t+y, stride·t'+y) for a square support; `lag` is that of the output."""
    rows, columns = len(covariance), range(1, 1 + lag.column_axes)
    if window.size == window.stride == 1:
        return covariance
    if window.size <= FUSED_SIZE:
        total = _row_sum(_padded(covariance, (0, *columns), window), rows, window, lag, columns)
    else:
        total = _taps_sum(_padded(covariance, columns, window), window, columns)[:rows]
        total = _row_sum(_padded(total, (0,), window), rows, window, lag, ())
    return jax.lax.optimization_barrier(total / window.size**2)


def _padded(f: PointField, axes: tuple[int, ...] | range, window: Window) -> PointField:
    """f with the pixels around it that windows read along some axes, in memory of its own.

    XLA would compute f anew for each tap that reads it, and test each of the result's elements for padding: hence a
    buffer that it does not know to be zero, whose inside is overwritten.
    """
    pads = [window.pads(size) if axis in axes else (0, 0) for axis, size in enumerate(f.shape)]
    if not any(map(any, pads)):
        pads[0] = (0, 1)  # a row that nothing reads, lest overwriting all of the buffer be taken for f itself
    shape = [before + size + after for (before, after), size in zip(pads, f.shape, strict=True)]
    inner = tuple(slice(before, before + size) for (before, _), size in zip(pads, f.shape, strict=True))
    padded = jax.lax.optimization_barrier(jnp.zeros(shape, f.dtype)).at[inner].set(f)
    if window.padding == "CIRCULAR":
        padded = jnp.pad(padded[inner], pads, mode="wrap")
    return jax.lax.optimization_barrier(padded)


def _row_sum(padded: PointField, rows: int, window: Window, lag: Lag, columns: tuple[int, ...] | range) -> PointField:
    """Sum over the window's rows, and over its columns along these axes. `rows` are those of the input."""
    new, before, total = window.places(rows), window.pads(rows)[0], []
    for y in range(window.size):
        taken = padded[y : y + (new - 1) * window.stride + 1 : window.stride]
        taps = _taps_sum(taken, window, columns)
        first, last = y - before, y - before + (new - 1) * window.stride
        if lag.shift is not None and window.padding == "SAME" and not 0 <= first <= last < rows:
            # The tap's first pixel may be padding, which is zero; its second is the next displacement's pixel there.
            second = lag.partner(new) * window.stride + first
            inside = jax.lax.optimization_barrier(((second >= 0) & (second < rows)).astype(taps.dtype))
            taps = inside.reshape(-1, *[1] * (taps.ndim - 1)) * taps
        total.append(taps)
    return reduce(jnp.add, total)


def _taps_sum(f: PointField, window: Window, axes: tuple[int, ...] | range) -> PointField:
    """Σ_y of f at stride·c + y, and, with two axes, at stride·c' + y along with it."""
    if not axes:
        return f
    places = (f.shape[axes[0]] - window.size) // window.stride + 1
    views = [slice(y, y + (places - 1) * window.stride + 1, window.stride) for y in range(window.size)]
    taps = [tuple(view if axis in axes else slice(None) for axis in range(f.ndim)) for view in views]
    return reduce(jnp.add, [f[tap] for tap in taps])


def in_memory(f: Float[Array, "row *rest"]) -> Float[Array, "row *rest"]:
    """f, computed once: XLA's CPU compiler would else do it anew in each operation that reads it.

    Written into a buffer with a row that nothing reads, lest overwriting all of it be taken for f itself.
    """
    if not f.ndim:
        return f
    buffer = jax.lax.optimization_barrier(jnp.zeros((len(f) + 1, *f.shape[1:]), f.dtype))
    return buffer.at[:-1].set(f)[:-1]


class Covariance(NamedTuple):
    """K = E[z z'] and Θ = E[Σ ∂z ∂z'] per channel, over the points of one lag (or on a single point), pair by pair.

    Before the first weights Θ is zero, and held as a single number.
    """

    nngp: PointField
    ntk: PointField | Float[Array, ""]

    @classmethod
    def of_inputs(
        cls, x1: Float[Array, "row column channel pair1"], x2: Float[Array, "row column channel pair"], lag: Lag
    ) -> "Covariance":
        """K = (1/n) Σ_c x_c x'_c and Θ = 0; one first input is paired with every second one."""
        nngp = product_mean(*lag.meet(x1, x2))
        return cls(nngp, jnp.zeros((), nngp.dtype))

    def affine(
        self, average: Callable[[PointField, Lag], PointField], w_std: float, b_std: float, lag: Lag
    ) -> "Covariance":
        """K ← σ_w² A(K) + σ_b², Θ ← K_new + σ_w² A(Θ) (theory.md §2; arXiv:2406.06504)."""
        nngp = w_std**2 * average(self.nngp, lag) + b_std**2
        return Covariance(nngp, nngp + w_std**2 * average(self.ntk, lag) if self.ntk.ndim else nngp)

    def nonlinear(self, dual: Dual, side1: Any, side2: Any) -> "Covariance":
        """K ← E[φφ], Θ ← Θ E[φ'φ'], with what the dual needs of the two signals at the two points (theory.md §2)."""
        nngp, derivative = dual(self.nngp, side1, side2)
        return Covariance(nngp, self.ntk * derivative)

    def uncorrelated(self) -> "Covariance":
        """K = Θ = 0, in the same shape."""
        return Covariance(jnp.zeros_like(self.nngp), jnp.zeros_like(self.ntk))


def product_mean(
    x1: Float[Array, "row *point channel pair1"], x2: Float[Array, "row *point channel pair"]
) -> PointField:
    """(1/n) Σ_c x_c x'_c where two signals meet."""
    channels = x1.shape[-2]
    if channels <= FEW_CHANNELS:
        return reduce(jnp.add, [x1[..., c, :] * x2[..., c, :] for c in range(channels)]) / channels
    if x1.shape[-1] == 1:  # a product of matrices
        at_zero_lag = x1.ndim == 4
        x1, x2 = x1.reshape(*x1.shape[:2], channels), x2.reshape(len(x2), -1, *x2.shape[-2:])
        return jnp.einsum("rac,racp->rap" if at_zero_lag else "rac,rucp->raup", x1, x2) / channels
    return (x1 * x2).mean(-2)
