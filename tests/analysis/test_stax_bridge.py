"""`to_stax`: our networks among neural-tangents' layers. Plain networks through it are in test_tangents.py."""

import math
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.networks import (
    C2,
    C4,
    D2,
    D4,
    LOGITS,
    MIXING,
    NETWORKS,
    SPHERES,
    STDS,
    inputs,
    partly_slow,
    random_params,
)
from widesym.analysis import analytic_kernel
from widesym.analysis.kernels.full import scaled_average
from widesym.analysis.tangents import import_neural_tangents, to_stax
from widesym.analysis.tangents.averages import averaged
from widesym.models import (
    SO3,
    Architecture,
    Conv,
    Dense,
    Erf,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    Identity,
    LeakyRelu,
    LiftingConv,
    MaxPool,
    NoClosedFormError,
    OrbitAverage,
    Relu,
    Residual,
    Sin,
    SO3Conv,
    SO3Pool,
    SphereLifting,
    Tanh,
    cyclic,
)
from widesym.models.signal import Signal

pytestmark = pytest.mark.skipif(find_spec("neural_tangents") is None, reason="neural-tangents is not installed")


@pytest.fixture(scope="module")
def nt():
    return import_neural_tangents()


def batches(shape, dtype=jnp.float64):
    """Two batches of two, with one input in common: the second of the first, the first of the second."""
    x = jnp.asarray(inputs(shape), dtype)
    return x[:2], x[1:]


def both(kernel_fn, x1, x2):
    return jax.jit(lambda x1, x2: kernel_fn(x1, x2, ("nngp", "ntk")))(x1, x2)


# The kernel

C3_FILTERS = (LiftingConv(cyclic(3), 4, 3, "VALID", **STDS), Relu(), GroupPool(), LOGITS)  # between the pixels
UNUSUAL = (  # a Residual around values that are not Gaussian, which FanInSum refuses, and activations of every kind
    *(Conv(4, 2, **STDS), Tanh(), Residual((Conv(4, 1, **STDS),)), Dense(4, **STDS), Sin(1.5), Identity()),
    *(Dense(4, **STDS), LeakyRelu(0.3), GlobalAvgPool(), LOGITS),
)
LINEAR_SPHERE = (
    SphereLifting(4, 3, 3, oversampling=1, **STDS),
    SO3Conv(4, 3, 2, oversampling=1, **STDS),
    Flatten(),
    LOGITS,
)
SERIES = ("C4, VALID, pixels pooled, MLP, pooled", "residual, normalised", "sphere")
EXACT = {
    name: NETWORKS[name]
    for name in (
        "C4, VALID, pixels pooled, MLP, pooled",
        "C4, VALID, flattened in frames",
        "D4, VALID, pooled",
        "D2, CIRCULAR, flattened",
    )
} | {
    "strides and pools on C4": MIXING["strides and pools on C4"],
    "filters of C3": ((3, 3, 1), C3_FILTERS),
    "unusual": ((3, 2, 2), UNUSUAL),
    "sphere, linear": ((6, 5, 2), LINEAR_SPHERE),
}


@pytest.mark.parametrize("name", partly_slow(EXACT, "D4, VALID, pooled", "D2, CIRCULAR, flattened", "unusual"))
def test_kernels_agree_with_the_analytic_ones_in_double_precision(name):
    """To rounding, but Θ of an input with itself to √ε per nonlinearity, as arccos(1 − ε) ≈ √(2ε)."""
    shape, layers = EXACT[name]
    with jax.enable_x64(True):
        x1, x2 = batches(shape)
        found, expected = both(to_stax(Architecture(layers))[2], x1, x2), analytic_kernel(Architecture(layers))(x1, x2)
    assert found.ntk.dtype == jnp.float64
    np.testing.assert_allclose(found.nngp, expected.nngp, rtol=1e-10)
    same = np.array([[False, False], [True, False]])
    np.testing.assert_allclose(found.ntk[~same], expected.ntk[~same], rtol=1e-10)
    np.testing.assert_allclose(found.ntk[same], expected.ntk[same], rtol=len(layers) * np.finfo(float).eps ** 0.5)


def test_kernels_agree_in_single_precision():
    """K to 1e-5, some hundred roundings of 6e-8; Θ of an input with itself to √ε per nonlinearity."""
    shape, layers = NETWORKS["C4, VALID, pooled"]
    x1, x2 = batches(shape, jnp.float32)
    found, expected = both(to_stax(Architecture(layers))[2], x1, x2), analytic_kernel(Architecture(layers))(x1, x2)
    assert found.ntk.dtype == jnp.float32
    np.testing.assert_allclose(found.nngp, expected.nngp, rtol=1e-5)
    np.testing.assert_allclose(found.ntk, expected.ntk, rtol=2 * np.finfo(np.float32).eps ** 0.5)
    np.testing.assert_allclose(found.ntk[[0, 0, 1], [0, 1, 1]], expected.ntk[[0, 0, 1], [0, 1, 1]], rtol=1e-5)


