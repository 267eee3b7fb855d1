"""Computing the tiles of a Gram matrix, on all devices of all processes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Float

from widesym.analysis.gram.quality import GramError
from widesym.analysis.gram.spec import Gram
from widesym.analysis.gram.store import open_gram_store, stored_tiling, write_tile
from widesym.analysis.gram.tiling import Tile
from widesym.analysis.kernels.analytic import not_finite_message
from widesym.analysis.programs.devices import on_devices

Values = Float[np.ndarray, "row column"]


class GramProgress(NamedTuple):
    """Tiles that this process has computed, of those that it is to, and pairs of inputs in one tile."""

    done: int
    total: int
    pairs_a_tile: int


def own_share(tiles: Sequence[Tile]) -> list[Tile]:
    """The tiles that this process computes: every process has others, and all have as many, or one more."""
    return list(tiles[jax.process_index() :: jax.process_count()])


def compute_tiles(gram: Gram, path: Path, tiles: Sequence[Tile]) -> Iterator[GramProgress]:
    """Compute these tiles into the store, one at a time on each device of this process; yields as each is written.

    A tile's numbers depend on the spec and the store's tiling alone, on devices of one kind. Raises GramError where one
    of them is not finite.
    """
    tiling, root = stored_tiling(path, gram), open_gram_store(path)
    pairs = tiling.tile[0] * tiling.tile[1]
    yield GramProgress(0, len(tiles), pairs)

    def compute(tile: Tile, device: Any) -> tuple[Tile, Values, Values]:
        with jax.default_device(device), gram.precise():
            return tile, *tile_values(gram, tile, tiling.tile)

    for done, (tile, nngp, ntk) in enumerate(on_devices(compute, tiles, jax.local_devices()), 1):
        check_tile_finite(tile, nngp, ntk)
        write_tile(root, tile, nngp, ntk)
        yield GramProgress(done, len(tiles), pairs)


def tile_values(gram: Gram, tile: Tile, full: tuple[int, int]) -> tuple[Values, Values]:
    """K and Θ of one tile; a smaller one is filled up to `full`, so that all tiles compile once."""
    parts = zip(gram.sides, (tile.rows, tile.columns), full, strict=True)
    rows, columns = (_filled(x[part], count) for x, part, count in parts)
    kernel = gram.kernel(rows, columns)
    count1, count2 = tile.shape
    nngp, ntk = (np.asarray(values)[:count1, :count2] for values in kernel)
    if gram.is_symmetric and tile.place[0] == tile.place[1]:  # a pair's two orders round differently
        nngp, ntk = (np.triu(values) + np.triu(values, 1).T for values in (nngp, ntk))
    return np.ascontiguousarray(nngp), np.ascontiguousarray(ntk)


def _filled(x: np.ndarray, count: int) -> np.ndarray:
    return np.concatenate([x, np.repeat(x[:1], count - len(x), axis=0)])


def check_tile_finite(tile: Tile, nngp: Values, ntk: Values) -> None:
    """Raise GramError for numbers that are not, naming the first pair of inputs that has one."""
    if not (np.isfinite(nngp).all() and np.isfinite(ntk).all()):
        raise GramError(not_finite_message(nngp, ntk, (tile.rows.start, tile.columns.start)))
