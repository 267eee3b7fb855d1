"""Into which tiles a Gram matrix is cut, from a budget of memory; and what computing it will take."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from numbers import Integral
from typing import NamedTuple

import jax
import numpy as np

from widesym.analysis.gram.spec import Gram
from widesym.analysis.kernels.engines import choose_engine
from widesym.analysis.kernels.full import FullEngine
from widesym.analysis.kernels.lag_plan import LagPlan, MixedLagsError
from widesym.analysis.programs.devices import devices_sharing_memory
from widesym.analysis.programs.memory import peak_bytes
from widesym.models.layers.invariants import InputMap
from widesym.models.layers.parts import PartSum

GIB = 2**30
DEFAULT_MEMORY = 2 * GIB
# Tiles are what a killed computation loses: values of pairs in one, about minutes on a core and seconds on a GPU.
TILE_WORK = 2**30
COMPILED = 2  # times the traced program's memory, at most (analysis/programs/memory.py)
PROBE_SIDE, PROBE_SECONDS = 8, 0.05
UNMEASURED = 2**35  # bytes that all pairs take one by one: within a minute on a core (0.4 to 2 s for each 2**30)


class Tile(NamedTuple):
    """Its place among the tiles, and the rows and columns of the matrix that it holds."""

    place: tuple[int, int]
    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """The numbers of rows and columns that the tile holds."""
        return self.rows.stop - self.rows.start, self.columns.stop - self.columns.start


@dataclass(frozen=True)
class Tiling:
    """A matrix of `shape` cut into tiles of `tile`, those at its end smaller; the upper triangle, if symmetric."""

    shape: tuple[int, int]
    tile: tuple[int, int]
    is_symmetric: bool

    def __post_init__(self):
        if not all(1 <= side <= whole for side, whole in zip(self.tile, self.shape, strict=True)):
            raise ValueError(f"tiles are of shape {self.tile}; of a matrix of shape {self.shape} that cannot be")
        if self.is_symmetric and (self.tile[0] != self.tile[1] or self.shape[0] != self.shape[1]):
            raise ValueError(f"a symmetric matrix has square tiles, not {self.tile} of {self.shape}")

    @property
    def grid(self) -> tuple[int, int]:
        """Number of tiles along rows and along columns."""
        return math.ceil(self.shape[0] / self.tile[0]), math.ceil(self.shape[1] / self.tile[1])

    def __iter__(self) -> Iterator[Tile]:
        for i, j in np.ndindex(*self.grid):
            if j >= i or not self.is_symmetric:
                yield Tile((i, j), *(self._range(place, axis) for axis, place in enumerate((i, j))))

    def __len__(self) -> int:
        rows, columns = self.grid
        return rows * (rows + 1) // 2 if self.is_symmetric else rows * columns

    @property
    def pairs(self) -> int:
        """Pairs of inputs that are computed: those that fill the last tiles up, too."""
        return len(self) * math.prod(self.tile)

    def _range(self, place: int, axis: int) -> slice:
        start = place * self.tile[axis]
        return slice(start, min(start + self.tile[axis], self.shape[axis]))


class Info(NamedTuple):
    """What a Gram matrix takes: `seconds` by a small tile, measured, on all devices; bytes of memory and of disk.

    `lags` is the number of arrays that a pair's covariance is held in, lag by lag, or None where it is held otherwise;
    `is_full` says whether that is point by point, which is slow.
    """

    tiling: Tiling
    lags: int | None
    is_full: bool
    tile_bytes: int
    store_bytes: int
    seconds: float


def choose_tiling(gram: Gram, memory: int = DEFAULT_MEMORY) -> Tiling:
    """The largest tiles, halving by halving, whose computation takes no more than `memory` bytes.

    That is of one device; devices that are CPU cores share the machine's, and `memory` is of all. Inputs and XLA's
    own needs come on top. Tiles are small enough, too, for little to be lost with one. Raises ValueError where one pair
    takes more.
    """
    check_memory(memory)
    together = devices_sharing_memory()
    budget = memory // together
    least = tile_bytes(gram, (1, 1))
    work = max(1, math.isqrt(TILE_WORK * np.dtype(gram.precision).itemsize // least))
    fitting = math.isqrt(max(1, budget // (4 * np.dtype(gram.precision).itemsize)))  # of the results alone
    side = min(work, fitting, max(gram.shape))
    while side > 1 and tile_bytes(gram, balanced(gram.shape, side)) > budget:
        side = math.ceil(side / 2)
    if side == 1 and least > budget:
        each = f" by each of {together} devices that share it" if together > 1 else ""
        raise ValueError(
            f"memory is {memory} bytes, but a single pair of inputs takes {least}{each}; allow {least * together} "
            "bytes at least"
        )
    return Tiling(gram.shape, balanced(gram.shape, side), gram.is_symmetric)


def check_memory(memory: int) -> None:
    """Raise ValueError for what is no number of bytes."""
    if not isinstance(memory, Integral) or memory < 1:
        raise ValueError(f"memory is {memory!r}; it must be a whole number of bytes, one at least")


def balanced(shape: tuple[int, int], side: int) -> tuple[int, int]:
    """Tiles of at most `side` rows and columns, as even as can be: their last ones are filled up."""
    rows, columns = (math.ceil(whole / math.ceil(whole / side)) for whole in shape)
    return rows, columns


def tile_bytes(gram: Gram, tile: tuple[int, int]) -> int:
    """Bytes that computing one tile takes at most, with its results on the host, by the traced program."""
    shapes = [(count, *x.shape[1:]) for count, x in zip(tile, gram.sides, strict=True)]
    with gram.precise():
        traced = jax.make_jaxpr(gram.kernel)(*(jax.ShapeDtypeStruct(shape, gram.precision) for shape in shapes))
    return COMPILED * peak_bytes(traced) + 2 * math.prod(tile) * np.dtype(gram.precision).itemsize


def info(gram: Gram, memory: int = DEFAULT_MEMORY) -> Info:
    """What computing it will take, before it starts; a small tile is computed for that."""
    tiling = choose_tiling(gram, memory)
    seconds = compile_and_pair_seconds(gram, max(tiling.tile))
    workers = jax.device_count()
    rounds = math.ceil(len(tiling) / workers) * math.prod(tiling.tile)
    stored = sum(math.prod(tile.shape) for tile in tiling) * 2 * np.dtype(gram.precision).itemsize
    return Info(
        tiling,
        lag_arrays(gram),
        mixes_lags(gram),
        tile_bytes(gram, tiling.tile),
        stored,
        seconds[0] + seconds[1] * rounds,
    )


def compile_and_pair_seconds(gram: Gram, most: int) -> tuple[float, float]:
    """Seconds that compilation takes, and then one pair, by the smallest tile that lasts long enough to be timed."""
    side = min(PROBE_SIDE, most)
    while True:
        rows, columns = (np.resize(x, (side, *x.shape[1:])) for x in gram.sides)
        first, second = (_seconds(gram, rows, columns) for _ in range(2))
        if second > PROBE_SECONDS or side == most:
            return max(0.0, first - second), second / side**2
        side = min(8 * side, most)


def _seconds(gram: Gram, rows: np.ndarray, columns: np.ndarray) -> float:
    began = time.perf_counter()
    with gram.precise():
        jax.block_until_ready(gram.kernel(rows, columns))
    return time.perf_counter() - began


def mixes_lags(gram: Gram) -> bool:
    """Whether the kernel takes full covariances, which is slow; not told of networks on parts of their input."""
    first = gram.architecture.layers[0]
    if isinstance(first, InputMap | PartSum):
        return False
    return isinstance(choose_engine(gram.architecture, tuple(gram.x1.shape[1:])), FullEngine)


def why_full(gram: Gram) -> str:
    """What in the network mixes lags, so that the kernel takes full covariances; empty where it does not."""
    if mixes_lags(gram):
        try:
            _ = LagPlan(gram.architecture, tuple(gram.x1.shape[1:]))
        except MixedLagsError as error:
            return str(error)
    return ""


def estimated_seconds(gram: Gram) -> float:
    """Roughly how long it takes on all devices; 0 of what takes about a minute, which is not measured."""
    rows, columns = gram.shape
    pairs = rows * (rows + 1) // 2 if gram.is_symmetric else rows * columns
    if pairs * tile_bytes(gram, (1, 1)) < UNMEASURED:
        return 0.0
    compiling, a_pair = compile_and_pair_seconds(gram, max(gram.shape))
    return compiling + a_pair * pairs / jax.device_count()


def lag_arrays(gram: Gram) -> int | None:
    """Arrays of a pair's covariance where it is computed lag by lag on the plane; None elsewhere."""
    try:
        plan = LagPlan(gram.architecture, tuple(gram.x1.shape[1:]))
    except MixedLagsError:
        return None
    return math.prod(plan.shifts.shape[:2]) * len(plan.rotations)
