"""The declaration: specs are values; init and apply are pure functions of the key, the parameters and the inputs."""

import dataclasses
import json
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.models import (
    Architecture,
    AtomSum,
    Canonicalize,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    Group,
    GroupConv,
    GroupFlatten,
    GroupPool,
    InvariantScalars,
    LayerNorm,
    LiftingConv,
    OrbitAverage,
    Relu,
    Residual,
    SO3Conv,
    SphereLifting,
    cyclic,
    dihedral,
)
from widesym.models.description import describe

C4 = cyclic(4)
MAKERS = {
    "group": lambda: cyclic(4),
    "dense": lambda: Dense(3, w_std=2.0, b_std=0.1),
    "conv": lambda: Conv(3, 2, "VALID"),
    "lifting": lambda: LiftingConv(C4, 3, 2, "VALID"),
    "group conv": lambda: GroupConv(C4, 3, 3, w_std=2.0),
    "flatten": lambda: Flatten(),
    "frames": lambda: GroupFlatten(),
    "average": lambda: GlobalAvgPool(),
    "pool": lambda: GroupPool(),
    "relu": lambda: Relu(),
    "architecture": lambda: Architecture([Dense(3), Relu(), Dense(1)]),
    "parametrization": lambda: Architecture([Dense(3), Relu(), Dense(1)], "mup"),
    "dihedral": lambda: dihedral(4),
    "stride": lambda: Conv(3, 2, "VALID", 2),
    "residual": lambda: Residual([Dense(3)]),
    "atoms": lambda: AtomSum([Dense(3)]),
    "slots": lambda: AtomSum([Dense(3)], shared=False),
    "orbit": lambda: OrbitAverage([Flatten()], C4),
    "canonical": lambda: Canonicalize([Flatten()], C4),
    "sphere": lambda: SphereLifting(3, 4, 2),
    "sphere, coarse": lambda: SphereLifting(3, 4, 2, oversampling=1),
    "so3": lambda: SO3Conv(3, 2, 2),
    "norm": lambda: LayerNorm(),
}
SHAPE = (5, 5, 2)


def network():
    """Every kind of weight, with biases."""
    return Architecture(
        (
            LiftingConv(C4, 8, 3, b_std=0.3),
            Relu(),
            GroupConv(C4, 8, 3, b_std=0.3),
            Relu(),
            GroupPool(),
            Dense(3, b_std=0.3),
        )
    )


@pytest.fixture(scope="module")
def ensemble():
    """Parameters of four networks, stacked."""
    return jax.jit(jax.vmap(lambda key: network().init(key, SHAPE)))(jax.random.split(jax.random.key(0), 4))


@pytest.mark.parametrize("kind", MAKERS)
def test_specs_are_values(kind):
    spec, twin = MAKERS[kind](), MAKERS[kind]()
    assert spec == twin
    assert hash(spec) == hash(twin)
    for field in dataclasses.fields(spec):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(spec, field.name, getattr(spec, field.name))


@pytest.mark.parametrize("kind", MAKERS)
def test_specs_are_described_by_their_fields(kind):
    """Two specs that differ in a field are different, and the fields are plain data."""
    spec = MAKERS[kind]()
    assert sum(spec == make() for make in MAKERS.values()) == 1
    assert json.loads(json.dumps(describe(spec))) == describe(spec)
    for name in ("features", "size"):
        if hasattr(spec, name):
            other = dataclasses.replace(spec, **{name: getattr(spec, name) + 2})
            assert other != spec
            assert hash(other) != hash(spec)


def test_list_and_tuple_declare_the_same_architecture():
    assert Architecture([Dense(3), Relu()]).layers == (Dense(3), Relu())
    assert Architecture([Dense(3), Relu()]) == Architecture((Dense(3), Relu())) != Architecture((Dense(3),))
    assert Group(4) == cyclic(4) != cyclic(2)


