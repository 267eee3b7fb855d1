"""From kernels of pairs of inputs to kernels of batches, tile by tile."""

from functools import partial
from typing import Any, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from analysis.kernels.full import FullEngine
from analysis.kernels.lag_plan import MixedLagsError
from analysis.kernels.lags import LagEngine
from analysis.kernels.spherical import SphericalEngine
from models.architecture import Architecture
from models.covariance import Covariance

# Array elements one tile of pairs works on at once: on a CPU what its caches hold, elsewhere what fills the device.
TILE_ELEMENTS = {"cpu": 2**18}
TILE_ELEMENTS_ELSEWHERE = 2**26

Batch = Float[Array, "n *point channel"]


class Engine(Protocol):
    """One way to run the recursion for one architecture and input shape; hashable, as it is compiled for."""

    @property
    def elements(self) -> int:
        """Array elements that one pair of inputs takes."""
        ...

    def prepare(self, x: Float[Array, "*point channel"]) -> Any:
        """What every pair of an input shares."""
        ...

    def pair(self, first: Any, second: Any) -> Covariance:
        """(K, Θ) of the logits of two prepared inputs."""
        ...

    def own(self, prepared: Any) -> Covariance:
        """(K, Θ) of the logits of an input with itself."""
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


def gram(engine: Engine, x1: Batch, x2: Batch) -> Covariance:
    """(K, Θ) of all pairs, [n1, n2]."""
    width, tiles = min(tile_width(engine), len(x2)), []
    with jax.default_matmul_precision("float32"):  # accelerators would round the factors to fewer bits
        rows = _prepare(engine, x1)
        for start in range(0, len(x2), width):
            columns = x2[start : start + width]
            missing = width - len(columns)  # the last tile is filled up, so that all tiles compile once
            padded = jnp.concatenate([columns, jnp.repeat(columns[:1], missing, axis=0)])
            tiles.append(_tile(engine, rows, _prepare(engine, padded)))
    return Covariance(*(jnp.concatenate(parts, axis=1)[:, : len(x2)] for parts in zip(*tiles, strict=True)))


def diagonal(engine: Engine, x: Batch) -> Covariance:
    """(K, Θ) of each input with itself, [n]."""
    with jax.default_matmul_precision("float32"):
        return _diagonal(engine, x)


@partial(jax.jit, static_argnums=0)
def _diagonal(engine: Engine, x: Batch) -> Covariance:
    return jax.lax.map(lambda image: engine.own(engine.prepare(image)), x, batch_size=tile_width(engine))


def tile_width(engine: Engine) -> int:
    """Pairs that one tile handles at once."""
    return max(1, TILE_ELEMENTS.get(jax.default_backend(), TILE_ELEMENTS_ELSEWHERE) // engine.elements)


@partial(jax.jit, static_argnums=0)
def _prepare(engine: Engine, x: Batch) -> Any:
    return jax.lax.map(engine.prepare, x, batch_size=tile_width(engine))


@partial(jax.jit, static_argnums=0)
def _tile(engine: Engine, rows: Any, columns: Any) -> Covariance:
    """[n1, n2] for a tile: row after row, all columns of a row together."""
    return jax.lax.map(lambda row: jax.vmap(partial(engine.pair, row))(columns), rows)
