"""Activations: their values, their specs, and networks of them against neural-tangents and their own samples."""

import dataclasses
import json
import math
import re
from functools import partial
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from tests.support.activation_references import ALL, LINEAR, NUMERIC, SMOOTH, softplus_square
from tests.support.networks import random_params
from widesym.analysis import analytic_kernel
from widesym.analysis.tangents import import_neural_tangents
from widesym.models import Abs, Architecture, Dense, Elementwise, Erf, Gelu, LeakyRelu, Relu, Sin, Tanh
from widesym.models.description import describe
from widesym.models.signal import Signal

# Finite width


@pytest.mark.parametrize("layer", ALL, ids=str)
def test_finite_width_values_and_slopes(layer):
    x = np.random.default_rng(0).standard_normal((3, 4, 2), dtype=np.float32) * 3
    module = layer.module(Signal(3), nnx.Rngs(0))
    value, slope = jax.jvp(module, (x,), (np.ones_like(x),))
    for found, f in zip((value, slope), ALL[layer], strict=True):  # float32's rounding
        np.testing.assert_allclose(found, f(np.float64(x)), rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("layer", ALL, ids=str)
def test_zero_variance_is_the_value_and_slope_at_zero(layer):
    """At a kink the slope is the mean of those to both sides: Θ is zero there, and what its derivative is made of."""
    value, slope = jax.value_and_grad(layer.phi)(0.0)
    if layer in LINEAR:
        assert (value, slope) == (0, 0)
        slope = (ALL[layer][0](1.0) - ALL[layer][0](-1.0)) / 2
    zero = jnp.zeros(())
    np.testing.assert_allclose(layer.dual(zero, zero, zero), (value**2, slope**2), rtol=1e-6, atol=2e-7)
    for pair in ((0.0, 1.0), (1.0, 0.0)):
        found = layer.dual(zero, *map(jnp.float32, pair))
        assert np.all(np.isfinite(found))
        if layer in LINEAR:
            np.testing.assert_allclose(found, (0, slope**2), rtol=1e-6, atol=2e-7)


# Networks


def mlp(layer, width=1):
    return Architecture((Dense(width, w_std=1.3, b_std=0.4), layer, Dense(1, w_std=0.9, b_std=0.2)))


STAX = {
    Relu(): lambda stax: stax.Relu(),
    LeakyRelu(0.3): lambda stax: stax.ABRelu(0.3, 1),
    Abs(): lambda stax: stax.Abs(),
    Erf(): lambda stax: stax.Erf(),
    Gelu(): lambda stax: stax.Gelu(),
    Sin(2.5): lambda stax: stax.Sin(b=2.5),
}


@pytest.mark.skipif(find_spec("neural_tangents") is None, reason="neural-tangents is not installed")
@pytest.mark.parametrize("layer", STAX, ids=str)
def test_kernels_agree_with_neural_tangents(layer):
    stax = import_neural_tangents().stax
    x1, x2 = (np.random.default_rng(seed).normal(size=(3, 5)) for seed in (0, 1))
    with jax.enable_x64(True):
        dense = partial(stax.Dense, 1)
        kernel = stax.serial(dense(W_std=1.3, b_std=0.4), STAX[layer](stax), dense(W_std=0.9, b_std=0.2))[2]
        theirs = jax.jit(lambda x1, x2: kernel(x1, x2, ("nngp", "ntk")))(x1, x2)
        ours = analytic_kernel(mlp(layer))(x1, x2)
    np.testing.assert_allclose(ours.nngp, theirs.nngp, rtol=1e-10)
    np.testing.assert_allclose(ours.ntk, theirs.ntk, rtol=1e-10)


@pytest.mark.parametrize("layer", [Relu(), LeakyRelu(0.3), Abs(), *SMOOTH, *NUMERIC], ids=str)
def test_sampled_networks_have_the_analytic_kernel_as_their_mean(layer):
    """One hidden layer's expectations are those of infinite width at any width."""
    architecture, members = mlp(layer, width=32), 1024
    x = np.random.default_rng(0).standard_normal((3, 4), dtype=np.float32)

    def one_member(params):
        jacobian = jax.jacrev(lambda params: architecture.apply(params, x)[:, 0])(params)["layers"]
        first, last = (sum(j.reshape(3, -1) @ j.reshape(3, -1).T for j in jax.tree.leaves(jacobian[i])) for i in (0, 2))
        return last, first + last

    samples = jax.jit(partial(jax.lax.map, one_member, batch_size=256))(random_params(architecture, (4,), members))
    for found, expected in zip(np.float64(samples), analytic_kernel(architecture)(x), strict=True):
        gap, error = found.mean(0) - expected, found.std(0, ddof=1) / math.sqrt(members)
        assert np.all(abs(gap) < 4.5 * error)  # 18 entries at a fixed seed
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
        assert np.all(error < 0.025 * scale)  # no factor hides behind a wide error bar


# Specs


@pytest.mark.parametrize("layer", ALL, ids=str)
def test_specs_are_values_and_are_described(layer):
    twin = dataclasses.replace(layer)
    assert (layer, hash(layer)) == (twin, hash(twin))
    assert sum(layer == other for other in ALL) == 1
    assert json.loads(json.dumps(describe(layer)))["type"] == type(layer).__name__


def test_functions_are_described_by_their_names():
    assert describe(Elementwise(softplus_square, nodes=32)) == {
        "type": "Elementwise",
        "nodes": 32,
        "fn": "tests.support.activation_references.softplus_square",
    }
    assert describe(Elementwise(jnp.tanh))["fn"] == "jax.numpy.tanh"


def test_functions_of_the_running_script_are_not_described(monkeypatch):
    def phi(z):
        return z

    phi.__module__, phi.__qualname__ = "__main__", "phi"
    monkeypatch.setattr("__main__.phi", phi, raising=False)
    with pytest.raises(ValueError, match=r"__main__\.phi belongs to the script being run; move it into a module"):
        describe(Elementwise(phi))


def double(z):
    return jnp.stack([z, z])


def half_precision(z):
    return jnp.tanh(z).astype(jnp.float16)


def of_numbers(z):
    return math.tanh(z)


def local():
    return lambda z: z


BAD = [
    (lambda: LeakyRelu("0.1"), "LeakyRelu: slope is '0.1'; it must be a finite number"),
    (lambda: LeakyRelu(math.inf), "LeakyRelu: slope is inf; it must be a finite number"),
    (lambda: Sin(math.nan), "Sin: frequency is nan; it must be a finite number"),
    (lambda: Tanh(nodes=8), "Tanh: nodes is 8; it must be an integer of at least 16"),
    (lambda: Elementwise(jnp.tanh, nodes=32.0), "Elementwise: nodes is 32.0; it must be an integer"),
    (lambda: Elementwise(lambda z: z), "define it with def at the top level of a module, and pass that function"),
    (lambda: Elementwise(local()), "cannot be imported by a name that says what it is"),
    (lambda: Elementwise(partial(softplus_square)), "cannot be imported by a name"),
    (lambda: Elementwise("tanh"), "'tanh' cannot be imported by a name"),
    (lambda: Elementwise(double), "double must be a differentiable JAX function of one number, but raises TypeError"),
    (lambda: Elementwise(of_numbers), "of_numbers must be a differentiable JAX function of one number, but raises"),
    (lambda: Elementwise(half_precision), "but turns float32 into float16"),
]


@pytest.mark.parametrize(("make", "message"), BAD)
def test_bad_arguments_are_explained(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()