def test_nonlinear_spheres_agree_to_what_their_grid_leaves():
    """Here K lives on the network's own grid, there κ on one of the lag alone: each folds high degrees in its own way.

    ReLU has many of those: at oversampling K is right to 1e-5, Θ to 1e-4 (analysis/kernels/spherical.py).
    """
    shape, layers = SPHERES["sphere"]
    x1, x2 = batches(shape, jnp.float32)
    found, expected = both(to_stax(Architecture(layers))[2], x1, x2), analytic_kernel(Architecture(layers))(x1, x2)
    np.testing.assert_allclose(found.nngp, expected.nngp, rtol=1e-4)
    np.testing.assert_allclose(found.ntk, expected.ntk, rtol=3e-4)


AVERAGES = {  # layers, and what they act on; networks' kernels do not tell a rotation from its inverse
    "C4 lifting, SAME": (LiftingConv(C4, 2, 3, w_std=1.3), Signal(2, (4, 4))),
    "D4, CIRCULAR": (GroupConv(D4, 2, 3, "CIRCULAR"), Signal(2, (3, 3), D4)),
    "D2, VALID, strided": (GroupConv(D2, 2, 2, "VALID", 2, w_std=1.1), Signal(2, (4, 6), D2)),
    "sphere": (SphereLifting(2, 3, 2, oversampling=1, w_std=1.2), Signal(2, (6, 5))),
    "SO(3)": (SO3Conv(2, 2, 2, oversampling=1, w_std=1.2), Signal(2, None, SO3(2))),
}


@pytest.mark.parametrize("name", AVERAGES)
def test_averages_are_those_of_the_finite_layers(name):
    """A(K) from its equation against the sum over all weights of the module; both to rounding, and not near zero."""
    layer, signal = AVERAGES[name]
    with jax.enable_x64(True):
        covariance = jnp.asarray(np.random.default_rng(0).standard_normal((signal.points, signal.points)))
        found, expected = (np.asarray(f(layer, signal, covariance)) for f in (averaged, scaled_average))
    assert abs(expected).max() > 0.1
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


# The finite network

ONE_HIDDEN = {
    "C4": ((3, 3, 2), (LiftingConv(C4, 16, 3, **STDS), Relu(), GroupPool(), LOGITS)),
    "sphere": ((4, 3, 2), (SphereLifting(16, 2, 2, **STDS), Relu(), SO3Pool(), LOGITS)),
}


@pytest.mark.parametrize("name", ONE_HIDDEN)
def test_empirical_kernels_have_the_bridged_one_as_their_mean(nt, name):
    """One hidden layer's expectations are those of infinite width at any width."""
    (shape, layers), members = ONE_HIDDEN[name], 512
    _, apply_fn, kernel_fn = to_stax(Architecture(layers))
    x = jnp.asarray(inputs(shape))
    ntk = nt.empirical_ntk_fn(apply_fn)
    samples = jax.jit(jax.vmap(lambda params: ntk(x, None, params)))(
        random_params(Architecture(layers), shape, members)
    )
    samples, expected = np.float64(samples), np.float64(both(kernel_fn, x, x).ntk)
    gap, error = samples.mean(0) - expected, samples.std(0, ddof=1) / math.sqrt(members)
    assert np.all(abs(gap) < 4.5 * error)  # 6 entries at a fixed seed
    assert np.all(error < 0.025 * np.sqrt(np.outer(np.diag(expected), np.diag(expected))))  # nothing hides behind it


@pytest.mark.parametrize("name", partly_slow(SERIES, "residual, normalised", "sphere"))
def test_layers_in_series_are_the_architecture(nt, name):
    """Layer by layer in stax.serial: the same shapes and outputs from the same parameters, handed over as they are."""
    shape, layers = {**NETWORKS, **SPHERES}[name]
    architecture = Architecture(layers)
    params = architecture.init(jax.random.key(0), shape)
    whole, (init_fn, apply_fn, _) = to_stax(architecture), nt.stax.serial(*one_by_one(architecture, shape))

    parts = [{"layers": {0: params["layers"][i]}} if i in params["layers"] else {} for i in range(len(layers))]
    fresh = jax.eval_shape(lambda: init_fn(jax.random.PRNGKey(0), (-1, *shape))[1])
    assert jax.tree.map(jnp.shape, fresh) == jax.tree.map(jnp.shape, parts)

    x = jnp.asarray(inputs(shape))
    logits = architecture.apply(params, x)
    np.testing.assert_array_equal(whole[1](params, x), logits)
    np.testing.assert_allclose(apply_fn(parts, x), logits, rtol=1e-5, atol=1e-5)
    again = whole[0](jax.random.key(0), (3, *shape))
    assert again[0] == (3, 1)
    jax.tree.map(np.testing.assert_array_equal, again[1], params)


def one_by_one(architecture, shape):
    signals = architecture.signals(shape)
    return [to_stax(layer, group=before.group) for layer, before in zip(architecture, signals, strict=False)]


# Among neural-tangents' own layers


