"""Layers commute with rotations, and with translations of a circular grid; whole networks are invariant."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from tests.support.networks import random_params
from widesym.models import (
    Architecture,
    AvgPool,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupFlatten,
    GroupPool,
    Identity,
    LayerNorm,
    LiftingConv,
    MaxPool,
    Relu,
    Residual,
    Tanh,
    cyclic,
    dihedral,
)
from widesym.models.signal import Signal

C1, C2, C4, D1, D2, D4 = cyclic(1), cyclic(2), cyclic(4), dihedral(1), dihedral(2), dihedral(4)
# Both sides sum the same products in another order: in float32 some 1e-6 of values of size one, in float64 1e-15.
ROUNDING = {np.float32: 1e-5, np.float64: 1e-13}
DTYPES, SEEDS = st.sampled_from([np.float32, np.float64]), st.integers(0, 1000)


def rotated(x, signal, group, g):
    """ρ_g on whatever axes the signal has, in the layout [channel, group, row, column, sample]."""
    if signal.group:
        x = group.permute(x, g)
    return group.rotate(x, g, axes=(-3, -2)) if signal.grid else x


def translated(x, signal, group, steps):
    """A cyclic shift of the pixels."""
    return jnp.roll(x, (steps, 2 * steps), axis=(-3, -2))


def assert_commutes(layer, signal, group, elements, action, seed=0, dtype=np.float32):
    """layer(action(x)) = action(layer(x)) for every element, on standard normal x and parameters."""
    graph, state = nnx.split(nnx.eval_shape(lambda: layer.module(signal, nnx.Rngs(0))))
    rng = np.random.default_rng(seed)
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(dtype), nnx.to_pure_dict(state))
    x, after = rng.standard_normal((signal.channels, *signal.axes, 2)).astype(dtype), layer.output(signal)

    @jax.jit
    def both_ways(x):
        module = nnx.merge(graph, params)
        z, moved = module(x), jnp.concatenate([action(x, signal, group, g) for g in elements], axis=-1)
        return module(moved), jnp.concatenate([action(z, after, group, g) for g in elements], axis=-1)

    with jax.enable_x64(dtype is np.float64):
        first, second = both_ways(x)
    assert first.dtype == second.dtype == dtype
    np.testing.assert_allclose(first, second, rtol=ROUNDING[dtype], atol=ROUNDING[dtype])


ROWS = COLUMNS = st.integers(3, 5)  # odd and even, square or not


def fits(layer, signal):
    """Whether the layer accepts the signal."""
    try:
        layer.output(signal)
    except ValueError:
        return False
    return True


def grid_for(group, rows, columns):
    return (rows, rows if group.needs_square else columns)


TAPS = [(3, "SAME"), (2, "VALID"), (3, "VALID"), (3, "CIRCULAR"), (1, "SAME"), (3, "VALID", 2), (3, "SAME", 2)]


@pytest.mark.parametrize("group", [C2, C4, D1, D2, D4], ids=str)
@pytest.mark.parametrize("kind", [LiftingConv, GroupConv])
@settings(max_examples=5)
@given(st.sampled_from(TAPS), ROWS, COLUMNS, SEEDS, DTYPES)
def test_group_convolutions_commute_with_rotations(kind, group, taps, rows, columns, seed, dtype):
    layer = kind(group, 2, *taps, b_std=0.5)
    signal = Signal(2, grid_for(group, rows, columns), group if kind is GroupConv else None)
    assume(fits(layer, signal))
    assert_commutes(layer, signal, group, group.elements, rotated, seed, dtype)


OTHERS = [
    *[Dense(2, b_std=0.5), Relu(), LayerNorm(), Identity(), GlobalAvgPool(), GroupPool(), GroupFlatten()],
    *[AvgPool(2, 1), MaxPool(2), MaxPool(3, 2), Residual((Dense(2), Tanh(), AvgPool(1)))],
]


@settings(max_examples=30)
@given(
    st.sampled_from(OTHERS),
    st.sampled_from([C4, C2, D1, D4]),
    st.sampled_from(["stack", "image", "vector on the group"]),
    ROWS,
    COLUMNS,
    SEEDS,
    DTYPES,
)
def test_other_layers_commute_with_rotations(layer, group, kind, rows, columns, seed, dtype):
    grid = None if kind == "vector on the group" else grid_for(group, rows, columns)
    signal = Signal(2, grid, None if kind == "image" else group)
    assume(fits(layer, signal) and (not hasattr(layer, "window") or grid[0] == grid[1] or group.order == 2))
    if kind == "image" and hasattr(layer, "window"):  # only signals on a group are checked for symmetry
        assume(fits(layer, replace(signal, group=group)))
    assert_commutes(layer, signal, group, group.elements, rotated, seed, dtype)


@settings(max_examples=9)
@given(st.sampled_from([Conv, LiftingConv, GroupConv]), st.sampled_from([C1, C2, C4]), ROWS, COLUMNS, SEEDS, DTYPES)
def test_circular_convolutions_commute_with_translations(kind, group, rows, columns, seed, dtype):
    layer = Conv(2, 2, "CIRCULAR") if kind is Conv else kind(group, 2, 3, "CIRCULAR")
    signal = Signal(2, grid_for(group, rows, columns), group if kind is GroupConv else None)
    assert_commutes(layer, signal, group, (1, 2), translated, seed, dtype)


@pytest.mark.parametrize(
    ("layer", "action"), [(Conv(2, 3, "CIRCULAR"), rotated), (Conv(2, 3), translated)], ids=["rotation", "translation"]
)
def test_the_check_sees_a_layer_that_does_not_commute(layer, action):
    with pytest.raises(AssertionError, match="Not equal"):
        assert_commutes(layer, Signal(2, (4, 4)), C4, (1,), action)


POOLED = {
    "VALID, even": (LiftingConv(C4, 4, 2, "VALID"), Relu(), GroupConv(C4, 4, 2, "VALID"), GroupPool(), Dense(3)),
    "pixels first": (Dense(2), LiftingConv(C4, 4, 3), GlobalAvgPool(), Dense(4), Relu(), GroupPool()),
}


@pytest.mark.parametrize("name", POOLED)
def test_pooled_network_is_invariant(name):
    assert np.max(_changes_under_rotation(Architecture(POOLED[name]))) < 10 * ROUNDING[np.float32]


def test_flattened_network_is_not_invariant():
    flattened = Architecture([*POOLED["VALID, even"][:-2], Flatten(), Dense(3)])
    assert np.min(_changes_under_rotation(flattened)) > 0.3


def _changes_under_rotation(architecture):
    """The largest |f(ρ_g x) − f(x)| for each g but the identity, in units of the logits' spread."""
    x = np.random.default_rng(0).standard_normal((2, 5, 5, 2), dtype=np.float32)

    params = jax.tree.map(lambda leaf: leaf[0], random_params(architecture, x.shape[1:], 1))
    orbit = jnp.concatenate([C4.rotate_images(x, g) for g in C4.elements])
    f = np.reshape(jax.jit(architecture.apply)(params, orbit), (4, 2, -1))
    return np.abs(f[1:] - f[0]).max(axis=(1, 2)) / np.std(f[0])
