"""How far kernels are is told while they are computed, and changes nothing."""

import io

import jax
import numpy as np
import pytest
from rich.console import Console

from widesym.analysis import analytic_kernel
from widesym.analysis.kernels import engines
from widesym.launch.runs.progress import kernel_progress
from widesym.models import (
    Architecture,
    AtomSum,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    OrbitAverage,
    Relu,
    cyclic,
)

MLP = Architecture((Dense(4), Relu(), Dense(3)))
CNN = Architecture((Conv(4, size=3), Relu(), GlobalAvgPool(), Dense(3)))
ORBITS = Architecture((OrbitAverage((Flatten(), Dense(4), Relu(), Dense(3)), cyclic(2)),))
ATOMS = Architecture((AtomSum((Dense(4), Relu(), Dense(3)), shared=False),))
CORRELATED = Architecture((AtomSum((Dense(4), Relu()), shared=False), Dense(3)))


@pytest.fixture
def tiles(monkeypatch):
    """Of two rows, and of two columns for an MLP."""
    monkeypatch.setattr(engines, "ROWS", 2)
    monkeypatch.setattr(engines, "tile_width", lambda engine: 2)


def inputs(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32)


def told(architecture, *x):
    """What is told of a kernel, after it was held against the one that nobody watches."""
    found = []
    kernel = analytic_kernel(architecture)(*x, progress=lambda *now: found.append(now))
    for watched, unwatched in zip(kernel, analytic_kernel(architecture)(*x), strict=True):
        np.testing.assert_array_equal(watched, unwatched)
    return found


@pytest.mark.parametrize(("architecture", "shape"), [(MLP, (3,)), (CNN, (4, 4, 1))], ids=["MLP", "CNN"])
def test_each_tile_is_told(tiles, architecture, shape):
    """Of 3 × 4 pairs in tiles of two columns there are two tiles of two rows, then two of one: 4, 4, 2 and 2 pairs."""
    x1, x2 = inputs(3, *shape), inputs(4, *shape)
    assert told(architecture, x1, x2) == [(4, 12), (8, 12), (10, 12), (12, 12)]


def test_each_pair_of_one_batch_is_told_once(tiles):
    """Rows of a tile at or below the diagonal: 2 and, of the next two tops, 2 + 2 and 1 + 1 + 1, of 2 columns each."""
    assert told(MLP, inputs(5, 3)) == [
        (round(15 * rows / 9), 15) for rows in (2, 2, 2, 4, 6, 6, 7, 8, 9)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("architecture", "shape"),
    [(ORBITS, (2, 2, 1)), (ATOMS, (3, 2)), (CORRELATED, (3, 2))],
    ids=["orbits", "atoms", "correlated atoms"],
)
@pytest.mark.parametrize("with_itself", [True, False])
def test_sums_over_parts_are_told_as_one(tiles, architecture, shape, with_itself):
    x = (inputs(3, *shape),) if with_itself else (inputs(3, *shape), inputs(4, *shape))
    pairs = 6 if with_itself else 12
    found = told(architecture, *x)
    done = [now for now, _ in found]
    assert {whole for _, whole in found} == {pairs}
    assert len({*done}) > 3
    assert done == sorted(done)
    assert done[-1] == pairs


def test_it_is_shown():
    console = Console(file=io.StringIO(), width=100)
    with kernel_progress(console, "mlp") as report:
        analytic_kernel(MLP)(inputs(4, 3), progress=report)
    assert console.file.getvalue().startswith("mlp: 10/10 pairs, ")


def test_progress_is_refused_under_jit():
    with pytest.raises(ValueError, match="progress cannot be told under jit"):
        jax.jit(lambda x: analytic_kernel(MLP)(x, progress=print))(inputs(4, 3))
