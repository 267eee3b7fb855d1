"""The lag engine at sizes where its blocks, packed displacements and strides matter, against full covariances."""

from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from tests.support.networks import C4, LOGITS, STDS, inputs
from tests.support.oracles import kernel
from widesym.analysis import analytic_kernel
from widesym.analysis.kernels import blocks, engines
from widesym.analysis.kernels.lags import LagEngine
from widesym.analysis.tangents import import_neural_tangents
from widesym.models import (
    Abs,
    Architecture,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    LiftingConv,
    Relu,
)
from widesym.models.layers.arc_cosine import angle_and_sine

POOLED, FLAT = (GlobalAvgPool(), LOGITS), (Flatten(), LOGITS)


def conv(size, padding="SAME", stride=1):
    return Conv(2, size, padding, stride, **STDS)


STRIDED = {
    "SAME, odd grid": ((5, 4, 1), (conv(3, stride=2), Relu(), conv(2), Relu(), *POOLED)),
    "SAME, twice": ((5, 6, 1), (conv(2, stride=2), Relu(), conv(3, stride=2), Relu(), *POOLED)),
    "SAME, three": ((5, 7, 1), (conv(3), Relu(), conv(2, stride=3), Relu(), *POOLED)),
    "SAME, gaps": ((5, 5, 1), (conv(1, stride=2), Relu(), conv(3), Relu(), *POOLED)),
    "SAME, side by side": ((8, 8, 1), (conv(4, stride=4), Relu(), conv(1), Relu(), *POOLED)),
    "VALID": ((6, 5, 1), (conv(2, "VALID", 2), Relu(), conv(2, "VALID"), Relu(), *POOLED)),
    "VALID, rows left over": ((8, 8, 1), (conv(3, "VALID", 2), Relu(), conv(3), Relu(), *POOLED)),
    "SAME after VALID": ((6, 5, 1), (conv(3, "VALID"), Relu(), conv(3, stride=2), Relu(), *POOLED)),
    "CIRCULAR": ((6, 8, 1), (conv(3, "CIRCULAR", 2), Relu(), conv(3, "CIRCULAR"), Relu(), *POOLED)),
    "CIRCULAR, then SAME": ((8, 6, 1), (conv(3, "CIRCULAR", 2), Relu(), conv(3), Relu(), *POOLED)),
    "five taps": ((6, 6, 1), (conv(5), Relu(), conv(5, stride=2), Abs(), *POOLED)),
    "five taps, CIRCULAR": ((6, 5, 1), (conv(5, "CIRCULAR"), Relu(), conv(4, "VALID"), Relu(), *POOLED)),
    "flattened": ((5, 6, 1), (conv(3, stride=2), Relu(), conv(3, stride=2), Relu(), *FLAT)),
    "C4": (
        (5, 5, 1),
        (
            *(LiftingConv(C4, 2, 3, stride=2, **STDS), Relu(), GroupConv(C4, 2, 3, **STDS), Relu()),
            *(GroupPool(), LOGITS),
        ),
    ),
}


SLOW = ("SAME, three", "SAME, gaps", "VALID", "CIRCULAR, then SAME", "five taps, CIRCULAR")


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.slow if n in SLOW else ()) for n in STRIDED])
def test_strides_keep_lags_apart(name):
    """In float64, to rounding; on smooth images every lag has its own value."""
    shape, layers = STRIDED[name]
    assert isinstance(engines.choose_engine(Architecture(layers), shape), LagEngine)
    noise, smooth = (np.float64(inputs(shape, smooth)) for smooth in (False, True))
    with jax.enable_x64(True):
        found = analytic_kernel(Architecture(layers))(noise[:2], smooth[:2])
    np.testing.assert_allclose(found, kernel(layers, noise[:2], smooth[:2]), rtol=1e-11)


HE = {"features": 1, "size": 3, "w_std": 2**0.5}
DEEP = Architecture((*[layer for _ in range(5) for layer in (Conv(**HE), Relu())], GlobalAvgPool(), Dense(1)))