def test_parts_go_between_other_layers(nt):
    """On a grid that is not square, and after one convolution: neural-tangents then holds its axes reversed."""
    stax, lifting, conv = nt.stax, LiftingConv(C2, 4, 3, **STDS), GroupConv(C2, 4, 3, **STDS)
    kernel_fn = stax.serial(
        *(stax.Conv(4, (3, 3), padding="SAME"), stax.Relu(), to_stax((lifting, Erf())), to_stax(conv, group=C2)),
        *(stax.Relu(), stax.GlobalAvgPool(), stax.Dense(1)),
    )[2]
    layers = (Conv(4, 3), Relu(), lifting, Erf(), conv, Relu(), GroupPool(), Dense(1))
    with jax.enable_x64(True):
        x1, x2 = batches((3, 4, 2))
        found, expected = both(kernel_fn, x1, x2), analytic_kernel(Architecture(layers))(x1, x2)
    np.testing.assert_allclose(found.nngp, expected.nngp, rtol=1e-10)
    np.testing.assert_allclose(found.ntk, expected.ntk, rtol=2 * np.finfo(float).eps ** 0.5)  # two Relus


def test_kernel_function_keeps_neural_tangents_conventions(nt):
    """What is asked for is given, batch by batch, too; covariances have the group as a spatial axis."""
    kernel_fn = jax.jit(to_stax(LiftingConv(C2, 4, 3, **STDS))[2], static_argnames=("get", "diagonal_batch"))
    x1, x2 = batches((3, 4, 2), jnp.float32)
    kernel = kernel_fn(x1, x2, diagonal_batch=False)
    assert isinstance(kernel, nt.Kernel)
    assert kernel.shape1 == (2, 2, 3, 4, 4)
    assert kernel.nngp.shape == kernel.ntk.shape == kernel.cov1.shape == (2, 2, 2, 2, 3, 3, 4, 4)
    assert (kernel.is_gaussian, kernel.batch_axis, kernel.channel_axis) == (True, 0, 4)
    own = kernel_fn(x1, None, get="nngp")
    np.testing.assert_allclose(kernel.cov1, own, rtol=1e-5)  # both are of x1 with itself, to float32's rounding
    batched = nt.batch(kernel_fn, batch_size=1, device_count=0)(x1, x2)
    np.testing.assert_allclose(batched.cov1, jnp.stack([own[0, 0], own[1, 1]]), rtol=1e-5)
    np.testing.assert_allclose(batched.ntk, kernel.ntk, rtol=1e-5)
    np.testing.assert_allclose(batched.nngp, kernel.nngp, rtol=1e-5)
    serial = nt.stax.serial(to_stax((LiftingConv(C2, 4, 3), Relu())), to_stax(GlobalAvgPool(), group=C2))[2]
    pooled = jax.jit(serial)(x1, x2)
    assert pooled.shape2 == (2, 2, 4)
    assert (pooled.is_gaussian, pooled.channel_axis) == (False, 2)


# What cannot be had

IMAGES = jnp.zeros((2, 3, 3, 1)) + jnp.arange(3)[:, None]
MAX_POOL = Architecture((Conv(2, 1), Relu(), MaxPool(2), Flatten(), Dense(1)))
ORBITS = Architecture((Residual((OrbitAverage((Flatten(), Dense(1)), C2),)),))
REFUSED = {
    "no closed form": (MAX_POOL, NoClosedFormError, r"layer 2: MaxPool has no closed-form.*nt\.monte_carlo_kernel_fn"),
    "parametrization": (Architecture((Dense(1),), "mup"), NoClosedFormError, "'mup' parametrization"),
    "parts": (
        (OrbitAverage((Flatten(), Dense(1)), C2),),
        NotImplementedError,
        "layer 0: OrbitAverage.*analytic_kernel",
    ),
    "parts in a body": (ORBITS.layers, NotImplementedError, "layer 0: Residual: layer 0: OrbitAverage"),
    "not Gaussian": (
        (Conv(2, 1), Relu(), Sin()),
        NoClosedFormError,
        "layer 2: Sin acts on values that are not Gaussian",
    ),
    "residual input": ((Residual((Dense(1),)),), NoClosedFormError, "layer 0: Residual adds the input itself"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_kernels_that_cannot_be_had_are_refused(name):
    network, error, message = REFUSED[name]
    with pytest.raises(error, match=message):
        to_stax(network)[2](IMAGES, None, "ntk")


def test_without_a_kernel_networks_can_be_sampled(nt):
    """As the message says; one sample is one network's, drawn from the key as neural-tangents 0.6.5 splits it."""
    key = jax.random.key(0)
    sampled = nt.monte_carlo_kernel_fn(*to_stax(MAX_POOL)[:2], key, 1)(IMAGES, None, "nngp")
    params = MAX_POOL.init(jax.random.split(jax.random.split(key)[1])[0], IMAGES.shape[1:])
    logits = MAX_POOL.apply(params, IMAGES)
    assert abs(logits).min() > 0.01
    np.testing.assert_allclose(sampled, logits @ logits.T, rtol=1e-5)
