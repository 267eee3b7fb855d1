"""Derivatives of kernels by their inputs, against central differences of independent recursions in float64."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.networks import C2, C4, partly_slow
from tests.support.oracles import pair_kernel
from widesym.analysis import analytic_kernel
from widesym.models import (
    Abs,
    Architecture,
    AtomSum,
    AvgPool,
    Conv,
    Dense,
    Elementwise,
    Erf,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    LayerNorm,
    LeakyRelu,
    LiftingConv,
    Relu,
    Residual,
    Sin,
    SO3Conv,
    SO3Pool,
    SphereLifting,
    Tanh,
)

STEP = 1e-5  # differences are right to STEP² and to rounding, 1e-15, over STEP
HE = {"w_std": 2**0.5}
DENSE, LOGITS = Dense(1, **HE), Dense(1)


def slopes(kernel, x1, x2):
    """∂K/∂x1 and ∂Θ/∂x1 of one pair, backwards and forwards: [kernel, *shape] each."""
    x1, x2 = jnp.asarray(x1), jnp.asarray(x2)
    direction = jnp.asarray(np.random.default_rng(9).standard_normal(x1.shape), x1.dtype)
    back = np.stack([backwards(kernel, x1, x2, jnp.asarray(of)) for of in np.eye(2)])
    np.testing.assert_allclose(
        forwards(kernel, x1, x2, direction), (back * direction).reshape(2, -1).sum(1), rtol=1e-6, atol=1e-9
    )
    return back


@partial(jax.jit, static_argnums=0)
def of_pair(kernel, x2, x1):
    """K and Θ of one pair."""
    found = kernel.unchecked(x1[None], x2[None])
    return jnp.stack([found.nngp[0, 0], found.ntk[0, 0]])


# One program a kernel, whatever inputs it is asked at; that of both cotangents at once takes far longer to compile.
@partial(jax.jit, static_argnums=0)
def backwards(kernel, x1, x2, cotangent):
    return jax.vjp(partial(of_pair, kernel, x2), x1)[1](cotangent)[0]


@partial(jax.jit, static_argnums=0)
def forwards(kernel, x1, x2, direction):
    return jax.jvp(partial(of_pair, kernel, x2), (x1,), (direction,))[1]


def central(function, x1):
    """Differences of a function of one input that gives (K, Θ), entry by entry."""
    found = np.zeros((2, *x1.shape))
    for index in np.ndindex(*x1.shape):
        step = np.zeros(x1.shape)
        step[index] = STEP
        found[(slice(None), *index)] = (np.array(function(x1 + step)) - np.array(function(x1 - step))) / (2 * STEP)
    return found


def images(shape, seed=0):
    """Two with a black border, two pixels wide in one of them, so that whole windows are black, and one dark pixel."""
    x = np.random.default_rng(seed).standard_normal((2, *shape))
    x[0, :2], x[0, :, :1], x[1, :, -1:], x[0, 3, 2] = 0, 0, 0, 0
    return x


PLANAR = {
    "MLP": ((5,), (DENSE, Relu(), DENSE, Relu(), LOGITS)),
    "MLP, bias": ((5,), (Dense(1, b_std=0.3), Abs(), DENSE, Erf(), Dense(1, b_std=0.3), Relu(), LOGITS)),
    "CNN, pooled": ((5, 4, 2), (Conv(1, 3, **HE), Relu(), Conv(1, 3, **HE), Relu(), GlobalAvgPool(), LOGITS)),
    "CNN, flattened, MLP": (
        (5, 4, 2),
        (Conv(1, 3, stride=2, **HE), Abs(), Conv(1, 2, **HE), Relu(), Flatten(), DENSE, Relu(), LOGITS),
    ),
    "residual": (
        (5, 4, 2),
        (Conv(2, 3, **HE), Residual((Relu(), Conv(2, 3))), LayerNorm(), Relu(), GlobalAvgPool(), DENSE, Relu(), LOGITS),
    ),
    "C4": ((5, 5, 2), (LiftingConv(C4, 1, 3, **HE), Relu(), GroupConv(C4, 1, 3, **HE), Relu(), GroupPool(), LOGITS)),
    "full": ((5, 4, 2), (Conv(1, 3, **HE), Relu(), AvgPool(2, 1), Conv(1, 2, **HE), Relu(), Flatten(), LOGITS)),
}


@pytest.mark.parametrize("name", partly_slow(PLANAR, "MLP", "CNN, flattened, MLP", "residual"))
def test_slopes_are_central_differences(name):
    """In float64; where windows are black, kernels have a cusp, and its mean slope is what differences give."""
    shape, layers = PLANAR[name]
    x1, x2 = images(shape) if len(shape) == 3 else np.random.default_rng(0).standard_normal((2, *shape))
    with jax.enable_x64(True):
        found = slopes(analytic_kernel(Architecture(layers)), x1, x2)
    expected = central(lambda x: pair_kernel(layers, x, x2), x1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)
    assert np.abs(expected).max() > 0.01


def test_slopes_in_float32():
    """Two random vectors through Dense-Relu-Dense-Relu-Dense."""
    layers = PLANAR["MLP"][1]
    x1, x2 = np.random.default_rng(1).standard_normal((2, 5)).astype(np.float32)
    expected = central(lambda x: pair_kernel(layers, x, x2), np.float64(x1))
    np.testing.assert_allclose(slopes_in_float32(layers, x1, x2), expected, rtol=2e-5, atol=2e-6)


def slopes_in_float32(layers, x1, x2):
    kernel = analytic_kernel(Architecture(layers))
    return np.stack([backwards(kernel, x1, x2, np.float32(of)) for of in np.eye(2)])


ACTIVATIONS = (Relu(), LeakyRelu(0.3), Abs(), Erf(), Gelu(), Sin(1.5), Tanh(), Elementwise(jnp.tanh), LayerNorm())


WITH_BIAS = [pytest.param(0.3, layer, marks=() if layer == Relu() else pytest.mark.slow) for layer in ACTIVATIONS]


@pytest.mark.parametrize(("b_std", "layer"), [*((0.0, layer) for layer in ACTIVATIONS), *WITH_BIAS], ids=str)
def test_slopes_of_every_activation(b_std, layer):
    """Against central differences of the kernel itself in float64, whose values have oracles of their own elsewhere."""
    dense = Dense(2, b_std=b_std, **HE)
    kernel = analytic_kernel(Architecture((dense, layer, dense)))
    x1, x2 = np.random.default_rng(2).standard_normal((2, 3))
    with jax.enable_x64(True):
        for one in (x1, np.zeros(3), -x2):  # no signal at all, and the opposite one
            found = slopes(kernel, one, x2)
            assert np.isfinite(found).all()
            if one is x1 or b_std:
                expected = central(partial(of_pair, kernel, x2), one)
                np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-7)


ELSEWHERE = {
    "sphere": ((4, 3, 1), (SphereLifting(1, 2, 2), Relu(), SO3Conv(1, 2, 2, **HE), Relu(), SO3Pool(), LOGITS)),
    "atoms": ((2, 3), (AtomSum((DENSE, Relu(), DENSE)), Relu(), LOGITS)),
    "group without pixels": (
        (3, 3, 1),
        (LiftingConv(C2, 1, 3, **HE), Relu(), GlobalAvgPool(), DENSE, Relu(), GroupPool(), LOGITS),
    ),
}


@pytest.mark.parametrize("name", partly_slow(ELSEWHERE, "group without pixels"))
def test_slopes_on_the_sphere_and_of_parts(name):
    shape, layers = ELSEWHERE[name]
    kernel = analytic_kernel(Architecture(layers))
    x1, x2 = np.random.default_rng(3).standard_normal((2, *shape))
    if name != "atoms":  # where zeros stand for no atom
        x1[0] = 0
    with jax.enable_x64(True):
        found = slopes(kernel, x1, x2)
        expected = central(partial(of_pair, kernel, x2), x1)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=3e-7)


@pytest.mark.parametrize("name", partly_slow(["MLP", "CNN, pooled", "full"], "CNN, pooled"))
def test_slopes_where_inputs_coincide(name):
    """K(x, x) and Θ(x, x) are smooth in x; in x' alone Θ has a cusp at x' = x, and its mean slope is half of that."""
    shape, layers = PLANAR[name]
    x = images(shape)[1] if len(shape) == 3 else np.random.default_rng(0).standard_normal(shape)
    kernel = analytic_kernel(Architecture(layers))
    with jax.enable_x64(True):
        half = slopes(kernel, x, x)
        along, own = (
            np.stack([jax.jit(jax.grad(lambda x, of=of, take=take: take(kernel, x)[of]))(x) for of in (0, 1)])
            for take in (_with_itself, _of_batch)
        )
    expected = central(partial(_own, layers), x)
    np.testing.assert_allclose(along, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(own, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(2 * half, expected, rtol=1e-5, atol=1e-6)


def _with_itself(kernel, x):
    return [each[0, 0] for each in kernel.unchecked(x[None], x[None])]


def _of_batch(kernel, x):
    return [each[0, 0] for each in kernel.unchecked(x[None])]


def _own(layers, x):
    return pair_kernel(layers, x, x)
