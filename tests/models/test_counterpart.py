"""Group counterparts: their kernels are the group averages of the given network's (arXiv:2406.06504, thm. 5, 7)."""

import jax
import numpy as np
import pytest

from tests.support.networks import inputs, partly_slow
from tests.support.oracles import kernel as oracle
from widesym.analysis import analytic_kernel
from widesym.launch.recipes.digits_c4 import DigitsC4
from widesym.models import (
    Abs,
    Architecture,
    AtomSum,
    AvgPool,
    Conv,
    Dense,
    Erf,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupFlatten,
    GroupPool,
    Identity,
    LayerNorm,
    LiftingConv,
    MaxPool,
    OrbitAverage,
    Relu,
    Residual,
    cyclic,
    dihedral,
    group_counterpart,
    zoo,
)
from widesym.models.width import narrowest

C2, C4, D2, D4 = cyclic(2), cyclic(4), dihedral(2), dihedral(4)
STDS = {"w_std": 1.4, "b_std": 0.3}
DENSE, LOGITS = Dense(4, **STDS), Dense(1, **STDS)
CONV, VALID = Conv(4, 3, **STDS), Conv(4, 2, "VALID", **STDS)
NETWORKS = {
    "flattened": (C4, (4, 4, 2), (CONV, Relu(), CONV, Relu(), Flatten(), LOGITS)),
    "flattened, D4": (D4, (3, 3, 1), (CONV, Relu(), Flatten(), LOGITS)),
    "pooled": (C4, (4, 4, 2), (VALID, Relu(), CONV, Relu(), GlobalAvgPool(), LOGITS)),
    "pooled, D4": (D4, (4, 4, 1), (VALID, Relu(), GlobalAvgPool(), DENSE, Relu(), LOGITS)),
    "flattened, MLP": (C4, (4, 4, 1), (VALID, Erf(), Flatten(), DENSE, Abs(), Flatten(), LOGITS)),
    "strides": (C4, (5, 5, 1), (Conv(4, 3, "VALID", 2, **STDS), Relu(), VALID, Relu(), Flatten(), LOGITS)),
    "strides, circular": (C2, (4, 6, 1), (Conv(4, 4, "VALID", 2), Relu(), Conv(4, 1), Abs(), GlobalAvgPool(), LOGITS)),
    "not square": (D2, (3, 4, 1), (Conv(4, 3, "CIRCULAR", **STDS), Relu(), CONV, Relu(), Flatten(), LOGITS)),
    "residual": (
        C4,
        (3, 3, 1),
        (
            *(CONV, Residual((LayerNorm(), Relu(), CONV)), Residual((Erf(), CONV, Residual((Abs(), CONV))))),
            *(Flatten(), LOGITS),
        ),
    ),
    "residual on a vector": (
        C4,
        (3, 3, 1),
        (CONV, Relu(), GlobalAvgPool(), Residual((DENSE, Relu(), Flatten(), DENSE)), LOGITS),
    ),
    "ends in a convolution": (C4, (3, 3, 1), (VALID, Relu(), Conv(1, 2, "VALID", **STDS), Flatten())),
    "local pool": (C4, (4, 4, 1), (CONV, Relu(), AvgPool(2), Conv(4, 1, **STDS), Relu(), Flatten(), LOGITS)),
    "before the convolution": (C4, (3, 3, 2), (Identity(), DENSE, Relu(), CONV, Relu(), Flatten(), LOGITS)),
    "MLP": (D4, (3, 3, 1), (Flatten(), DENSE, Relu(), DENSE, Relu(), LOGITS)),
}  # fmt: skip
# Both sides are the same sums of products in float64 but for Θ between an image and itself turned, where
# arccos(1 − ε) ≈ √(2ε) leaves 1e-8.
ROUNDING = 1e-7


def average(layers, group, x):
    """1/|R| Σ_q K(f, ρ_q f') and the same of Θ, and the terms."""
    kernel = analytic_kernel(Architecture(layers))
    terms = np.stack([np.stack(kernel(x, np.asarray(group.rotate_images(x, q)))) for q in group.elements])
    return terms.mean(0), terms


# Compiling takes seconds each; what is left out has its layers in those that are not.
LONG = (
    "flattened, D4",
    "pooled",
    "flattened, MLP",
    "strides, circular",
    "residual on a vector",
    "before the convolution",
)


@pytest.mark.parametrize("name", partly_slow(NETWORKS, *LONG))
def test_the_kernel_is_the_average_over_the_group(name):
    group, shape, layers = NETWORKS[name]
    with jax.enable_x64(True):
        x = np.float64(inputs(shape))
        expected, terms = average(layers, group, x)
        found = np.stack(analytic_kernel(group_counterpart(Architecture(layers), group))(x, x))
    np.testing.assert_allclose(found, expected, rtol=ROUNDING)
    assert np.max(np.ptp(terms, axis=0) / expected) > 1e-3  # the average is not any one of the terms


FULL = ("flattened", "flattened, D4", "not square", "residual")


