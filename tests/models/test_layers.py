"""Each layer at finite width: its shape, and its values and covariance against theory.md §1-2 point by point."""

import math
from dataclasses import replace
from functools import partial
from itertools import permutations, product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.support.oracles import affine, average, matrix
from widesym.models import (
    AtomSum,
    AvgPool,
    Canonicalize,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupFlatten,
    GroupPool,
    Identity,
    InvariantScalars,
    LayerNorm,
    LiftingConv,
    MaxPool,
    OrbitAverage,
    Relu,
    Residual,
    Tanh,
    cyclic,
    dihedral,
)
from widesym.models.layers.pooling import max_over_taps
from widesym.models.signal import Signal, to_layout

C1, C2, C4, C8, D2, D4 = cyclic(1), cyclic(2), cyclic(4), cyclic(8), dihedral(2), dihedral(4)
# Both sides sum at most a few hundred products of size one: in float32 they agree to some 1e-6.
assert_close = partial(np.testing.assert_allclose, rtol=1e-5, atol=1e-5)

SIGNALS = {
    "vector": Signal(3),
    "image": Signal(3, (4, 5)),
    "square": Signal(3, (4, 4)),
    "C2 stack": Signal(3, (4, 5), C2),
    "C4 stack": Signal(3, (4, 4), C4),
    "C4 vector": Signal(3, None, C4),
    "D2 stack": Signal(3, (4, 5), D2),
    "D4 stack": Signal(2, (3, 3), D4),
    "atoms": Signal(3, None, None, 2),
}
SHAPES = [
    ("vector", Dense(2), (2,)),
    ("image", Dense(2), (2, 4, 5)),
    ("C4 stack", Dense(2), (2, 4, 4, 4)),
    ("C4 vector", Dense(2), (2, 4)),
    ("image", Conv(2, 3), (2, 4, 5)),
    ("image", Conv(2, 2, "VALID"), (2, 3, 4)),
    ("image", Conv(2, 4, "CIRCULAR"), (2, 4, 5)),
    ("image", Conv(2, 3, stride=2), (2, 2, 3)),
    ("image", Conv(2, 2, "VALID", 2), (2, 2, 2)),
    ("square", Conv(2, 3, "CIRCULAR", 2), (2, 2, 2)),
    ("image", LiftingConv(C2, 2, 3), (2, 2, 4, 5)),
    ("image", LiftingConv(D2, 2, 3), (2, 4, 4, 5)),
    ("square", LiftingConv(C8, 2, 3), (2, 8, 4, 4)),
    ("square", LiftingConv(dihedral(8), 2, 3, "VALID"), (2, 16, 2, 2)),
    ("image", LiftingConv(C2, 2, 2, "VALID"), (2, 2, 3, 4)),
    ("C2 stack", GroupConv(C2, 2, 3, "CIRCULAR"), (2, 2, 4, 5)),
    ("C4 stack", GroupConv(C4, 2, 2, "VALID"), (2, 4, 3, 3)),
    ("vector", Flatten(), (3,)),
    ("image", Flatten(), (60,)),
    ("C4 stack", Flatten(), (192,)),
    ("C4 stack", GroupFlatten(), (48, 4)),
    ("D2 stack", GroupFlatten(), (60, 4)),
    ("image", GlobalAvgPool(), (3,)),
    ("C4 stack", GlobalAvgPool(), (3, 4)),
    ("C4 stack", GroupPool(), (3,)),
    ("C4 vector", GroupPool(), (3,)),
    ("C4 stack", Relu(), (3, 4, 4, 4)),
    ("image", LayerNorm(), (3, 4, 5)),
    ("image", Identity(), (3, 4, 5)),
    ("image", AvgPool(2), (3, 2, 2)),
    ("C4 stack", AvgPool(2), (3, 4, 2, 2)),
    ("C4 stack", MaxPool(2, 1), (3, 4, 3, 3)),
    ("image", MaxPool(3), (3, 1, 1)),
    ("image", Residual((Conv(5, 3), Tanh(), Conv(3, 1))), (3, 4, 5)),
    ("atoms", Dense(4), (4, 2)),
    ("atoms", Flatten(), (6,)),
    ("atoms", AtomSum((Dense(5), Relu())), (5,)),
    ("atoms", AtomSum((Dense(5), Relu()), shared=False), (5,)),
    ("atoms", InvariantScalars(), (3,)),
    ("D4 stack", GroupPool(), (2,)),
    ("square", OrbitAverage((Flatten(), Dense(4)), D4), (4,)),
    ("square", Canonicalize((Conv(5, 3),), C4), (5, 4, 4)),
]
ROTATABLE = [(1, "SAME"), (3, "SAME"), (2, "VALID"), (3, "VALID"), (3, "CIRCULAR")]
ANY_SIZE = [*ROTATABLE, (2, "SAME"), (4, "SAME"), (2, "CIRCULAR")]
STDS = {"w_std": 1.3, "b_std": 0.7}
AFFINE = [
    *[(kind, Dense(2, **STDS)) for kind in ("vector", "image", "C4 stack", "C4 vector")],
    *[("image", Conv(2, *taps, **STDS)) for taps in ANY_SIZE],
    *[("square", LiftingConv(C4, 2, *taps, **STDS)) for taps in ROTATABLE],
    *[("C4 stack", GroupConv(C4, 2, *taps, **STDS)) for taps in ROTATABLE],
    ("image", LiftingConv(C2, 2, 3, **STDS)),
    ("image", LiftingConv(C2, 2, 4, "VALID", **STDS)),
    ("image", LiftingConv(C1, 2, 2, w_std=1.3)),
    ("C2 stack", GroupConv(C2, 2, 3, "CIRCULAR", **STDS)),
    ("C2 stack", GroupConv(C2, 2, 2, "VALID", b_std=0.7)),
    ("image", Conv(2, 3, w_std=0.2)),
    ("image", Conv(2, 3, stride=2, **STDS)),
    ("image", Conv(2, 2, "VALID", 3, **STDS)),
    ("square", Conv(2, 3, "CIRCULAR", 2, **STDS)),
    ("square", LiftingConv(D4, 2, 3, **STDS)),
    ("square", LiftingConv(D4, 2, 2, "VALID", 2, **STDS)),
    ("D2 stack", GroupConv(D2, 2, 3, **STDS)),
    ("D4 stack", GroupConv(D4, 2, 3, "CIRCULAR", **STDS)),
    ("D4 stack", GroupConv(D4, 2, 3, "SAME", 2, **STDS)),
]


