"""From kernels of pairs of inputs to kernels of batches, tile by tile."""

from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.analysis.kernels.blocks import in_lanes
from widesym.analysis.kernels.full import FullEngine
from widesym.analysis.kernels.lag_plan import MixedLagsError
from widesym.analysis.kernels.lags import LagEngine
from widesym.analysis.kernels.progress import Told, tell
from widesym.analysis.kernels.spherical import SphericalEngine
from widesym.models.architecture import Architecture
from widesym.models.covariance import Covariance

# Array elements of one row of a tile: on a CPU enough for vector registers, elsewhere what fills the device.
TILE_ELEMENTS = {"cpu": 2**18}
TILE_ELEMENTS_ELSEWHERE = 2**26
ROWS = 64  # rows of a tile at most: what is held of each input adds up

Batch = Float[Array, "n *point channel"]


class Engine(Protocol):
    """One way to run the recursion for one architecture and input shape; hashable, as it is compiled for."""

    @property
    def elements(self) -> int:
        """Array elements that one pair of inputs takes."""
        ...

    def prepare(self, x: Batch) -> Any:
        """What every pair of an input shares; arrays with the inputs along their first axis."""
        ...

    def row(self, first: Any, seconds: Any) -> Covariance:
        """(K, Θ) of the logits of one prepared input with each of a batch, [n]."""
        ...

    def diagonal(self, prepared: Any) -> Covariance:
        """(K, Θ) of the logits of each input with itself, [n]."""
        ...


def choose_engine(architecture: Architecture, input_shape: tuple[int, ...], independent: bool = False) -> Engine:
    """By lags on the sphere and on the plane where they stay apart, else by full covariances.

    `independent`: between two networks of this architecture, each with weights of its own.
    """
    for engine in (SphericalEngine, LagEngine):
        try:
            return engine(architecture, input_shape, independent)
        except MixedLagsError:
            continue
    return FullEngine(architecture, input_shape, independent)


def gram_by_engine(engine: Engine, x1: Batch, x2: Batch | None, told: Told | None = None) -> Covariance:
    """(K, Θ) of all pairs, [n1, n2]; of x1 with itself, each pair once, without x2; `told` hears of each tile.

    Rows `above` the diagonal are left out, and `computed` are the others of each tile.
    """
    columns = x1 if x2 is None else x2
    width, done = min(tile_width(engine), len(columns)), 0
    tops, starts = range(0, len(x1), ROWS), range(0, len(columns), width)
    above = {(top, start): max(0, start - top) if x2 is None else 0 for top in tops for start in starts}
    computed = {(top, start): max(0, min(ROWS, len(x1) - top) - rows) for (top, start), rows in above.items()}
    with jax.default_matmul_precision("float32"):  # accelerators would round the factors to fewer bits
        blocks = []
        for top in tops:
            rows = _prepare(engine, x1[top : top + ROWS])
            tiles = []
            for start in starts:
                prepared = _prepare(engine, _filled(columns[start : start + width], width))
                tiles.append(_tile(engine, rows, prepared, above[top, start]))
                done += computed[top, start]
                tell(told, tiles[-1], done / sum(computed.values()))
            blocks.append(jax.tree.map(lambda *ks: jnp.concatenate(ks, axis=1)[:, : len(columns)], *tiles))
    whole = jax.tree.map(lambda *ks: jnp.concatenate(ks), *blocks)
    return jax.tree.map(mirrored, whole) if x2 is None else whole


def diagonal_by_engine(engine: Engine, x: Batch) -> Covariance:
    """(K, Θ) of each input with itself, [n]."""
    with jax.default_matmul_precision("float32"):
        tiles = [_diagonal(engine, _prepare(engine, x[start : start + ROWS])) for start in range(0, len(x), ROWS)]
    return jax.tree.map(lambda *ks: jnp.concatenate(ks), *tiles)


def tile_width(engine: Engine) -> int:
    """Columns that one tile has."""
    return in_lanes(TILE_ELEMENTS.get(jax.default_backend(), TILE_ELEMENTS_ELSEWHERE) // engine.elements)


def _filled(x: Batch, width: int) -> Batch:
    """x with inputs enough for a tile, so that all tiles compile once."""
    return jnp.concatenate([x, jnp.repeat(x[:1], width - len(x), axis=0)])


def mirrored(lower: Float[Array, "n n"]) -> Float[Array, "n n"]:
    """The symmetric matrix with this lower triangle."""
    return jnp.tril(lower) + jnp.tril(lower, -1).T


@partial(jax.jit, static_argnums=0)
def _prepare(engine: Engine, x: Batch) -> Any:
    return engine.prepare(x)


@partial(jax.jit, static_argnums=0)
def _diagonal(engine: Engine, prepared: Any) -> Covariance:
    return engine.diagonal(prepared)


@partial(jax.jit, static_argnums=0)
def _tile(engine: Engine, rows: Any, columns: Any, skipped: int | Array) -> Covariance:
    """[n1, n2] for a tile: row after row, all columns of a row together; zero in rows before the first `skipped`."""
    width = len(jax.tree.leaves(columns)[0])

    def row(index_and_row: tuple[Array, Any]) -> Covariance:
        index, first = index_and_row
        compute = partial(engine.row, seconds=columns)
        empty = jax.tree.map(lambda k: jnp.zeros(width, k.dtype), jax.eval_shape(compute, first))
        return jax.lax.cond(index >= skipped, compute, lambda _: empty, first)

    indices = jnp.arange(len(jax.tree.leaves(rows)[0]))
    return jax.lax.map(row, (indices, rows))
