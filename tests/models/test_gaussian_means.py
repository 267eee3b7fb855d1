"""Integrated duals against composite Gauss-Legendre rules, SciPy and central differences, at any variance."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special

from tests.support.activation_references import softplus_square
from widesym.analysis import analytic_kernel
from widesym.models import Architecture, Dense, Elementwise, Flatten, NoClosedFormError, Tanh
from widesym.models.layers.gaussian_means import gaussian_means

LEGENDRE = np.polynomial.legendre.leggauss(12)
SCALES = 4.0 ** np.arange(-1, 7)  # on which functions that change over a length of 1 are resolved, up to 4000


def exact_gelu(z):
    return jax.nn.gelu(z, approximate=False)


def hard_tanh(z):
    return jnp.clip(z, -1, 1)


def absolute(z):
    return jnp.abs(z)


def sech2(z):
    return 1 / np.cosh(np.clip(z, -300, 300)) ** 2


def gelu_slope(z):
    return scipy.special.ndtr(z) + z * np.exp(-(z**2) / 2) / math.sqrt(2 * math.pi)


SMOOTH = {  # φ and φ' in NumPy
    Tanh(): (np.tanh, sech2),
    Elementwise(exact_gelu): (lambda z: z * scipy.special.ndtr(z), gelu_slope),
    Elementwise(jax.nn.sigmoid): (scipy.special.expit, lambda z: scipy.special.expit(z) * scipy.special.expit(-z)),
    Elementwise(softplus_square): (
        lambda z: np.logaddexp(z, 0) ** 2,
        lambda z: 2 * np.logaddexp(z, 0) * scipy.special.expit(z),
    ),
}


def panels(edges):
    """Nodes and weights of Gauss-Legendre rules between edges along the last axis."""
    centre, half = (edges[..., 1:] + edges[..., :-1]) / 2, (edges[..., 1:] - edges[..., :-1]) / 2
    nodes = centre[..., None] + half[..., None] * LEGENDRE[0]
    weights = half[..., None] * LEGENDRE[1]
    return (x.reshape(*edges.shape[:-1], -1) for x in (nodes, weights * np.exp(-(nodes**2) / 2) / math.sqrt(2 * np.pi)))


def edges(*scaled):
    """Panels of a deviation up to ±8, and finer ones about where functions change."""
    shape = np.broadcast_shapes(*(np.shape(x)[:-1] for x in scaled))
    whole = [np.broadcast_to(x, (*shape, np.shape(x)[-1])) for x in (np.linspace(-8, 8, 17), *scaled)]
    return np.sort(np.clip(np.concatenate(whole, -1), -8, 8), -1)


def expectation(f, q1, q2, cosine):
    """E[f(u)f(v)], panels halving towards u = 0 and, for each u, towards v = 0."""
    a, b, sine = math.sqrt(q1), math.sqrt(q2), math.sqrt((1 - cosine) * (1 + cosine))
    both = np.concatenate([-SCALES, [0], SCALES])
    x, of_x = panels(edges(both / a, both / (b * max(abs(cosine), 1e-3))))
    if sine == 0:
        return np.sum(of_x * f(a * x) * f(b * cosine * x))
    y, of_y = panels(edges((both / b - cosine * x[:, None]) / sine))
    return np.sum(of_x * f(a * x) * np.sum(of_y * f(b * (cosine * x[:, None] + sine * y)), -1))


@pytest.mark.parametrize("cosine", [0.6, 1])
def test_the_reference_agrees_with_scipy(cosine):
    """An adaptive rule in two dimensions, at a variance that it can still do."""
    q1, q2 = 25.0, 4.0
    rest = math.sqrt(1 - cosine**2)

    def integrand(y, x):
        density = math.exp(-(x**2 + y**2) / 2) / (2 * math.pi)
        return density * math.tanh(5 * x) * math.tanh(2 * (cosine * x + rest * y))

    found, error = scipy.integrate.dblquad(integrand, -9, 9, -9, 9, epsabs=1e-8, epsrel=1e-8)
    assert error < 1e-6
    np.testing.assert_allclose(expectation(np.tanh, q1, q2, cosine), found, rtol=1e-7)


VARIANCES = (1e-8, 1.0, 1e2, 1e4, 1e6)
COSINES = (-1, -0.9, 0, 0.5, 1)
NEARLY = (1 - 1e-8, 0.9999)  # cosines that float32 rounds


@pytest.mark.parametrize("layer", SMOOTH, ids=str)
def test_duals_are_right_at_any_variance(layer):
    """Relative to the root of the product of both signals' own: 1e-7 in float64, in float32 1e-5."""
    cases = [(q, other, c) for q in VARIANCES for other in {q, 1.0} for c in COSINES + NEARLY]
    expected = np.array([[expectation(f, *case) for f in SMOOTH[layer]] for case in cases])
    own = {q: [expectation(f, q, q, 1) for f in SMOOTH[layer]] for q in VARIANCES}
    size = np.sqrt([np.multiply(own[q1], own[q2]) for q1, q2, _ in cases])
    # One by one: together, all have as many nodes as the largest variance asks for.
    for dtype, tolerance in ((jnp.float64, 1e-7), (jnp.float32, 1e-5)):
        chosen = np.array([dtype == jnp.float64 or c in COSINES for *_, c in cases])
        q1, q2, cosine = np.array(cases)[chosen].T
        with jax.enable_x64(dtype == jnp.float64):
            arrays = [jnp.asarray(x, dtype) for x in (cosine * np.sqrt(q1 * q2), q1, q2)]
            found = jax.jit(lambda *qs: jax.lax.map(lambda q: layer.dual(*q), qs))(*arrays)
        error = abs(np.transpose(found).astype(float) - expected[chosen])
        assert np.all(error < tolerance * size[chosen])


