"""Spherical layers: their equation, covariance at finite and infinite width, equivariance and sampling error."""

import math
from dataclasses import replace
from functools import lru_cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.so3_oracles import (
    BandLimited,
    dh_so3,
    dh_sphere,
    gauss_so3,
    gauss_sphere,
    noise_on_so3,
    noise_on_sphere,
)
from widesym.models import Architecture, Dense, Relu
from widesym.models.signal import Signal
from widesym.models.spherical.conv import SO3Conv, SO3Pool, SphereLifting, values
from widesym.models.spherical.harmonics import rotate_so3, rotate_sphere, so3_synthesis, sphere_synthesis
from widesym.models.spherical.so3 import SO3
from widesym.models.spherical.wigner import gauss_and_pole, norms, orders, real_wigner, so3_weights, sphere_weights

# float32: sums of some hundred products of size one.
assert_close = partial(np.testing.assert_allclose, rtol=2e-5, atol=2e-5)
STDS = {"w_std": 1.3, "b_std": 0.7}
AFFINE = [
    kind(2, *limits, oversampling=1, **STDS) for kind in (SphereLifting, SO3Conv) for limits in ((3, 3), (4, 3), (2, 1))
]
ANGLES = st.tuples(st.floats(-4, 4), st.floats(0, 3.14), st.floats(-4, 4))


def signal_into(layer, channels=2):
    L = layer.bandlimit_in
    return Signal(channels, (2 * L, 2 * L - 1)) if isinstance(layer, SphereLifting) else Signal(channels, None, SO3(L))


def on_grid(layer, function):
    """[channel, …]: the function's samples on the layer's input grid."""
    L = layer.bandlimit_in
    if isinstance(layer, SphereLifting):
        return function.on_sphere(dh_sphere(L))
    return function.on_so3(dh_so3(L))


def random_inputs(layer):
    """Two band-limited functions that the layer's grid resolves, and their samples in the layout."""
    functions = [BandLimited(layer.bandlimit_in, 2, seed) for seed in (0, 1)]
    return functions, np.stack([on_grid(layer, function) for function in functions], axis=-1)


def module_on(layer, signal):
    """The layer as a function of parameters and x; and the parameters' shapes."""
    graph, state = nnx.split(nnx.eval_shape(lambda: layer.module(signal, nnx.Rngs(1))))
    shapes = jax.tree.map(lambda leaf: leaf.shape, nnx.to_pure_dict(state), is_leaf=lambda leaf: hasattr(leaf, "shape"))
    return lambda params, x: nnx.merge(graph, params)(x), shapes


