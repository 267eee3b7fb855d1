"""How analytic kernels treat their inputs: batches, tiles, number types, and what they refuse."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.networks import COMPOSITES, inputs
from widesym.analysis import analytic_kernel
from widesym.analysis.kernels import analytic, engines
from widesym.models import Architecture, Dense, GlobalAvgPool, GroupPool, LiftingConv, Relu, cyclic

SHAPE = (2, 3, 1)


def small(width=1):
    """A network with lags of every kind and a nonlinearity after the pixels are gone, yet quick to compile."""
    lift, dense = LiftingConv(cyclic(2), width, 1), Dense(width, b_std=0.5)
    return Architecture((lift, Relu(), GlobalAvgPool(), dense, Relu(), GroupPool(), dense))


def assert_close(found, expected):
    """Programs of the same sums: float32's rounding in K, its square root in Θ where an input meets itself."""
    np.testing.assert_allclose(found.nngp, expected.nngp, rtol=3e-6)
    np.testing.assert_allclose(found.ntk, expected.ntk, rtol=5e-4)


@pytest.fixture(scope="module")
def batch():
    return np.concatenate([inputs(SHAPE), inputs(SHAPE) ** 2])


@pytest.fixture(scope="module")
def whole(batch):
    """Of the batch with itself, in one tile."""
    return analytic_kernel(small())(batch)


def test_batches_are_rows_and_columns(batch, whole):
    part = analytic_kernel(small())(batch, batch[2:])
    assert part.nngp.shape == part.ntk.shape == (6, 4)
    assert_close(part, analytic.Kernel(whole.nngp[:, 2:], whole.ntk[:, 2:]))


def test_diagonal_is_that_of_the_kernel(batch, whole):
    assert_close(analytic_kernel(small()).diagonal(batch), analytic.Kernel(*map(jnp.diag, whole)))


@pytest.mark.parametrize("width", [4, 1])
def test_tiles_leave_no_trace(batch, whole, width, monkeypatch):
    """Six columns, in two tiles of which the last must be filled up, and one by one.

    Each by a network of its own width, on which no kernel depends: programs are kept by architecture, not by tile.
    """
    tiles, tile = [], engines._tile
    monkeypatch.setattr(engines, "TILE_ELEMENTS", {})
    monkeypatch.setattr(engines, "TILE_ELEMENTS_ELSEWHERE", width * _elements_of_a_pair(small(), SHAPE))
    monkeypatch.setattr(engines, "_tile", lambda *arguments: tiles.append(tile(*arguments)) or tiles[-1])
    assert_close(analytic_kernel(small(width + 1))(batch), whole)
    assert [columns.nngp.shape for columns in tiles] == [(6, width)] * math.ceil(6 / width)


def _elements_of_a_pair(architecture, shape):
    """Pixels × column lags × rotations."""
    plan = engines.choose_engine(architecture, shape).plan
    return shape[0] * shape[1] * plan.shifts.shape[1] * len(plan.rotations)


def test_whole_numbers_are_promoted(whole):
    """Pixels as bytes, as data sets store them."""
    pixels = np.arange(12, dtype=np.uint8).reshape(2, *SHAPE)
    found = analytic_kernel(small())(pixels)
    assert found.nngp.dtype == jnp.float32
    assert_close(found, analytic_kernel(small())(np.float32(pixels)))


@pytest.mark.parametrize("x64", [False, True])
def test_whole_numbers_of_64_bits_are_not_cut(x64):
    """Of 2⁴⁰ the last 32 bits are zero."""
    with jax.enable_x64(x64):
        found = analytic_kernel(small())(np.full((1, *SHAPE), 2**40))
        expected = analytic_kernel(small())(np.full((1, *SHAPE), 2.0**40))
    assert np.asarray(found.ntk)[0, 0] > 2.0**70
    assert_close(found, expected)


def test_kernels_that_overflow_are_refused():
    """Squares of 1e25 are beyond float32; without the check the result would be NaN, silently."""
    x = np.concatenate([IMAGES, 1e25 * IMAGES[:1]])
    for function in (analytic_kernel(small()), analytic_kernel(small()).diagonal):
        with pytest.raises(ValueError, match=r"the first between inputs [02] and 2; in float32 they may overflow"):
            function(x)
    with jax.enable_x64(True):
        assert np.all(np.isfinite(analytic_kernel(small())(np.float64(x)).ntk))


@pytest.mark.parametrize("name", ["atoms, shared", "atoms, by slot", "orbit average"])
def test_sums_over_parts_are_symmetric(name):
    """Of a batch with itself, exactly, as all kernels; a pair's two orders round differently."""
    shape, layers = COMPOSITES[name]
    x = np.random.default_rng(0).standard_normal((5, *shape)).astype(np.float32)
    kernel = analytic_kernel(Architecture(layers))
    own, both = np.stack(kernel(x)), np.stack(kernel(x, x))
    np.testing.assert_array_equal(own, own.swapaxes(1, 2))
    np.testing.assert_allclose(own, both, rtol=1e-5)


def ones(*shape):
    return np.ones(shape, np.float32)


IMAGES = ones(2, *SHAPE)
BAD_INPUTS = [
    ((ones(3),), "x1 has shape (3,); it must be [n, H, W, C] or [n, C] with n > 0"),
    ((ones(0, *SHAPE),), "x1 has shape (0, 2, 3, 1); it must be"),
    ((IMAGES, ones(0, *SHAPE)), "x2 has shape (0, 2, 3, 1); it must be"),
    ((IMAGES * 1j,), "x1 has complex values; kernels are of real inputs"),
    ((IMAGES * np.nan,), "x1 has 12 values that are not finite (of 12); remove or replace them"),
    ((IMAGES, np.where(np.arange(3) == 1, np.inf, ones(1, 1, 3)).reshape(1, 1, 3, 1)), "x2 has 1 values that are not"),
    ((IMAGES, ones(1, 3, 2, 1)), "x1 holds inputs of shape (2, 3, 1), x2 of shape (3, 2, 1); they must agree"),
    ((ones(2, 3),), "layer 0: LiftingConv acts on images, but gets a vector of 3 channels"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD_INPUTS, ids=[message for _, message in BAD_INPUTS])
def test_bad_inputs_are_refused(arguments, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 the text is compared below, free of regular expressions
        analytic_kernel(small())(*arguments)
    assert message in str(error.value)


def test_kernels_can_be_compiled(batch, whole):
    assert_close(jax.jit(analytic_kernel(small()))(batch), whole)


def test_sixteen_bits_are_promoted():
    """Squares of pixels overflow float16, and precisions may be mixed."""
    pixels = np.float16(200 * inputs(SHAPE))
    found = analytic_kernel(small())(pixels, np.float32(pixels))
    assert found.nngp.dtype == jnp.float32
    assert_close(found, analytic_kernel(small())(np.float32(pixels)))