def test_slopes_of_steep_functions_are_right_by_themselves():
    """E[φ'φ'] of tanh falls as 1/q apart from c = 1, where it falls as 1/√q: its error is relative to itself."""
    cases = [(q, q, c) for q in VARIANCES for c in COSINES]
    expected = np.array([expectation(sech2, *case) for case in cases])
    q, _, cosine = np.array(cases).T
    found = Tanh().dual(*(jnp.asarray(x, jnp.float32) for x in (cosine * q, q, q)))[1]
    # At q = 1e6 positions near zero are rounded by 1e-4 of the length over which tanh changes.
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize(("scale", "theta"), [(1, 4.5575), (255 / 16, None)], ids=["0 to 16", "bytes"])
def test_raw_pixels_have_the_kernel_of_scipy(scale, theta):
    """A digit as it is stored, whose variance is 50, and as bytes; Θ = K + q E[φ'φ'] of Dense, Tanh, Dense."""
    from sklearn.datasets import load_digits

    x = load_digits().images[:1, :, :, None] * scale
    q = (x**2).mean()
    own, slope = (
        2 * scipy.integrate.quad(
            lambda z, f=f: f(z) ** 2 * math.exp(-(z**2) / 2 / q) / math.sqrt(2 * math.pi * q), 0, 12 * math.sqrt(q),
            points=(0.5, 1, 2, 4, 8), limit=200,
        )[0]
        for f in (np.tanh, sech2)
    )  # fmt: skip
    assert theta is None or abs(own + q * slope - theta) < 1e-3
    kernel = analytic_kernel(Architecture((Flatten(), Dense(8), Tanh(), Dense(1))))(np.float32(x))
    np.testing.assert_allclose((kernel.nngp[0, 0], kernel.ntk[0, 0]), (own, own + q * slope), rtol=1e-5)


# Where there is no dual


@pytest.mark.parametrize("fn", [absolute, hard_tanh, jax.nn.elu, jnp.log])
def test_functions_that_cannot_be_integrated_are_refused(fn):
    with pytest.raises(NoClosedFormError, match=r"layer 1: Elementwise\(.*\) has no kernel to 1e-05: .*off by about"):
        analytic_kernel(Architecture((Dense(2), Elementwise(fn), Dense(1))))


def test_variances_beyond_what_is_integrated_are_refused():
    """sin(z) has too many waves from variance 30 on."""
    layer = Elementwise(jnp.sin)
    assert layer.largest_variance == 10
    kernel = analytic_kernel(Architecture((Dense(2), layer, Dense(1))))
    np.testing.assert_allclose(kernel(np.full((1, 3), 3.0)).nngp, (1 - math.exp(-18)) / 2, rtol=1e-5)
    with pytest.raises(ValueError, match=re.escape("not finite") + ".*largest_variance"):
        kernel(np.full((1, 3), 3.3))
    assert jnp.isnan(jax.jit(layer.dual)(jnp.ones(2), jnp.ones(2), jnp.array([1.0, 10.1]))[0]).tolist() == [
        False,
        True,
    ]


# Derivatives


@pytest.mark.parametrize(("q1", "q2", "k"), [(1, 2, 0.5), (2, 2, 2), (2, 2, -2), (300, 1, 3), (0, 1, 0)])
def test_duals_are_differentiable_everywhere(q1, q2, k):
    """Against central differences along covariance and variances; where c = ±1, along what keeps c, or lowers |c|."""
    with jax.enable_x64(True):
        dual = jax.jit(lambda x: jnp.stack(gaussian_means(softplus_square, ((0, 0), (1, 1)), 64, *x)))
        at = jnp.array([k, q1, q2], float)
        slopes = jax.jacrev(dual)(at)
        assert jnp.all(jnp.isfinite(slopes))
        if abs(k) == math.sqrt(q1 * q2):  # the valid directions: u and v grow alike, or v alone shrinks
            directions = [(k, q1, q2), (0.5 * k, 0, q2)] if q1 else [(0, 0, 1)]
        else:
            directions = np.eye(3) * [0.1, q1 / 10, q2 / 10]
        for direction in np.array(directions, float):
            step = 1e-5 * direction
            central = (dual(at + step) - dual(at - step)) / 2e-5
            # Third derivatives leave 1e-9, rounding 1e-10; where v alone grows, c is clipped only to rounding.
            np.testing.assert_allclose(slopes @ direction, central, rtol=1e-5, atol=1e-7)


def test_a_silent_signal_has_a_slope():
    """d/dk E[φ(u)φ(v)] = φ'(0) E[φ'(v)] at u = 0, as where a black pixel lights up."""
    slope = jax.grad(lambda k: Tanh().dual(k, jnp.float32(0), jnp.float32(1))[0])(jnp.float32(0))
    z, w = np.polynomial.hermite_e.hermegauss(60)
    np.testing.assert_allclose(slope, np.sum(w * sech2(z)) / w.sum(), rtol=1e-5)