@pytest.mark.parametrize("name", partly_slow(FULL, "flattened", "residual"))
def test_the_kernel_is_that_of_full_covariances(name):
    """The average of the plain network's by the oracle, which knows no group, and the counterpart's by the oracle."""
    group, shape, layers = NETWORKS[name]
    x = np.float64(inputs(shape))[:2]
    counterpart = group_counterpart(Architecture(layers), group)
    turned = [np.stack(oracle(layers, x, np.asarray(group.rotate_images(x, q)))) for q in group.elements]
    expected = np.mean(turned, axis=0)
    np.testing.assert_allclose(np.stack(oracle(counterpart.layers, x, x)), expected, rtol=ROUNDING)
    with jax.enable_x64(True):
        np.testing.assert_allclose(np.stack(analytic_kernel(counterpart)(x, x)), expected, rtol=ROUNDING)


@pytest.mark.parametrize("name", [*NETWORKS])
def test_the_finite_network_is_invariant(name):
    group, shape, layers = NETWORKS[name]
    counterpart, x = group_counterpart(Architecture(layers), group), inputs(shape)
    params = counterpart.init(jax.random.key(0), shape)
    logits = np.asarray(counterpart.apply(params, x))
    for q in group.elements:
        turned = counterpart.apply(params, group.rotate_images(x, q))
        np.testing.assert_allclose(turned, logits, rtol=1e-4, atol=1e-5)  # float32, values of size one
    plain = Architecture(layers)
    drawn = plain.init(jax.random.key(0), shape)
    moved = plain.apply(drawn, group.rotate_images(x, 1)) - plain.apply(drawn, x)
    assert np.abs(moved).max() > 1e-3


def test_a_flattened_network_beside_a_pooled_one_is_no_pair():
    """What the layer is for: pooling over pixels, too, gives another kernel than the flattened network's average."""
    group, shape, layers = NETWORKS["flattened"]
    pooled = [
        GroupPool() if isinstance(layer, GroupFlatten) else layer
        for layer in group_counterpart(Architecture(layers), group)
    ]
    pooled.remove(GroupPool())
    x = inputs(shape)
    expected, _ = average(layers, group, x)
    assert np.abs(np.stack(analytic_kernel(Architecture(pooled))(x, x)) / expected - 1).min() > 0.05


def test_what_it_is_made_of():
    conv, stds = Conv(8, 3, "VALID", 2, w_std=1.5, b_std=0.1), {"w_std": 1.5, "b_std": 0.1}
    lifting, group_conv = (kind(D4, 8, 3, "VALID", 2, **stds) for kind in (LiftingConv, GroupConv))
    plain = Architecture((conv, Relu(), conv, Relu(), Flatten(), Dense(5), Relu(), Flatten(), Dense(10)))
    head = (GroupFlatten(), Dense(5), Relu(), GroupPool(), Identity(), Dense(10))
    assert group_counterpart(plain, D4) == Architecture((lifting, Relu(), group_conv, Relu(), *head))
    assert group_counterpart(zoo.cnn(16), C4) == zoo.gcnn(16)
    mlp = zoo.mlp(16)
    assert group_counterpart(mlp, D4) == Architecture((OrbitAverage(mlp.layers, D4),))
    pooled = Architecture((conv, MaxPool(2), Relu(), GlobalAvgPool(), Dense(3)))
    assert group_counterpart(pooled, D4) == Architecture((lifting, MaxPool(2), Relu(), GroupPool(), Dense(3)))


def test_the_demo_compares_such_a_pair():
    """Its CNNs' last filters leave one pixel, of which GroupFlatten has nothing to flatten."""
    recipe = DigitsC4()
    x = recipe.data[0].inputs[:3]
    found, expected = (
        np.stack(analytic_kernel(narrowest(network)[0])(x))
        for network in (recipe.gcnn, group_counterpart(recipe.cnn, C4))
    )
    np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: group_counterpart(zoo.gcnn(4), C4), "layer 0, LiftingConv, has no counterpart on a group; there are"),
        (lambda: group_counterpart(zoo.spherical_cnn(4), C4), "layer 0, SphereLifting, has no counterpart"),
        (lambda: group_counterpart(Architecture((AtomSum((Dense(2),)), Dense(1))), C4), "layer 0, AtomSum, has no"),
        (lambda: group_counterpart(zoo.canonicalized_cnn(4), C4), "layer 0, Canonicalize, has no counterpart"),
        (lambda: group_counterpart(zoo.cnn(4), cyclic(8)), "the group is Group(rotations=8, reflections=False)"),
        (lambda: group_counterpart(Architecture((CONV, Relu())), C4), "the network never leaves the grid; end it with"),
        (
            lambda: group_counterpart(Architecture((AvgPool(2), CONV, Flatten(), LOGITS)), C4),
            "layer 0, AvgPool, stands before the first convolution, where nothing is lifted to the group yet",
        ),
        (
            lambda: group_counterpart(Architecture((DENSE, Residual((CONV,)), Flatten(), LOGITS)), C4),
            "layer 1, Residual, stands before the first convolution",
        ),
        (
            lambda: group_counterpart(Architecture((Conv(4, 2), Flatten(), LOGITS)), C4),
            "LiftingConv: with SAME padding an even filter (2×2) sits off the pixel's centre",
        ),
        (
            lambda: group_counterpart(Architecture((CONV, Flatten(), LOGITS), "standard"), C4),
            "the parametrization is 'standard', in which learning rates depend on the fan-in",
        ),
    ],
    ids=["group", "sphere", "atoms", "canonical", "C8", "unread", "pool-first", "residual-first", "even", "standard"],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused(make, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        make()
    assert message in str(error.value)