def test_initialisation_is_a_function_of_the_key(ensemble):
    init = jax.jit(lambda key: network().init(key, SHAPE))
    keys = jax.random.split(jax.random.key(0), 4)
    for member in (0, 3):
        expected = jax.tree.map(lambda leaf, member=member: leaf[member], ensemble)
        jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-5), init(keys[member]), expected)  # another program


def test_no_two_arrays_share_their_draw(ensemble):
    """Neither two arrays of a network nor two networks: draws from one key would begin alike."""
    first = np.array([leaf.reshape(4, -1)[:, 0] for leaf in jax.tree.leaves(ensemble)])
    assert len(np.unique(first)) == first.size == 24


def test_parameters_are_standard_normal(ensemble):
    """Every leaf, not only their union: mean 0, variance 1 and fourth moment 3, within 4.5 standard errors."""
    shapes = [leaf.shape[1:] for leaf in jax.tree.leaves(ensemble)]
    assert sorted(shapes) == [(3,), (3, 8), (8,), (8,), (8, 3, 3, 2), (8, 3, 3, 8, 4)]
    for leaf in jax.tree.leaves(ensemble):
        for moment, expected, variance in [(1, 0, 1), (2, 1, 2), (4, 3, 96)]:
            error = np.sqrt(variance / leaf.size)
            assert abs(np.mean(np.float64(leaf) ** moment) - expected) < 4.5 * error


def test_ensemble_acts_member_by_member(ensemble):
    """vmap over stacked parameters gives each member's own logits, and each sample its own."""
    x = jax.random.normal(jax.random.key(1), (3, *SHAPE))
    together = jax.jit(jax.vmap(network().apply, (0, None)))(ensemble, x)
    assert together.shape == (4, 3, 3)
    alone = jax.jit(network().apply)
    for member in range(4):
        params = jax.tree.map(lambda leaf, member=member: leaf[member], ensemble)
        # Other programs sum in another order: some 1e-6 in float32, for logits of size one.
        np.testing.assert_allclose(alone(params, x), together[member], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(alone(params, x[1:2]), together[3][1:2], rtol=1e-5, atol=1e-5)


def test_network_is_its_layers_in_order():
    """[sample, logit] against the equations written out, for vectors: no layer left out, moved or transposed."""
    mlp = Architecture((Dense(5, w_std=1.5, b_std=0.2), Relu(), Dense(3, w_std=0.5, b_std=0.1)))
    params = mlp.init(jax.random.key(2), (4,))
    x = np.random.default_rng(0).standard_normal((2, 4), dtype=np.float32)
    first, second = (params["layers"][index] for index in (0, 2))
    hidden = np.maximum(1.5 / 2 * x @ first["weight"].T + 0.2 * first["bias"], 0)
    expected = 0.5 / np.sqrt(5) * hidden @ second["weight"].T + 0.1 * second["bias"]
    np.testing.assert_allclose(mlp.apply(params, jnp.asarray(x)), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("layers", [(InvariantScalars(), Dense(2)), (AtomSum((Dense(2),)),)], ids=["scalars", "atoms"])
def test_whole_numbers_are_promoted(layers):
    """Bytes would overflow in products, and cut off means."""
    architecture, x = Architecture(layers), np.arange(200, 212, dtype=np.uint8).reshape(2, 2, 3)
    params = architecture.init(jax.random.key(0), (2, 3))
    np.testing.assert_array_equal(architecture.apply(params, x), architecture.apply(params, np.float32(x)))


def test_parameters_of_another_network_are_refused():
    """At another width they would pass for this one's, with a wrong scale."""
    narrow, wide = (Architecture((Dense(width), Relu(), Dense(2))) for width in (4, 8))
    params = wide.init(jax.random.key(0), (3,))
    with pytest.raises(ValueError, match="the parameters are not of this architecture and inputs of shape") as error:
        narrow.apply(params, jnp.ones((1, 3)))
    assert "(8, 3)" in str(error.value)
    assert "(4, 3)" in str(error.value)