def random_params(shapes, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {name: rng.standard_normal(shape).astype(dtype) for name, shape in shapes.items()}


@pytest.mark.parametrize("layer", AFFINE, ids=str)
def test_shape(layer):
    signal = signal_into(layer)
    L, after = layer.bandlimit_out, layer.output(signal)
    assert after == Signal(2, None, SO3(L))
    assert after.points == after.group.order == (2 * L - 1) ** 2 * 2 * L == len(after.group.elements)
    run, shapes = module_on(layer, signal)
    coefficients = L**2 if isinstance(layer, SphereLifting) else L * (2 * L - 1) * (2 * L + 1) // 3
    assert shapes == {"weight": (2, 2, coefficients), "bias": (2,)}
    x = np.float32(random_inputs(layer)[1])
    z = jax.eval_shape(run, random_params(shapes), x)
    assert (z.shape, z.dtype) == ((2, after.points, 2), np.float32)


@pytest.mark.parametrize("layer", AFFINE, ids=str)
def test_affine_layer_is_its_equation(layer):
    """z(g) = σ_w/√(Vn) Σ_c ∫ W_c(x) f_c(gx) + σ_b b, with W summed up from the weights as its coefficients."""
    (function, _), x = random_inputs(layer)
    run, shapes = module_on(layer, signal_into(layer))
    params = random_params(shapes)
    L, grid, g = layer.bandlimit_out, layer.bandlimit_in, dh_so3(layer.bandlimit_out)
    exists = np.abs(orders(L)) <= np.arange(L)[:, None]
    if isinstance(layer, SphereLifting):
        synthesis, weights, volume = sphere_synthesis, sphere_weights(grid).ravel(), 4 * np.pi
        moved = function.on_sphere(np.einsum("gij,xj->gxi", g, dh_sphere(grid).reshape(-1, 3)))
    else:
        synthesis, weights, volume = so3_synthesis, so3_weights(grid), 8 * np.pi**2
        exists, moved = exists[:, :, None] & exists[:, None, :], function.on_so3(g[:, None] @ dh_so3(grid))
    W = np.zeros((4, *exists.shape, 1), np.float32)
    W[:, exists, 0] = params["weight"].reshape(4, -1)
    W = np.reshape(synthesis(W, grid), (2, 2, -1))
    z = layer.w_std / np.sqrt(volume * 2) * np.einsum("kcx,cgx,x->kg", W, moved, weights)
    assert_close(jax.jit(run)(params, np.float32(x))[..., 0], z + layer.b_std * params["bias"][:, None])


def exact_covariance(layer, x):
    """Σ_θ ∂z ∂z' at all pairs of points of the two samples.

    The layer gets as many features as each has weights: where the weights are the identity, feature i is ∂z/∂θ_i.
    """
    signal = signal_into(layer)
    fan_in = math.prod(module_on(layer, signal)[1]["weight"][1:])
    layer = replace(layer, features=fan_in)
    run, shapes = module_on(layer, signal)
    run, weight = jax.jit(run), np.eye(fan_in, dtype=np.float32).reshape(shapes["weight"])
    jacobian = run({"weight": weight, "bias": np.zeros(fan_in, np.float32)}, x)
    of_bias = run({"weight": 0 * weight, "bias": np.ones(fan_in, np.float32)}, x)
    return jacobian[..., 0].T @ jacobian[..., 1] + jnp.outer(of_bias[0, :, 0], of_bias[0, :, 1])


def integrated_covariance(layer, functions):
    """σ_w²/(V n) Σ_c ∫∫ f_c(gx) E[W(x)W(y)] f'_c(g'y) + σ_b² by quadrature over explicitly rotated points."""
    g = dh_so3(layer.bandlimit_out)
    if isinstance(layer, SphereLifting):
        points, weights = gauss_sphere(layer.bandlimit_in)
        noise, volume = noise_on_sphere(layer.bandlimit_out, points), 4 * np.pi
        moved = [function.on_sphere(np.einsum("gij,xj->gxi", g, points)) for function in functions]
    else:
        points, weights = gauss_so3(layer.bandlimit_in)
        noise, volume = noise_on_so3(layer.bandlimit_out, points), 8 * np.pi**2
        moved = [function.on_so3(g[:, None] @ points) for function in functions]
    first, second = (np.moveaxis(f * weights, 0, 1).reshape(len(g), -1, len(weights)) for f in moved)
    total = np.einsum("gcx,xy,hcy->gh", first, noise, second, optimize=True)
    return layer.w_std**2 / (volume * first.shape[1]) * total + layer.b_std**2


@pytest.mark.parametrize("layer", AFFINE, ids=str)
def test_affine_layer_has_the_covariance_of_its_equation(layer):
    """As z is linear in θ ~ N(0, 1), Σ_θ ∂z ∂z' is both E[z z'] and the layer's NTK, free of sampling error."""
    functions, x = random_inputs(layer)
    assert_close(exact_covariance(layer, np.float32(x)), integrated_covariance(layer, functions))


@pytest.mark.parametrize("layer", AFFINE[:3], ids=str)
def test_kappa_of_the_lifting(layer):
    """E[z(g) z'(g')] = σ_w² κ₀(gg'⁻¹) + σ_b², at all pairs of points: in this order, and with the first input first."""
    functions, x = random_inputs(layer)
    kappa = layer.kappa(*np.float32(np.moveaxis(x, (0, -1), (-1, 0))))
    L = layer.bandlimit_out
    expected = integrated_covariance(layer, functions)
    g = dh_so3(L)
    lags = g[:, None] @ g.transpose(0, 2, 1)
    assert_close(layer.w_std**2 * at(kappa, lags.reshape(-1, 3, 3)).reshape(expected.shape) + layer.b_std**2, expected)
    assert_close(layer.w_std**2 * values(kappa, L, gauss_and_pole)[0] + layer.b_std**2, np.diag(expected))
    finer = at(kappa, dh_so3(L + 1))
    assert_close(values(kappa, L + 1), finer)


def at(kappa, g):
    """κ at any rotations: Σ_lmn √((2l+1)/8π²) κ_lmn R^l_mn."""
    alpha, gamma = np.arctan2(g[:, 1, 2], g[:, 0, 2]), np.arctan2(g[:, 2, 1], -g[:, 2, 0])
    sine = np.hypot(g[:, 0, 2], g[:, 1, 2])
    pole = sine < 1e-9  # only α ± γ is determined: let γ be zero
    alpha, gamma = np.where(pole, np.arctan2(g[:, 1, 0], g[:, 1, 1]), alpha), np.where(pole, 0, gamma)
    R = jax.vmap(partial(real_wigner, kappa.shape[0]))(*map(np.float32, (alpha, np.arctan2(sine, g[:, 2, 2]), gamma)))
    return np.einsum("glmn,lmn,l->g", R, kappa, norms(kappa.shape[0], 8 * np.pi**2))


@pytest.mark.parametrize("layer", AFFINE[3:], ids=str)
def test_so3_convolution_truncates_kappa(layer):
    """With inputs x_c(g) = x(g t_c), whose channels run over SO(3), (1/n) Σ_c x_c x'_c is a κ(gg'⁻¹); so is E[z z'].

    The mean over t_c is a quadrature, its weights put into x.
    """
    functions = [BandLimited(layer.bandlimit_in, 1, seed) for seed in (0, 1)]
    turns, weights = gauss_so3(layer.bandlimit_in)
    h, g = dh_so3(layer.bandlimit_in), dh_so3(layer.bandlimit_out)
    root = np.sqrt(weights / weights.mean())[:, None]
    x = [function.on_so3(h @ turns[:, None])[0] * root for function in functions]
    identity = np.stack([function.on_so3(turns)[0] * root[:, 0] for function in functions])
    kappa = x[0].T @ identity[1] / len(turns)  # κ(h) = K(h, e)
    coefficients = layer.truncation(np.float32(kappa))

    jacobian = _covariance_of_channels(layer, np.stack(x, axis=-1))
    lags = (g[:, None] @ g.transpose(0, 2, 1)).reshape(-1, 3, 3)
    expected = layer.w_std**2 * at(coefficients, lags).reshape(jacobian.shape) + layer.b_std**2
    assert_close(jacobian, expected)
    assert_close(
        layer.w_std**2 * values(coefficients, layer.bandlimit_out, gauss_and_pole)[0] + layer.b_std**2,
        np.diag(jacobian),
    )


def _covariance_of_channels(layer, x):
    """Σ_θ ∂z ∂z' of many channels: the mean over channels of that of one channel."""
    signal = signal_into(layer, 1)
    fan_in = math.prod(module_on(layer, signal)[1]["weight"][1:])
    run, shapes = module_on(replace(layer, features=fan_in, b_std=0.0), signal)
    params = {"weight": np.eye(fan_in, dtype=np.float32).reshape(shapes["weight"])}
    z = jax.jit(run)(params, np.float32(np.moveaxis(x, 0, 1).reshape(1, x.shape[1], -1)))
    z = np.float64(z).reshape(fan_in, -1, len(x), 2)
    return np.einsum("igc,ihc->gh", z[..., 0], z[..., 1], optimize=True) / len(x) + layer.b_std**2


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("layer", [AFFINE[0], AFFINE[1], AFFINE[3], AFFINE[4]], ids=str)
@settings(max_examples=6)
@given(angles=ANGLES)
def test_layers_commute_with_rotations(layer, dtype, angles):
    """Exactly, for band-limited inputs: up to rounding, of z of size one summed from some hundred products."""
    x = random_inputs(layer)[1].astype(dtype)
    params = random_params(module_on(layer, signal_into(layer))[1], dtype)
    with jax.enable_x64(dtype is np.float64):
        both_ways = _both_ways(layer, rotate_sphere if isinstance(layer, SphereLifting) else rotate_so3)
        first, second = map(np.asarray, both_ways(params, x, np.asarray(angles, dtype)))
    assert first.dtype == second.dtype == dtype
    rounding = 5e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(first, second, rtol=0, atol=rounding)
    assert np.std(first) > 0.3


@lru_cache  # compiled once for all of hypothesis's examples
def _both_ways(layer, before):
    run, _ = module_on(layer, signal_into(layer))
    return jax.jit(lambda params, x, angles: (run(params, before(x, angles)), rotate_so3(run(params, x), angles)))


def test_pool_is_the_mean_over_so3():
    """Of a function on SO(3), the degree-zero part; whatever rotates it."""
    function = BandLimited(3, 2, seed=0)
    g, weights = gauss_so3(3)
    pool = SO3Pool().module(Signal(2, None, SO3(3)), nnx.Rngs(0))
    x = jnp.asarray(np.float32(function.on_so3(dh_so3(3))))[..., None]
    expected = function.on_so3(g) @ weights / (8 * np.pi**2)
    assert np.abs(expected).max() > 0.1
    assert_close(pool(x)[:, 0], expected)
    assert_close(pool(rotate_so3(x, (0.3, 1.2, -2.0)))[:, 0], expected)
    assert_close(SO3Pool().mean(x[0, :, 0]), expected[0])


@pytest.mark.parametrize("layer", [AFFINE[1], AFFINE[4]], ids=str)
def test_random_layers_have_that_covariance(layer):
    """Sample covariances of m independent networks (features) are off by one standard error, for small and large m.

    A pair's variance is (K_gg K_hh + K_gh²)/m. The 150² pairs hang together: their rms error in standard errors is one
    only on average: over 40 batches of 200 within some 10 %, for the single batch of 8000 within a factor of two.
    Small biases are what the exact covariance above is for.
    """
    functions, x = random_inputs(layer)
    members, signal = 8000, signal_into(layer)
    z = jax.jit(lambda x: replace(layer, features=members).module(signal, nnx.Rngs(3))(x))(np.float32(x))
    z = np.float64(z)
    cross = integrated_covariance(layer, functions)
    variances = [np.diag(integrated_covariance(layer, [function] * 2)) for function in functions]
    error = np.sqrt(np.outer(*variances) + cross**2)
    for count, bounds in ((200, (0.8, 1.2)), (members, (0.4, 2))):
        batches = z.reshape(-1, count, *z.shape[1:])
        found = np.einsum("bkg,bkh->bgh", batches[..., 0], batches[..., 1], optimize=True) / count
        in_standard_errors = np.sqrt(np.mean(((found - cross) / error) ** 2) * count)
        assert bounds[0] < in_standard_errors < bounds[1]


def test_network_runs_from_images_to_logits():
    layers = [SphereLifting(4, 3, 2), Relu(), SO3Conv(5, 2, 2, b_std=0.1), Relu(), SO3Pool(), Dense(2)]
    architecture = Architecture(layers)
    params = jax.jit(architecture.init, static_argnums=1)(jax.random.key(0), (6, 5, 3))
    x = np.random.default_rng(0).standard_normal((2, 6, 5, 3), dtype=np.float32)

    @jax.jit
    def logits_and_gradient(params):
        logits = architecture.apply(params, x)
        return logits, jax.grad(lambda params: architecture.apply(params, x).sum())(params)

    logits, gradient = logits_and_gradient(params)
    assert logits.shape == (2, 2)
    assert np.isfinite(logits).all()
    assert all(np.abs(leaf).max() > 0 for leaf in jax.tree.leaves(gradient))
