"""Gaussian duals against integrals, against each other, and where float32 is in danger."""

import math
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.activation_references import ALL, COSINES, LINEAR, SMOOTH, cases_and_integrals
from widesym.models import Elementwise, Erf, Gelu, Sin


def duals(layer, dtype, cases):
    """The layer's duals at (q, q', c), as float64 `[case, 2]`."""
    q1, q2, cosine = np.array(cases, float).T
    with jax.enable_x64(dtype == jnp.float64):
        found = jax.jit(layer.dual)(*(jnp.asarray(x, dtype) for x in (cosine * np.sqrt(q1 * q2), q1, q2)))
        assert {x.dtype for x in found} == {jnp.dtype(dtype)}
    return np.stack(found, axis=-1).astype(float)


@pytest.mark.parametrize("layer", LINEAR | SMOOTH, ids=str)
def test_dual_is_the_gaussian_expectation(layer):
    cases, expected = cases_and_integrals(layer)
    if layer in LINEAR:  # the slope of a signal that is zero is the mean of those to both sides, not the reference's
        slope = (LINEAR[layer][0](1.0) - LINEAR[layer][0](-1.0)) / 2
        expected[[0 in case[:2] for case in cases]] = (0, slope**2)
    found = duals(layer, jnp.float64, cases)
    # The references' rounding; where c comes out 1e-16 from ±1, its angle is 1.5e-8 off, and so are steps' duals.
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(found[:, 1], expected[:, 1], rtol=1e-10, atol=1e-7 if layer in LINEAR else 1e-13)

    found, size = duals(layer, jnp.float32, cases), np.array([math.sqrt(q1 * q2) for q1, q2, _ in cases])
    # k is rounded by 6e-8 √(qq'), up to 6e-6, which moves smooth duals as much, and the Sins' ω² times that.
    squared = getattr(layer, "frequency", 1) ** 2
    rounding = 1e-6 + 6e-7 * size * squared
    assert np.all(abs(found[:, 0] - expected[:, 0]) < rounding)
    # Where c is 6e-8 from ±1, its angle is 3.5e-4.
    assert np.all(abs(found[:, 1] - expected[:, 1]) < (2e-3 if layer in LINEAR else rounding * squared))


@pytest.mark.parametrize("closed", [Erf(), Gelu(), Sin()], ids=str)
def test_quadrature_agrees_with_the_closed_forms(closed):
    fn = {Erf: jax.scipy.special.erf, Gelu: jax.nn.silu, Sin: jnp.sin}[type(closed)]
    fn = exact_gelu if isinstance(closed, Gelu) else fn
    cases = [(*pair, cosine) for pair, cosine in product(((0.3, 0.3), (1, 1), (0.2, 4)), COSINES)]
    found = duals(Elementwise(fn), jnp.float64, cases)
    np.testing.assert_allclose(found, duals(closed, jnp.float64, cases), atol=1e-9)  # 3e-12 lies beyond the nodes


def exact_gelu(z):
    return jax.nn.gelu(z, approximate=False)


@pytest.mark.parametrize("layer", ALL, ids=str)
def test_cosines_beyond_one_and_extreme_scales_stay_finite(layer):
    q = jnp.asarray([1e-30, 1e-20, 1e-6, 0.7, 1.0, 3.0, 1e3, 1e6], jnp.float32)
    for k in (q * (1 + 1e-6), -q * (1 + 1e-6)):
        beyond, at = (jax.jit(layer.dual)(covariance, q, q) for covariance in (k, jnp.sign(k) * q))
        assert np.all(np.isfinite(beyond))
        assert np.all(np.isfinite(at))
        # One part in 1e6 of k, at q ≤ 3, moves smooth duals as little; kinks see the clipped cosine alone.
        for one, other in zip(beyond, at, strict=True):
            np.testing.assert_allclose(one[:6], other[:6], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("layer", LINEAR, ids=str)
def test_piecewise_linear_duals_scale_down_to_faint_inputs(layer):
    """For inputs of 1e-10 the variances are 1e-20, whose product float32 does not hold."""
    q1, q2 = (np.random.default_rng(seed).uniform(0.1, 9, 100).astype(np.float32) for seed in (0, 1))
    k = np.float32(0.6) * np.sqrt(q1 * q2)
    tiny = np.float32(2**-66)  # a power of two: no rounding
    for one, other, power in zip(
        layer.dual(k * tiny, q1 * tiny, q2 * tiny), layer.dual(k, q1, q2), (tiny, 1), strict=True
    ):
        np.testing.assert_allclose(one / power, other, rtol=1e-6)
    # With itself the cosine is exactly 1, not a rounding below: Θ(x, x) is exact.
    positive, negative = layer.slopes
    np.testing.assert_allclose(
        layer.dual(q1 * tiny, q1 * tiny, q1 * tiny)[1], (positive**2 + negative**2) / 2, rtol=3e-7
    )


@pytest.mark.parametrize("layer", [*LINEAR, *SMOOTH], ids=str)
@pytest.mark.parametrize("scale", [1e20, 1e30])
def test_bright_inputs_have_the_duals_of_float64(layer, scale):
    """Variances of inputs of 1e10 and 1e15 fit into float32, their squares do not."""
    cases = [(scale, 3 * scale, cosine) for cosine in (-1, -0.9, -0.2, 0, 0.6, 1)] + [(scale, scale, 1)]
    found, expected = duals(layer, jnp.float32, cases), duals(layer, jnp.float64, cases)
    # Relative to what each is at c = 1; float32's c is 6e-8 from ±1, and its angle 3.5e-4.
    np.testing.assert_allclose(found[:, 0], expected[:, 0], rtol=0, atol=1e-6 * abs(expected[:, 0]).max())
    np.testing.assert_allclose(found[1:5, 1], expected[1:5, 1], rtol=1e-5, atol=1e-6)


def test_sines_of_large_variance_do_not_overflow():
    q = jnp.float32(400)  # e^400 overflows float32
    np.testing.assert_allclose(Sin().dual(q, q, q), (0.5, 0.5), rtol=1e-6)
    np.testing.assert_allclose(Sin().dual(-q, q, q), (-0.5, 0.5), rtol=1e-6)
    assert Sin().dual(jnp.float32(0), q, q) == (0, 0)