def centre_of(signal):
    """The middle of the grid, about which it is turned."""
    return (np.array(signal.grid) - 1) / 2


def random_signal(signal, samples=2):
    """Standard normal values in the networks' layout [channel, group, row, column, sample]."""
    shape = (signal.channels, *signal.axes, samples)
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


def oracle_shape(signal):
    """Elements, rows and columns, for the oracle."""
    return (signal.group.order if signal.group else 1, *(signal.grid or (1, 1)))


@pytest.mark.parametrize(("kind", "layer", "shape"), SHAPES, ids=str)
def test_shape(kind, layer, shape):
    """The spec announces the shape that the module gives."""
    signal = SIGNALS[kind]
    for samples in (1, 2):
        x = random_signal(signal, samples)
        z = jax.eval_shape(lambda x: layer.module(signal, nnx.Rngs(1))(x), x)
        assert z.shape == random_signal(layer.output(signal), samples).shape == (*shape, samples)


def module_on(layer, signal):
    """The layer as a function of parameters and x; and parameters ~ N(0, 1) (from NumPy: nothing to compile)."""
    graph, state = nnx.split(nnx.eval_shape(lambda: layer.module(signal, nnx.Rngs(1))))
    rng = np.random.default_rng(1)
    params = jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape, dtype=np.float32), nnx.to_pure_dict(state))
    return lambda params, x: nnx.merge(graph, params)(x), params


@pytest.mark.parametrize(("kind", "layer"), AFFINE, ids=str)
def test_affine_layer_is_its_equation(kind, layer):
    """z is theory.md §1's; and Σ_θ ∂z ∂z' = σ_w² A(K) + σ_b² of §2 at all pairs of points.

    As z is linear in θ ~ N(0, 1), the latter is both E[z z'] and the layer's NTK, free of sampling error. The layer is
    given as many features as each has weights: where the weights are the identity, feature i is ∂z/∂θ_i.
    """
    signal = SIGNALS[kind]
    shape, x = oracle_shape(signal), random_signal(signal)
    layer = replace(layer, features=math.prod(module_on(layer, signal)[1]["weight"].shape[1:]))
    function, params = module_on(layer, signal)
    assert ("bias" in params) == (layer.b_std > 0)
    run = jax.jit(lambda params: function(params, x).reshape(layer.features, -1, x.shape[-1]))

    z, weight = run(params), np.float64(params["weight"])
    first, second = np.moveaxis(x.reshape(signal.channels, -1, 2), -1, 0)
    for sample, points in enumerate((first, second)):
        assert_close(z[..., sample], affine(layer, weight, params.get("bias"), points, shape))

    identity = {"weight": np.eye(layer.features).reshape(weight.shape), "bias": np.zeros(layer.features)}
    only_bias = {"weight": np.zeros_like(weight), "bias": np.ones(layer.features)}
    jacobian, of_bias = (run({name: np.float32(values[name]) for name in params}) for values in (identity, only_bias))
    found = jacobian[..., 0].T @ jacobian[..., 1] + np.outer(of_bias[0, :, 0], of_bias[0, :, 1])
    inputs = first.T @ second / signal.channels
    assert_close(found, layer.w_std**2 * average(layer, inputs, shape) + layer.b_std**2)


