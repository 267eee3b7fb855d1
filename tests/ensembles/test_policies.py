"""What every policy promises: pure, repeatable, the same under jit and vmap, in training, and on paper."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.analysis.dynamics.ensembles import training_kernel
from widesym.ensembles import TrainingRecipe, augmentation, train_ensemble
from widesym.ensembles.augmentation import (
    Compose,
    DrawnRotations,
    FixedCopies,
    FixedElements,
    FixedRotations,
    FullOrbit,
    GivenRotations,
    Images,
    NoAugmentation,
    Points,
    RandomElement,
    RandomElements,
    RandomRotation,
    RandomTranslation,
    RegularSolid,
    SphereSignals,
    Vectors,
)
from widesym.models import Architecture, Dense, Flatten, cyclic, dihedral
from widesym.models.description import describe

KEY = jax.random.key(0)
C4, D4 = cyclic(4), dihedral(4)
IMAGES, SPHERES, POINTS = (4, 6, 6, 2), (4, 6, 5, 2), (4, 2, 3)
TURN = GivenRotations([[[0.6, -0.8], [0.8, 0.6]]])

FIXED = [
    (NoAugmentation(), IMAGES),
    (FullOrbit(C4), IMAGES),
    (FullOrbit(dihedral(8), targets=Vectors()), IMAGES),
    (FixedElements(D4, (1, 5)), IMAGES),
    (FixedRotations(TURN, Images("bicubic", "edge")), IMAGES),
    (FixedRotations(DrawnRotations(3, 0), Points(), Vectors()), POINTS),
    (FixedRotations(RegularSolid("tetrahedron"), SphereSignals()), SPHERES),
]
RANDOM = [
    (RandomElement(D4), IMAGES),
    (RandomElement(cyclic(8), targets=Vectors()), IMAGES),
    (RandomElements(C4, 2), IMAGES),
    (RandomRotation(Images(), Vectors()), IMAGES),
    (RandomRotation(Points(), Vectors()), POINTS),
    (RandomRotation(SphereSignals()), SPHERES),
    (RandomTranslation(2), IMAGES),
    (Compose((FullOrbit(C4), RandomTranslation(1), RandomElement(D4))), IMAGES),
]
of_all = pytest.mark.parametrize(
    ("policy", "shape"), FIXED + RANDOM, ids=lambda value: getattr(value, "__name__", str(value))
)
of_fixed = pytest.mark.parametrize(("policy", "shape"), FIXED, ids=lambda value: getattr(value, "__name__", str(value)))
of_random = pytest.mark.parametrize(
    ("policy", "shape"), RANDOM, ids=lambda value: getattr(value, "__name__", str(value))
)


def batch(shape):
    """Inputs and, as targets, two vectors of the plane or of space."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(shape), rng.standard_normal((shape[0], 6))
    return jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32)


def assert_close(found, expected):
    """float32: the same arithmetic, in programs that are fused differently."""
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def assert_equal(found, expected):
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@of_all
def test_members_draw_as_if_alone(policy, shape):
    """The same key gives the same bits; under vmap and lax.map over keys members get what they get by themselves."""
    keys, data = jax.random.split(KEY, 2), batch(shape)
    apply = jax.jit(policy)
    alone = [np.stack(part) for part in zip(*(apply(key, *data) for key in keys), strict=True)]
    assert_equal(apply(keys[1], *data), [part[1] for part in alone])
    in_numpy = [np.float64(part) for part in data]
    assert_close(policy(keys[0], *in_numpy), [part[0] for part in alone])
    assert_close(jax.jit(jax.vmap(lambda key: policy(key, *data)))(keys), alone)
    assert_close(jax.jit(lambda keys: jax.lax.map(lambda key: policy(key, *data), keys))(keys), alone)


@of_all
def test_precision_is_the_inputs(policy, shape):
    """float32 stays, with the same draws, where 64 bits are switched on; float64 is kept there."""
    data, apply = batch(shape), jax.jit(policy)
    found = apply(KEY, *data)
    assert all(part.dtype == jnp.float32 for part in found)
    with jax.enable_x64(True):
        wide = apply(KEY, *data)
        assert all(part.dtype == jnp.float32 for part in wide)
        double = jax.eval_shape(policy, KEY, *(jax.ShapeDtypeStruct(part.shape, jnp.float64) for part in data))
        assert all(part.dtype == jnp.float64 for part in double)
    assert_close(wide, found)


@of_random
def test_keys_and_samples_draw_their_own(policy, shape):
    """Four times the same sample does not come out four times the same, and another key gives another batch."""
    x, y = (jnp.broadcast_to(part[:1], part.shape) for part in batch(shape))
    apply = jax.jit(policy)
    moved = np.asarray(apply(KEY, x, y)[0])
    assert any(np.abs(sample - moved[0]).max() > 0.01 for sample in moved[1:4])
    assert np.abs(moved - apply(jax.random.key(1), x, y)[0]).max() > 0.01


