"""The store of a Gram matrix, one zarr group: `nngp` and `ntk`, chunked by tile, and each tile's `checksum`.

Tiles below the diagonal of a symmetric matrix are not stored; `read_gram` mirrors those above. A checksum is written
after its tile, and none is shared between tiles: processes can write side by side, and what a killed one left behind
is told from what it finished.
"""

import zlib
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jaxtyping import Float

from widesym.analysis.gram.spec import Gram
from widesym.analysis.gram.tiling import Tile, Tiling
from widesym.analysis.kernels import Kernel
from widesym.ensembles.files import readable, whole_directory
from widesym.ensembles.stores import open_group

ARRAYS = ("nngp", "ntk")
WRITTEN = 1 << 32  # added to checksums of 32 bits, which may be zero

Values = Float[np.ndarray, "row column"]


def create_gram_store(path: Path, gram: Gram, tiling: Tiling) -> None:
    """Make an empty store; it appears whole or not at all."""
    with whole_directory(path) as new:
        _fill_store(new, gram, tiling)


def _fill_store(path: Path, gram: Gram, tiling: Tiling) -> None:
    attributes = {"config": gram.config, "tile": list(tiling.tile), "symmetric": gram.is_symmetric}
    root = zarr.create_group(path, zarr_format=3, attributes=attributes)
    for name in ARRAYS:
        root.create_array(
            name,
            shape=tiling.shape,
            chunks=tiling.tile,
            dtype=gram.precision,
            fill_value=np.nan,
            compressors=None,  # floats hardly shrink
            dimension_names=("row", "column"),
        )
    names = ("row_tile", "column_tile")
    root.create_array("checksum", shape=tiling.grid, chunks=(1, 1), dtype="uint64", fill_value=0, dimension_names=names)


def stored_tiling(path: Path, gram: Gram | None = None) -> Tiling:
    """The tiles of a store; raises ValueError for one that cannot be read, or is of another spec than `gram`."""
    with readable(f"{path}, as a Gram matrix,"):
        root = open_group(path)
        config, tile = root.attrs["config"], root.attrs["tile"]
        shapes = {_array(root, name).shape for name in ARRAYS}
        (shape,) = shapes
        tiling = Tiling(tuple(shape), tuple(tile), bool(root.attrs["symmetric"]))  # pyright: ignore[reportArgumentType]
        if _array(root, "checksum").shape != tiling.grid:
            raise ValueError("checksums of other tiles")
    if gram is not None:
        found: dict[str, Any] = dict(config) if isinstance(config, dict) else {}
        differing = [key for key, value in gram.config.items() if found.get(key) != value]
        if differing:
            raise ValueError(
                f"{path} holds another Gram matrix: its {', '.join(differing)} differ from what is asked for; ask for "
                "what it holds, choose another place, or remove it"
            )
    return tiling


def write_tile(root: zarr.Group, tile: Tile, nngp: Values, ntk: Values) -> None:
    """Store one tile; its checksum last, which vouches for it."""
    for name, values in zip(ARRAYS, (nngp, ntk), strict=True):
        if values.shape != tile.shape:  # zarr would broadcast
            raise ValueError(f"{name} has shape {values.shape}, but tile {tile.place} is {tile.shape}")
        _array(root, name)[tile.rows, tile.columns] = values
    _array(root, "checksum")[tile.place] = tile_checksum(nngp, ntk)


def open_gram_store(path: Path) -> zarr.Group:
    """The store of a Gram matrix, opened for writing tiles into its arrays."""
    return open_group(path, "r+")


def pending_tiles(path: Path, gram: Gram) -> list[Tile]:
    """The tiles that are not stored yet, or damaged; raises ValueError for a store of another spec."""
    tiling, root = stored_tiling(path, gram), open_group(path)
    return [tile for tile in tiling if _read_tile(root, tile) is None]


def read_gram(path: Path) -> Kernel:
    """K and Θ as NumPy arrays, [n1, n2], in the store's precision; symmetric exactly, if it is of one set of inputs.

    Raises ValueError where tiles are missing or damaged, or the store cannot be read.
    """
    tiling, root = stored_tiling(path), open_group(path)
    kernels = [np.empty(tiling.shape, _array(root, name).dtype) for name in ARRAYS]
    missing = []
    for tile in tiling:
        stored = _read_tile(root, tile)
        if stored is None:
            missing.append(tile)
            continue
        for kernel, values in zip(kernels, stored, strict=True):
            kernel[tile.rows, tile.columns] = values
            if tiling.is_symmetric:
                kernel[tile.columns, tile.rows] = values.T
    if missing:
        raise ValueError(
            f"{path}: {len(missing)} of {len(tiling)} tiles are missing or damaged, the first at rows from "
            f"{missing[0].rows.start} and columns from {missing[0].columns.start}; compute the Gram matrix again in "
            "the same place, which computes these alone"
        )
    return Kernel(*kernels)


def tile_checksum(nngp: Values, ntk: Values) -> int:
    """The CRC-32 of the bits of K and Θ of a tile, with the bit WRITTEN set, so that it is never zero."""
    return zlib.crc32(ntk.tobytes(), zlib.crc32(nngp.tobytes())) | WRITTEN


def _read_tile(root: zarr.Group, tile: Tile) -> tuple[Values, Values] | None:
    """K and Θ of a tile; None where it is missing or damaged."""
    try:
        expected = int(np.asarray(_array(root, "checksum")[tile.place]))
        if not expected:
            return None
        nngp, ntk = (np.asarray(_array(root, name)[tile.rows, tile.columns]) for name in ARRAYS)
    except Exception:  # of as many kinds as `readable` knows
        return None
    return (nngp, ntk) if tile_checksum(nngp, ntk) == expected else None


def _array(root: zarr.Group, name: str) -> zarr.Array:
    array = root[name]
    assert isinstance(array, zarr.Array)
    return array
