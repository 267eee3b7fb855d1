"""Layers of users' own making: kernels go by what they say, here and in neural-tangents, or are refused."""

from dataclasses import dataclass, replace
from importlib.util import find_spec

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from widesym.analysis import analytic_kernel
from widesym.analysis.tangents import to_stax
from widesym.models import Architecture, AtomSum, Dense, Elementwise, NoClosedFormError, Relu
from widesym.models.layer import Layer, Nonlinearity, Reduction

pytestmark = pytest.mark.skipif(find_spec("neural_tangents") is None, reason="neural-tangents is not installed")


def both(kernel_fn, x):
    return jax.jit(lambda x: kernel_fn(x, None, ("nngp", "ntk")))(x)


@dataclass(frozen=True)
class Square(Nonlinearity):
    """φ(z) = z², and its dual: E[u²v²] = qq' + 2k², E[2u·2v] = 4k."""

    def module(self, signal, rngs):
        return SquareModule()

    def dual(self, nngp, variance1, variance2):
        return variance1 * variance2 + 2 * nngp**2, 4 * nngp


class SquareModule(nnx.Module):
    def __call__(self, x):
        return x**2


class TwiceRelu(Relu):
    """φ(z) = 2 max(z, 0): derives from a layer that neural-tangents has, and is another."""

    def phi(self, z):
        return 2 * super().phi(z)

    @property
    def slopes(self):
        return 2.0, 0.0


@dataclass(frozen=True)
class Halved(Reduction):
    """z = x/2."""

    def output(self, signal):
        return signal

    def module(self, signal, rngs):
        return HalvedModule()


class HalvedModule(nnx.Module):
    def __call__(self, x):
        return x / 2


def test_users_layers_act_by_what_they_say():
    """By hand, also where a layer of theirs is linear; a class that derives from Relu is no Relu."""
    x = np.random.default_rng(0).standard_normal((3, 3))
    with jax.enable_x64(True):
        for layers, expected in (
            ((Dense(2), Square(), Dense(1)), squared(x, 1)),
            ((Dense(2), Halved(), Square(), Dense(1)), squared(x, 1 / 2)),
        ):
            for found in (both(to_stax(layers)[2], jnp.asarray(x)), analytic_kernel(Architecture(layers))(x)):
                np.testing.assert_allclose(found.nngp, expected[0], rtol=1e-12)
                np.testing.assert_allclose(found.ntk, expected[1], rtol=1e-12)
        layers = (Dense(2), TwiceRelu(), Dense(1))
        found, relu = (both(to_stax(which)[2], jnp.asarray(x)) for which in (layers, (Dense(2), Relu(), Dense(1))))
    np.testing.assert_allclose(found.nngp, 4 * np.asarray(relu.nngp), rtol=1e-12)
    np.testing.assert_allclose(found.ntk, 4 * np.asarray(relu.ntk), rtol=1e-7)  # arccos near 1


def squared(x, factor):
    """K and Θ of Dense, a factor, z², Dense."""
    k = factor**2 * x @ x.T / 3
    value = np.outer(np.diag(k), np.diag(k)) + 2 * k**2
    return value, value + k * 4 * k


class Kindless(Layer):
    has_closed_form = True


class Mixing(Halved):
    def output(self, signal):
        return replace(signal, channels=1)


class WithoutDual(Nonlinearity):
    """A nonlinearity of which the dual is not said."""


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Kindless(), "layer 1: Kindless says that it has a closed form, but not of which kind"),
        (WithoutDual(), "layer 1: WithoutDual has no dual; give it one"),
        (Elementwise(jax.nn.relu6), r"layer 1: Elementwise\(.*relu6.* off by about"),
        (Mixing(), "layer 1: Mixing mixes channels"),
    ],
    ids=["kind", "dual", "kink", "channels"],
)
def test_layers_that_are_not_known_are_refused(layer, message):
    layers = (Dense(2), layer, Dense(1))
    with pytest.raises(NoClosedFormError, match=message):
        to_stax(layers)[2](jnp.ones((2, 3)), None, "ntk")
    with pytest.raises(NoClosedFormError, match=message):
        analytic_kernel(Architecture(layers))(np.ones((2, 3)))


def test_unknown_layers_on_a_sum_of_parts_are_refused():
    layers = (AtomSum((Dense(2), Relu(), Dense(2))), Halved(), Dense(1))
    with pytest.raises(NoClosedFormError, match="Halved has no closed form after a sum over parts"):
        analytic_kernel(Architecture(layers))(np.ones((2, 2, 3)))