@of_fixed
def test_copies_are_the_batch_and_need_no_key(policy, shape):
    x, y = batch(shape)
    assert isinstance(policy, FixedCopies)
    copies, targets = policy.copies(x), policy.target_copies(y)
    assert copies.shape == (policy.size, *x.shape)
    assert targets.shape == (policy.size, *y.shape)
    assert_equal(policy(KEY, x, y), (copies.reshape(-1, *x.shape[1:]), targets.reshape(-1, 6)))
    assert_equal(policy(jax.random.key(1), x, y)[:1], [copies.reshape(-1, *x.shape[1:])])
    # Evaluation sets come as NumPy arrays, often in float64.
    assert_close([policy.copies(np.float64(x)), policy.target_copies(np.float64(y))], [copies, targets])


@of_all
def test_policies_are_hashable_and_written_down(policy, shape):
    described = describe(policy)
    assert json.loads(json.dumps(described)) == described
    assert described["type"] == type(policy).__name__
    assert {policy: 1}[eval(repr(policy), vars(augmentation) | GROUPS)] == 1


GROUPS = {"Group": type(C4)}


def test_descriptions_differ_where_policies_do():
    described = [json.dumps(describe(policy)) for policy, _ in FIXED + RANDOM]
    assert len(set(described)) == len(described)


def test_none_is_the_batch_itself():
    assert_equal(NoAugmentation()(KEY, *batch(IMAGES)), batch(IMAGES))


def test_composed_policies_follow_one_another():
    """The first acts first: elements of D4 do not commute. Batches grow by the product."""
    x, y = batch(IMAGES)
    turn, mirror = FixedElements(D4, (1,), targets=Vectors()), FixedElements(D4, (4,), targets=Vectors())
    product = FixedElements(D4, (D4.product(4, 1),), targets=Vectors())
    assert_equal(Compose((turn, mirror))(KEY, x, y), product(KEY, x, y))
    assert np.abs(Compose((mirror, turn))(KEY, x, y)[0] - product(KEY, x, y)[0]).max() > 0.1
    moved, targets = Compose([FullOrbit(C4), RandomElements(C4, 2)])(KEY, x, y)
    assert len(moved) == len(targets) == 4 * 2 * len(x)


def test_composed_policies_draw_independently():
    """Two random elements of C2 in a row: their product is uniform, and not always the identity as with one key."""
    x = jnp.arange(256.0).reshape(64, 2, 2, 1)
    once = RandomElement(cyclic(2))
    moved, _ = Compose((once, once))(KEY, x, jnp.zeros((64, 1)))
    turned = int(np.sum(np.any(np.asarray(moved) != x, axis=(1, 2, 3))))
    assert 12 < turned < 52  # 32 ± 5 standard deviations of 4


@pytest.mark.parametrize(
    ("policies", "message"),
    [
        ((), "there are no policies; for none use NoAugmentation"),
        ((C4,), "is no policy"),
        ((NoAugmentation,), "is no policy"),
    ],
    ids=["none", "group", "class"],
)
def test_compositions_of_no_policies_are_refused(policies, message):
    with pytest.raises(ValueError, match=message):
        Compose(policies)


@pytest.mark.parametrize(
    "policy",
    [RandomElement(C4), Compose((RandomTranslation(1), FullOrbit(C4)))],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_ensembles_train_with_any_policy(policy):
    """Members draw their own: from the same start, linear networks go different ways."""
    x, y = batch(IMAGES)
    arch = Architecture((Flatten(), Dense(6)))
    logits = train_ensemble(arch, TrainingRecipe(0.1, augmentation=policy), x, y, x, 2, (0, 3))
    assert np.all(np.isfinite(logits))
    drift = logits[1] - logits[0]
    assert np.abs(drift).max() > 0.01


def test_a_policy_of_ones_own_is_one():
    """Any function (key, x, y) -> (x, y) that can be imported by its name."""
    x, y = batch(IMAGES)
    recipe = TrainingRecipe(0.1, augmentation=brighter)
    assert describe(recipe)["augmentation"].endswith("brighter")
    arch, same_weights = Architecture((Flatten(), Dense(6))), {"randomness": "shared"}
    found = train_ensemble(arch, recipe, x, y, x, 1, (3,), **same_weights)
    plain = train_ensemble(arch, TrainingRecipe(0.1), x + 1, y, x, 1, (3,), **same_weights)
    np.testing.assert_allclose(found, plain, atol=1e-5)  # float32, sums of 72 terms


def brighter(key, x, y):
    return x + 1, y


@pytest.mark.parametrize(
    "policy",
    [RandomElement(cyclic(8)), FixedElements(C4, (0, 1)), FullOrbit(C4, targets=Vectors()), brighter],
    ids=lambda value: getattr(value, "__name__", str(value)),
)
def test_theory_refuses_policies_that_it_does_not_cover(policy):
    with pytest.raises(ValueError, match="theory covers NoAugmentation, and FullOrbit"):
        training_kernel(Architecture((Flatten(), Dense(6))), policy, np.zeros(IMAGES, "f"))
