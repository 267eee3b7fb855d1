"""Kernels of finite networks, from their definition."""

import jax
import numpy as np
import pytest

from tests.support.networks import inputs, random_params
from widesym.analysis.empirical import empirical_kernel, sampled_kernel
from widesym.models import Architecture, Dense, Flatten, Identity, OrbitAverage, Relu, Residual, cyclic

SHAPE = (3, 3, 1)
BODY = (Flatten(), Dense(4, b_std=0.5), Relu(), Dense(2, b_std=0.5))
NETWORKS = {
    "plain": BODY,
    "nested": (OrbitAverage((*BODY[:-2], Residual((Dense(4),)), Relu(), BODY[-1]), cyclic(4)), Identity()),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_kernels_are_products_of_gradients(name):
    """One derivative at a time, by differences: the logits are piecewise linear in each weight alone."""
    architecture, x = Architecture(NETWORKS[name]), inputs(SHAPE)
    params = jax.tree.map(lambda leaf: np.float64(leaf[0]), random_params(architecture, SHAPE, 1))
    leaves, tree = jax.tree.flatten(params)
    sizes = np.cumsum([0, *(leaf.size for leaf in leaves)])
    flat = np.concatenate([leaf.ravel() for leaf in leaves])

    @jax.jit
    def logits(flat):
        parts = [flat[a:b].reshape(leaf.shape) for a, b, leaf in zip(sizes, sizes[1:], leaves, strict=False)]
        return architecture.apply(jax.tree.unflatten(tree, parts), x)[:, 0]

    step = 1e-4
    with jax.enable_x64(True):
        gradient = np.stack(
            [(logits(flat + step * e) - logits(flat - step * e)) / (2 * step) for e in np.eye(len(flat))]
        )
    found = empirical_kernel(architecture, jax.tree.map(np.float32, params), x)
    np.testing.assert_allclose(found.ntk, gradient.T @ gradient, rtol=1e-4)
    last = len(flat) - (2 * 4 + 2)  # the last layer's weights and biases
    np.testing.assert_allclose(found.nngp, gradient[last:].T @ gradient[last:], rtol=1e-4)


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Architecture(BODY, "standard"), "kernels are compared in the 'ntk' parametrization, not in 'standard'"),
        (
            Architecture((Flatten(), Dense(2), Residual((Dense(2),)))),
            "the network ends in Residual; its last layer must",
        ),
        (Architecture((OrbitAverage((Flatten(), Dense(2), Relu()), cyclic(4)),)), "the network ends in Relu"),
    ],
    ids=["standard", "residual", "relu"],
)
def test_networks_that_are_not_linear_in_their_last_weights_are_refused(architecture, message):
    with pytest.raises(ValueError, match=message):
        sampled_kernel(architecture, jax.random.key(0), np.ones((1, *SHAPE), np.float32), 1)


def test_samples_are_networks_of_their_own():
    architecture, x = Architecture(BODY), inputs(SHAPE)
    found = sampled_kernel(architecture, jax.random.key(0), x, 3)
    assert found.ntk.shape == found.nngp.shape == (3, 3, 3)
    again = sampled_kernel(architecture, jax.random.key(0), x, 2)
    np.testing.assert_array_equal(found.ntk[:2], again.ntk)
    assert len(np.unique(found.ntk[:, 0, 0])) == 3