@pytest.mark.parametrize("kind", SIGNALS)
def test_layers_without_weights(kind):
    signal = SIGNALS[kind]
    x = random_signal(signal)

    def run(layer):
        function, params = module_on(layer, signal)
        assert not params
        return function(params, x)

    np.testing.assert_array_equal(run(Relu()), np.where(x > 0, x, 0))
    flat = run(Flatten())
    for sample in range(2):
        np.testing.assert_array_equal(flat[:, sample], x[..., sample].ravel())
    np.testing.assert_array_equal(run(Identity()), x)
    centred = x - x.mean(axis=0)
    assert_close(run(LayerNorm()), centred / np.sqrt((centred**2).mean(axis=0) + 1e-6))
    if signal.grid:
        for pool, reduce in [(AvgPool, np.mean), (MaxPool, np.max)]:
            for size, stride in [(2, None), (2, 1), (3, 1)]:
                if signal.group and (min(signal.grid) - size) % (stride or size):
                    continue
                windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), (-3, -2))
                step = stride or size
                assert_close(run(pool(size, stride)), reduce(windows[..., ::step, ::step, :, :, :], axis=(-2, -1)))
        assert_close(run(GlobalAvgPool()), x.mean(axis=(x.ndim - 3, x.ndim - 2)))
    if signal.group and signal.grid:
        frames = run(GroupFlatten()).reshape(len(x), *signal.grid, signal.group.order, 2)
        for r, y in product(signal.group.elements, np.ndindex(*signal.grid)):
            turned = matrix(signal.group, r) @ (np.array(y) - centre_of(signal)) + centre_of(signal)  # ρ_r y
            np.testing.assert_array_equal(frames[:, *y, r], x[:, r, *np.rint(turned).astype(int)])
    if signal.group:
        assert_close(run(GroupPool()), x.reshape(len(x), -1, 2).mean(axis=1))


def test_the_derivative_of_a_maximum_is_the_mean_over_those_that_reach_it():
    """In whichever order they stand, so that turned images have turned gradients."""
    shares = {(1, 3, 2, 0): (0, 1, 0, 0), (3, 1, 3, 3): (1 / 3, 0, 1 / 3, 1 / 3), (0, 0, 0, 0): (1 / 4,) * 4}
    for order in permutations(range(4)):
        taps, expected = (np.float32([list(x) for x in side]).T[list(order)] for side in (shares, shares.values()))
        change = np.random.default_rng(0).standard_normal(taps.shape, dtype=np.float32)
        np.testing.assert_allclose(jax.grad(lambda x: max_over_taps(x).sum())(taps), expected, rtol=1e-6)
        value, pushed = jax.jvp(max_over_taps, (taps,), (change,))
        np.testing.assert_array_equal(value, taps.max(0))
        assert_close(pushed, (expected * change).sum(0))


def test_layout_puts_channels_first_and_samples_last():
    images = np.arange(2 * 3 * 4 * 5).reshape(2, 3, 4, 5)
    layout = to_layout(jnp.asarray(images))
    assert layout.shape == (5, 3, 4, 2)
    for sample, row, column, channel in np.ndindex(images.shape):
        assert layout[channel, row, column, sample] == images[sample, row, column, channel]


def test_signals_describe_themselves():
    assert str(Signal(3)) == "a vector of 3 channels"
    assert str(Signal(3, (4, 5))) == "3 channels on 4×5 pixels"
    assert str(Signal(3, (4, 4), C4)) == "3 channels on C4 × 4×4 pixels"
    assert Signal(3, (4, 5), C2).points == 40
    assert Signal(3).points == 1
