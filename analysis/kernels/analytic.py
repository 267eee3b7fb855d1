"""Analytic NNGP and NTK of an architecture, for batches of inputs."""

import math
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from analysis.kernels.lags import Image, LagPlan, Variances, grid_covariance, grid_variances, head_covariance
from models.architecture import Architecture
from models.covariance import Covariance

# Array elements one tile of pairs works on at once: on a CPU what its caches hold, elsewhere what fills the device.
TILE_ELEMENTS = {"cpu": 2**18}
TILE_ELEMENTS_ELSEWHERE = 2**26


class Kernel(NamedTuple):
    """Kernels between two batches, per output logit (both are the identity in the logits)."""

    nngp: Float[Array, "n1 n2"]
    ntk: Float[Array, "n1 n2"]


@dataclass(frozen=True)
class AnalyticKernel:
    """The infinite-width kernels of an architecture, as a function of two batches."""

    architecture: Architecture

    def __call__(
        self, x1: Float[ArrayLike, "n1 *pixel channel"], x2: Float[ArrayLike, "n2 *pixel channel"] | None = None
    ) -> Kernel:
        """K and Θ of all pairs (theory.md §2-3; arXiv:2406.06504); of x1 with itself if x2 is left out.

        Tile by tile, in the inputs' precision (float64 if JAX has that enabled). Raises NoClosedFormError for an
        architecture without closed form, and ValueError for inputs that do not fit it, are empty or not finite.
        """
        x1 = check_inputs("x1", x1)
        x2 = x1 if x2 is None else check_inputs("x2", x2)
        if x1.shape[1:] != x2.shape[1:]:
            raise ValueError(f"x1 holds inputs of shape {x1.shape[1:]}, x2 of shape {x2.shape[1:]}; they must agree")
        plan = LagPlan(self.architecture, tuple(x1.shape[1:]))
        rows, width = _prepare(plan, x1), min(tile_width(plan), len(x2))
        tiles = []
        for start in range(0, len(x2), width):
            columns = x2[start : start + width]
            missing = width - len(columns)  # the last tile is filled up, so that all tiles compile once
            padded = jnp.concatenate([columns, jnp.repeat(columns[:1], missing, axis=0)])
            tiles.append(_tile(plan, rows, _prepare(plan, padded)))
        return Kernel(*(jnp.concatenate(parts, axis=1)[:, : len(x2)] for parts in zip(*tiles, strict=True)))

    def diagonal(self, x: Float[ArrayLike, "n *pixel channel"]) -> Covariance:
        """K(x, x) and Θ(x, x) of each input with itself, `[n]`, at the cost of n pairs."""
        x = check_inputs("x", x)
        return _diagonal(LagPlan(self.architecture, tuple(x.shape[1:])), x)


def analytic_kernel(architecture: Architecture) -> AnalyticKernel:
    """The analytic kernel of this very architecture: `analytic_kernel(arch)(x1, x2).ntk` is Θ, `[n1, n2]`."""
    return AnalyticKernel(architecture)


def check_inputs(name: str, x: Float[ArrayLike, "n *pixel channel"]) -> Float[Array, "n *pixel channel"]:
    """x as a floating-point array; raises ValueError where it is no batch of inputs or not finite."""
    array = jnp.asarray(x)
    if array.ndim not in (2, 4) or not len(array):
        raise ValueError(f"{name} has shape {array.shape}; it must be [n, H, W, C] or [n, C] with n > 0")
    bad = int(jnp.sum(~jnp.isfinite(array)))
    if bad:
        raise ValueError(f"{name} has {bad} values that are not finite (of {array.size}); remove or replace them")
    return array if jnp.issubdtype(array.dtype, jnp.floating) else array.astype(float)


def tile_width(plan: LagPlan) -> int:
    """Pairs that one tile handles at once."""
    elements = math.prod(plan.period) * plan.shifts.shape[1] * len(plan.rotations)
    return max(1, TILE_ELEMENTS.get(jax.default_backend(), TILE_ELEMENTS_ELSEWHERE) // elements)


class _Prepared(NamedTuple):
    """One input at every rotation, its variances there, and its covariance with itself where the head needs it."""

    x: Image
    variances: Variances
    own: Covariance | None


def prepare(plan: LagPlan, image: Image) -> _Prepared:
    """What every pair of an input shares."""
    rotated = jnp.stack([plan.group.rotate(image, q, (0, 1)) if q else image for q in plan.rotations])
    prepared = _Prepared(rotated, jax.vmap(partial(grid_variances, plan))(rotated), None)
    return prepared._replace(own=off_grid(plan, prepared, prepared)) if plan.needs_own else prepared


def off_grid(plan: LagPlan, first: _Prepared, second: _Prepared) -> Covariance:
    """(K, Θ) of two inputs where the network has left the grid, by rotation of the second."""
    image, variances = first.x[0], [variance[0] for variance in first.variances]
    at_rotation = jax.vmap(lambda other, variance: grid_covariance(plan, image, other, variances, variance))
    return at_rotation(second.x, second.variances)


@partial(jax.jit, static_argnums=0)
def _prepare(plan: LagPlan, x: Float[Array, "n *pixel channel"]) -> _Prepared:
    return jax.lax.map(partial(prepare, plan), x, batch_size=tile_width(plan))


@partial(jax.jit, static_argnums=0)
def _tile(plan: LagPlan, rows: _Prepared, columns: _Prepared) -> Covariance:
    """[n1, n2] for a tile: row after row, all columns of a row together."""

    def one_pair(row: _Prepared, column: _Prepared) -> Covariance:
        return head_covariance(plan, off_grid(plan, row, column), row.own, column.own)

    return jax.lax.map(lambda row: jax.vmap(partial(one_pair, row))(columns), rows)


@partial(jax.jit, static_argnums=0)
def _diagonal(plan: LagPlan, x: Float[Array, "n *pixel channel"]) -> Covariance:
    def with_itself(image: Image) -> Covariance:
        prepared = prepare(plan, image)
        own = off_grid(plan, prepared, prepared)
        return head_covariance(plan, own, own, own)

    return jax.lax.map(with_itself, x, batch_size=tile_width(plan))
