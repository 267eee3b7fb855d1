"""Analytic kernels against full covariances, point by point, and against the closed forms of theory.md §2."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.networks import C2, MIXING, NETWORKS, inputs
from tests.support.oracles import kernel
from widesym.analysis import analytic_kernel
from widesym.models import Architecture, Dense, GroupPool, LiftingConv, Relu

# Float32 rounds the sums of each layer, some 1e-7 of the result.
NNGP = {"rtol": 3e-6}
# Θ between nearly equal signals: where cos = 1 − 6e-8 stands for 1, its angle is √(2·6e-8) = 3e-4 instead of 0.
NTK = {"rtol": 5e-4}
# The same in float64, where the spacing below 1 is 1e-16 and the angle 1.5e-8.
NNGP_64, NTK_64 = {"rtol": 1e-12}, {"rtol": 1e-7}


@pytest.mark.parametrize("name", [*NETWORKS, *MIXING])
def test_kernel_is_that_of_full_covariances(name):
    """For white noise, for smooth images, and between the two."""
    shape, layers = {**NETWORKS, **MIXING}[name]
    noise, smooth = inputs(shape), inputs(shape, smooth=len(shape) == 3)
    for x1, x2 in [(noise, noise), (smooth, smooth), (noise, smooth)]:
        found, (nngp, ntk) = analytic_kernel(Architecture(layers))(x1, x2), kernel(layers, x1, x2)
        assert found.nngp.dtype == found.ntk.dtype == jnp.float32
        np.testing.assert_allclose(found.nngp, nngp, **NNGP)
        np.testing.assert_allclose(found.ntk, ntk, **NTK)
    # The last pair are unlike at every pixel: there Θ is as precise as K.
    np.testing.assert_allclose(found.ntk, ntk, **(NNGP if len(shape) == 3 else NTK))


def test_double_precision_stays_double():
    shape, layers = NETWORKS["CNN, VALID, pooled"]
    x = np.float64(inputs(shape))
    with jax.enable_x64(True):
        found = analytic_kernel(Architecture(layers))(x)
        assert found.nngp.dtype == found.ntk.dtype == jnp.float64
    nngp, ntk = kernel(layers, x, x)
    np.testing.assert_allclose(found.nngp, nngp, **NNGP_64)
    np.testing.assert_allclose(found.ntk, ntk, **NTK_64)


@pytest.mark.parametrize(
    ("w_stds", "b_stds"), [((1.0,), (0.0,)), ((1.5, 0.7), (0.0, 0.4)), ((1.4, 2.0, 0.5), (0.3, 0, 1))]
)
def test_mlp_is_the_scalar_recursion(w_stds, b_stds):
    """Dense, Relu, Dense, … on vectors, in theory.md §2's own symbols."""
    x = np.random.default_rng(0).standard_normal((4, 3))
    layers = [layer for w, b in zip(w_stds, b_stds, strict=True) for layer in (Dense(2, w_std=w, b_std=b), Relu())][:-1]
    with jax.enable_x64(True):
        found = analytic_kernel(Architecture(layers))(x[:3], x)
    K, Θ = x @ x.T / 3, np.zeros((4, 4))
    for depth, (w, b) in enumerate(zip(w_stds, b_stds, strict=True)):
        if depth:
            q = np.diag(K)
            norm = np.sqrt(q[:, None] * q)
            c = np.clip(K / norm, -1, 1)
            Θ = Θ * (np.pi - np.arccos(c)) / (2 * np.pi)
            K = norm / (2 * np.pi) * (np.sqrt(1 - c**2) + (np.pi - np.arccos(c)) * c)
        K = w**2 * K + b**2
        Θ = K + w**2 * Θ
    np.testing.assert_allclose(found.nngp, K[:3], **NNGP_64)
    np.testing.assert_allclose(found.ntk, Θ[:3], **NTK_64)


@pytest.mark.parametrize("cosine", [-1.0, -0.9, -0.3, 0.0, 0.5, 0.99, 1.0])
def test_relu_dual_is_the_gaussian_expectation(cosine):
    """E[φφ'] and E[φ'φ'] as integrals over the direction of (u, v); the radius gives ∫ r³ exp(−r²/2) dr = 2."""
    variance1, variance2 = 0.3, 2.5
    direction = (np.arange(100_000) + 0.5) * 2 * np.pi / 100_000
    u = np.sqrt(variance1) * np.cos(direction)
    v = np.sqrt(variance2) * np.cos(direction - np.arccos(cosine))
    expected = 2 * np.mean(np.maximum(u, 0) * np.maximum(v, 0)), np.mean((u > 0) & (v > 0))
    with jax.enable_x64(True):
        norm = np.sqrt(variance1 * variance2)
        found = Relu().dual(*map(jnp.float64, (cosine * norm, variance1, variance2)))
    # 100 000 directions resolve the kinks of the first integrand to 1e-9 and the steps of the second to 1e-5.
    np.testing.assert_allclose(found[0], expected[0], atol=1e-8)
    np.testing.assert_allclose(found[1], expected[1], atol=2e-5)


def test_relu_dual_of_vanishing_signals_is_zero():
    """The slope is the mean of those to both sides, 1/2: Θ is zero there, and its own slope times that is right."""
    zero, one = jnp.zeros(()), jnp.ones(())
    for variances in [(zero, zero), (zero, one), (one, zero)]:
        np.testing.assert_allclose(Relu().dual(zero, *variances), (0, 1 / 4), rtol=1e-6)


def test_blank_images_have_finite_kernels():
    """Without biases K = Θ = 0 with a blank image, and the blank patches of others do no harm."""
    layers = (LiftingConv(C2, 1, 2, "VALID"), Relu(), GroupPool(), Dense(1))
    x = inputs((3, 4, 1))
    x[0] = 0
    x[1, :2] = 0
    found, (nngp, ntk) = analytic_kernel(Architecture(layers))(x), kernel(layers, x, x)
    assert np.all(ntk[1:, 1:] > 0.01)
    for one, expected, tolerance in [(found.nngp, nngp, NNGP), (found.ntk, ntk, NTK)]:
        assert not np.any(one[0])
        assert not np.any(one[:, 0])
        np.testing.assert_allclose(one, expected, **tolerance)
