"""Finite networks against their own analytic kernels: exact for one layer with weights, sampled for deep networks."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.networks import (
    C2,
    C4,
    COMPOSITES,
    MIXING,
    NETWORKS,
    SPHERES,
    STDS,
    inputs,
    partly_slow,
    random_params,
)
from widesym.analysis import analytic_kernel
from widesym.models import Architecture, Conv, Dense, Flatten, GlobalAvgPool, GroupFlatten, GroupPool, LiftingConv

MEMBERS, LOGITS = 2048, 16


@partial(jax.jit, static_argnums=0)
def empirical_kernels(architecture, ensemble, x):
    """Σ_θ ∂f ∂f' over the last weights and over all of them, mean over logits: [member, n, n] each.

    The logits are linear in the last layer's θ ~ N(0, 1), so the first is the expectation over θ of f f', whose mean
    over members is the NNGP; its noise is far below that of f f' itself.
    """

    def one_member(params):
        jacobian = jax.jacrev(lambda params: architecture.apply(params, x))(params)["layers"]
        by_layer = [[_squared(leaf) for leaf in jax.tree.leaves(jacobian[index])] for index in sorted(jacobian)]
        return sum([leaves for leaves in by_layer if leaves][-1]), sum(map(sum, by_layer))

    return jax.lax.map(one_member, ensemble)


def _squared(leaf):
    """Σ_θ ∂f ∂f' over one parameter, from [sample, logit, …], mean over logits."""
    flat = leaf.reshape(*leaf.shape[:2], -1)
    return jnp.einsum("alp,blp->ab", flat, flat) / leaf.shape[1]


ONE_LAYER = [
    ((4, 5, 2), (Flatten(), Dense(4, **STDS))),
    ((4, 5, 2), (Conv(4, 2, "SAME", **STDS), GlobalAvgPool())),
    ((4, 5, 2), (LiftingConv(C2, 4, 3, "SAME", **STDS), Flatten())),
    ((4, 4, 2), (LiftingConv(C4, 4, 2, "VALID", **STDS), GlobalAvgPool(), GroupPool())),
    ((4, 4, 2), (LiftingConv(C4, 4, 2, "VALID", **STDS), GroupFlatten(), GroupPool())),
]
# Each way off the grid and off the group once; all NETWORKS are held against full covariances (tests/analysis).
ELSEWHERE = (
    *("CNN, VALID, pooled", "CNN, CIRCULAR, pooled", "C2, VALID, pooled", "C4, CIRCULAR, pooled"),
    "D2, SAME, flattened in frames",
    *("D1, SAME, pooled", "D2, CIRCULAR, flattened", "strides, CIRCULAR, pooled", "conv before lifting"),
)
ALL = {**NETWORKS, **MIXING, **COMPOSITES, **SPHERES}
# As long to sample as all others together; the layers in them have their own tests.
SLOW = (
    *("C8 filters", "D4, VALID, pooled", "atoms, images", "canonical atoms", "sphere, on the group", "sphere, atoms"),
    *("sphere, flattened", "strides and pools on C4", "local pools", "C4, VALID, pixels pooled, MLP, pooled"),
)
DEEP = partly_slow([name for name in ALL if name not in ELSEWHERE], *SLOW)


@pytest.mark.parametrize(("shape", "layers"), ONE_LAYER, ids=str)
def test_one_layer_with_weights_has_its_infinite_width_kernel_at_every_draw(shape, layers):
    architecture, x = Architecture(layers), inputs(shape)
    _, ntk = empirical_kernels(architecture, random_params(architecture, shape, 2), x)
    expected = analytic_kernel(architecture)(x)
    for member in (0, 1):  # equal up to float32's rounding of a few hundred terms
        np.testing.assert_allclose(ntk[member], expected.ntk, rtol=2e-5, atol=1e-5)
        np.testing.assert_allclose(ntk[member], expected.nngp, rtol=2e-5, atol=1e-5)


@pytest.mark.parametrize("name", DEEP)
def test_deep_network_approaches_its_infinite_width_kernel(name):
    shape, layers = ALL[name]
    architecture, x = Architecture(layers), inputs(shape)
    members = 320 if name[:2] in ("C4", "D4", "C8", "sp") else 1280  # stacks cost more, and vary less
    sampled = empirical_kernels(architecture, random_params(architecture, shape, members), x)
    for kind, samples, expected in zip(("nngp", "ntk"), sampled, analytic_kernel(architecture)(x), strict=True):
        samples, expected = np.float64(samples), np.float64(expected)
        gap, error = samples.mean(0) - expected, samples.std(0, ddof=1) / np.sqrt(members)
        # A dozen entries of a dozen networks at a fixed seed: five standard errors are not met by chance, even with
        # the finite width's O(1/32), which is about one of them.
        assert np.all(np.abs(gap) < 5 * error), kind
        # One or two percent of noise: no factor hides behind a wide error bar.
        assert np.all(np.abs(gap) < 0.04 * geometric_mean(expected)), kind


def geometric_mean(kernel):
    """√(K(x,x) K(x',x')), the scale of each entry."""
    return np.sqrt(np.outer(np.diag(kernel), np.diag(kernel)))


def test_logits_are_centred_with_the_nngp_as_covariance():
    """The definition, K = E[f f'], by averages over members and logits; different logits are uncorrelated."""
    shape, layers = NETWORKS["MLP"]
    architecture, x = Architecture((*layers[:-1], Dense(LOGITS, **STDS))), inputs(shape)
    keys = jax.random.split(jax.random.key(0), MEMBERS)
    f = jax.jit(jax.vmap(lambda key: architecture.apply(architecture.init(key, shape), x)))(keys)
    f, nngp = np.float64(f), np.float64(analytic_kernel(architecture)(x).nngp)
    covariance, between_logits = (
        np.einsum("mal,mbl->ab", f, other) / (MEMBERS * LOGITS) for other in (f, np.roll(f, 1, axis=-1))
    )
    # A member's logits share its hidden layers: their noise, about √(5/(MEMBERS·32)), leads. Four times that:
    assert np.all(np.abs(covariance - nngp) < 0.035 * geometric_mean(nngp))
    # Else logits are independent but for their common scale: four standard errors.
    error = 4 / np.sqrt(MEMBERS * LOGITS)
    assert np.all(np.abs(between_logits) < error * geometric_mean(nngp))
    assert np.all(np.abs(f.mean((0, 2))) < error * np.sqrt(np.diag(nngp)))