def pictures(side, count):
    """Noise, smooth images, one without light and one with a dark half."""
    x = np.random.default_rng(0).standard_normal((count, side, side, 3)) + 0.2
    x[::2] = gaussian_filter(x[::2], (0, 2, 2, 0)) * 5
    x[1], x[2, : side // 2] = 0, 0
    return np.float32(x)


@pytest.fixture(scope="module")
def peer():
    if find_spec("neural_tangents") is None:
        pytest.skip("neural-tangents is not installed")
    stax = import_neural_tangents().stax
    layers = [layer for _ in range(5) for layer in (stax.Conv(1, (3, 3), padding="SAME", W_std=2**0.5), stax.Relu())]
    _, _, function = stax.serial(*layers, stax.GlobalAvgPool(), stax.Dense(1))
    return jax.jit(lambda x1, x2: function(x1, x2, ("nngp", "ntk")))


@pytest.mark.slow  # ten layers are in test_tangents.py
@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 1e-5), (np.float64, 1e-10)], ids=["float32", "float64"])
def test_five_layers_agree_with_neural_tangents(peer, dtype, rtol):
    """Between different images; ten columns make two blocks on a CPU, of which the last is filled up."""
    x = pictures(10, 13)
    x1, x2 = np.asarray(x[:3], dtype), np.asarray(x[3:], dtype)
    with jax.enable_x64(dtype == np.float64):
        found, expected = map(np.stack, (analytic_kernel(DEEP)(x1, x2), peer(x1, x2)))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, expected, rtol=rtol)
    assert not np.any(found[:, 1])
    assert np.all(found[1, 0] > 0.1)


@pytest.mark.parametrize("layers", [POOLED, FLAT], ids=["pooled", "flattened"])
def test_a_batch_with_itself_is_computed_once_a_pair(layers, monkeypatch):
    """Tiles of two columns: what lies above the diagonal is mirrored, and the same as of two batches."""
    monkeypatch.setattr(engines, "tile_width", lambda engine: 2)
    monkeypatch.setattr(engines, "ROWS", 3)
    x = inputs((4, 4, 1))
    x = np.concatenate([x, x[:, ::-1]])[:5]
    kernel = analytic_kernel(Architecture((conv(3), Relu(), *layers)))
    own, both = np.stack(kernel(x)), np.stack(kernel(x, x.copy()))
    np.testing.assert_array_equal(own, own.swapaxes(1, 2))
    np.testing.assert_allclose(own, both, rtol=1e-6)
    np.testing.assert_allclose(np.stack(kernel.diagonal(x)), own.diagonal(axis1=1, axis2=2), rtol=1e-5)


def test_memory_is_that_of_a_few_tiles():
    """What a Gram matrix of any size takes beside its result, on 32 × 32 images and with four rotations."""
    layers = (LiftingConv(C4, **HE), Relu(), GroupConv(C4, **HE), Relu(), GroupPool(), Dense(1))
    engine = engines.choose_engine(Architecture(layers), (32, 32, 3))
    images = (
        jax.ShapeDtypeStruct((count, 32, 32, 3), jnp.float32) for count in (engines.ROWS, engines.tile_width(engine))
    )
    rows, columns = (jax.eval_shape(engine.prepare, x) for x in images)
    used = engines._tile.lower(engine, rows, columns, 0).compile().memory_analysis()
    assert used.temp_size_in_bytes + used.argument_size_in_bytes + used.output_size_in_bytes < 100e6


@pytest.mark.parametrize("pairs", [1, 7, 8, 9, 64, 65, 200])
def test_blocks_fill_registers_and_leave_no_pair_out(pairs, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", {jax.default_backend(): 64})
    size = blocks.block_size(pairs, 1)
    assert size == 1 if pairs < blocks.LANES else size % blocks.LANES == 0 and size <= 64
    assert blocks.block_size(pairs, 9) == 1
    x, y = np.arange(pairs), np.arange(pairs) ** 2
    np.testing.assert_array_equal(blocks.in_blocks(lambda both: both[0] + both[1], x, y, 1), x + y)
    np.testing.assert_array_equal(blocks.in_blocks(lambda both: both[0] + both[1], x[:1] + 3, y, 1), 3 + y)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float32, 5e-7), (np.float64, 5e-15)], ids=["float32", "float64"])
def test_angles(dtype, rtol):
    """To a few units in the last place, however small: θ = 2 arcsin √(gap/2) and sin θ = √(gap (2 − gap))."""
    gap = np.concatenate([np.logspace(-30, 0, 500), np.linspace(0, 1, 1001)]).astype(dtype)
    with jax.enable_x64(dtype == np.float64):
        angle, sine = map(np.float64, angle_and_sine(jnp.asarray(gap)))
    gap = np.float64(gap)
    np.testing.assert_allclose(angle, 2 * np.arcsin(np.sqrt(gap / 2)), rtol=rtol)
    np.testing.assert_allclose(sine, np.sqrt(gap * (2 - gap)), rtol=rtol)
