"""Ensembles are independent of each other unless they are the same; on request they share random numbers."""

import hashlib
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.ensembles import (
    Adam,
    CrossEntropy,
    FullOrbit,
    IndependentDraws,
    Sgd,
    Strategy,
    Trainer,
    TrainingRecipe,
    train,
    train_ensemble,
)
from widesym.ensembles.randomness import identity
from widesym.models import Architecture, Conv, Dense, Flatten, GroupPool, LiftingConv, Relu, cyclic
from widesym.models.description import describe

C4 = cyclic(4)
NETWORKS = {
    "cnn": Architecture((Conv(6, 3, "VALID", w_std=2**0.5), Relu(), Flatten(), Dense(3))),
    "gcnn": Architecture((LiftingConv(C4, 6, 3, "VALID", w_std=2**0.5), Relu(), GroupPool(), Dense(3))),
    "mlp": Architecture((Flatten(), Dense(8, w_std=2**0.5), Relu(), Dense(3))),
    "wider mlp": Architecture((Flatten(), Dense(16, w_std=2**0.5), Relu(), Dense(3))),
}
MLP, RECIPE = NETWORKS["mlp"], TrainingRecipe(0.1)
SHAPE = (3, 3, 1)


def untrained(architecture, recipe=RECIPE, members=1, **options):
    """Weights of the first layer, [member, weight], and the ensemble's logits on some inputs, [member, output]."""
    trainer = Trainer(architecture, recipe, members, strategy=Strategy(members), **options)
    state = trainer.init(SHAPE)
    x = jnp.asarray(np.random.default_rng(0).standard_normal((5, *SHAPE)), jnp.float32)
    first = np.asarray(jax.tree.leaves(state.params)[0]).reshape(members, -1)
    return first, np.asarray(trainer.logits(state, x)).reshape(members, -1)


def correlation(a, b):
    """Of two ensembles' numbers over members, averaged over those numbers that both have."""
    shared = min(a.shape[1], b.shape[1])
    a, b = ((x - x.mean(0)) / x.std(0) for x in (a[:, :shared], b[:, :shared]))
    return float((a * b).mean())


def test_networks_of_one_seed_are_independent():
    """A correlation over 400 members scatters by 1/√400 about 0, a mean of such by no more: 4.5 of these are allowed.

    Keys of the seed and the member alone give identical weights of the MLPs, and logits' correlations up to 0.9.
    """
    found = {name: untrained(architecture, members=400) for name, architecture in NETWORKS.items()}
    found["other data"] = untrained(MLP, members=400, data_fingerprint="other")
    found["other recipe"] = untrained(MLP, TrainingRecipe(0.2), 400)
    for (one, first), (other, second) in itertools.combinations(found.items(), 2):
        for what, a, b in zip(("weights", "logits"), first, second, strict=True):
            assert abs(correlation(a, b)) < 4.5 / 400**0.5, (what, one, other)
    assert correlation(*[found["mlp"][1]] * 2) == pytest.approx(1)  # what the measure says of one and the same


def test_shared_randomness_gives_one_architecture_the_same_weights():
    options = {"members": 3, "randomness": "shared"}
    weights, logits = untrained(MLP, **options)
    other = untrained(MLP, TrainingRecipe(0.7, Adam(), augmentation=FullOrbit(C4)), data_fingerprint="other", **options)
    # Another recipe's initialisation is another program, which may round otherwise.
    np.testing.assert_allclose(other[0], weights, rtol=1e-6)
    np.testing.assert_allclose(other[1], logits, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("seed", [0, 7])
def test_shared_randomness_is_the_key_of_the_seed_folded_with_the_member(seed):
    """As it was before there was a choice, so that what was begun then can go on; written out here."""
    trainer = Trainer(MLP, RECIPE, 2, seed, member_numbers=(0, 4), randomness="shared")
    for place, member in enumerate((0, 4)):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(seed), member), 0)
        expected = jax.tree.leaves(MLP.init(key, SHAPE))
        for leaf, value in zip(jax.tree.leaves(trainer.init(SHAPE).params), expected, strict=True):
            np.testing.assert_allclose(leaf[place], value, rtol=1e-6)  # outside the ensemble's program


@pytest.mark.parametrize(("order", "whose"), [("own", 0), ("common", 2**32 - 1)])
@pytest.mark.parametrize("randomness", ["own", "shared"])
def test_batches_come_from_the_member_or_from_nobody(order, whose, randomness):
    """On one-hot inputs a step on one sample moves one weight alone, which tells what was drawn."""
    recipe, eye = TrainingRecipe(0.1, batches=IndependentDraws(1, order)), jnp.eye(9)
    trainer = Trainer(Architecture((Dense(1),)), recipe, 1, 5, randomness=randomness)
    moments = list(train(trainer, (eye, 10 * jnp.ones((9, 1))), {"x": eye}, range(6)))
    logits = np.stack([moment.record.logits["x"][0, :, 0] for moment in moments if moment.record])
    moved = np.abs(np.diff(logits, axis=0)).argmax(1)
    root = jax.random.key(5) if randomness == "shared" else jax.random.wrap_key_data(trainer.roots[0])
    key = jax.random.fold_in(jax.random.fold_in(jax.random.fold_in(root, whose), 1), 0)  # of batches; of epoch 0
    drawn = [int(jax.random.randint(jax.random.fold_in(key, step), (1,), 0, 9)[0]) for step in range(5)]
    assert moved.tolist() == drawn


def test_the_root_is_the_key_of_the_seed_folded_with_a_digest_of_what_members_are():
    """Written out, since runs that are begun must go on under it."""
    text = (
        '{"architecture":{"layers":[{"type":"Flatten"},{"b_std":0,"features":3,"type":"Dense","w_std":1.5}],'
        '"parametrization":"ntk","type":"Architecture"},"data":"0123","recipe":{"augmentation":{"type":"NoAugmentation"},'
        '"batches":{"type":"FullBatch"},"learning_rate":0.1,"loss":{"type":"MeanSquaredError"},"optimizer":{"momentum":0,'
        '"nesterov":false,"type":"Sgd","weight_decay":0},"schedule":{"type":"Constant"},"type":"TrainingRecipe"}}'
    )
    key, digest = jax.random.key(3), hashlib.sha256(text.encode()).digest()
    for word in range(4):
        key = jax.random.fold_in(key, int.from_bytes(digest[4 * word : 4 * word + 4], "big"))
    trainer = Trainer(Architecture((Flatten(), Dense(3, w_std=1.5))), RECIPE, 2, 3, data_fingerprint="0123")
    np.testing.assert_array_equal(trainer.roots, [jax.random.key_data(key)])


def of(architecture=MLP, recipe=RECIPE, seed=0, data="0123"):
    """Where randomness comes from, and its name."""
    root = Trainer(architecture, recipe, 2, seed, data_fingerprint=data).roots
    return root.tolist(), identity("own", seed, architecture, recipe, data)


OTHERS = {
    "width": {"architecture": NETWORKS["wider mlp"]},
    "parametrization": {"architecture": Architecture(MLP.layers, "standard")},
    "learning rate": {"recipe": TrainingRecipe(0.1 + 1e-9)},
    "momentum": {"recipe": TrainingRecipe(0.1, Sgd(0.5))},
    "loss": {"recipe": TrainingRecipe(0.1, loss=CrossEntropy())},
    "batches": {"recipe": TrainingRecipe(0.1, batches=IndependentDraws(2))},
    "policy": {"recipe": TrainingRecipe(0.1, augmentation=FullOrbit(C4))},
    "data": {"data": "4567"},
    "seed": {"seed": 1},
    "learning rates of members": {"recipe": TrainingRecipe((0.1, 0.2))},
}


def test_whatever_members_are_changes_what_they_draw():
    found = [of(), *(of(**change) for change in OTHERS.values())]
    for (root, name), (other_root, other) in itertools.combinations(found, 2):
        assert root != other_root
        assert name != other
    for change in OTHERS.values():
        seed, data = change.get("seed", 0), change.get("data", "0123")
        named = identity("shared", seed, change.get("architecture", MLP), change.get("recipe", RECIPE), data)
        assert (named == identity("shared", 0, MLP, RECIPE, "0123")) == (seed == 0)


def test_what_is_equal_draws_alike():
    whole = Architecture((Flatten(), Dense(8, w_std=2), Relu(), Dense(3)))
    broken = Architecture((Flatten(), Dense(8, w_std=2.0), Relu(), Dense(3, w_std=np.float64(1))))
    assert of(whole, TrainingRecipe(1)) == of(broken, TrainingRecipe(np.float32(1.0)))
    assert of(recipe=TrainingRecipe((0.1, 0.1)))[1] == of()[1]
    of_each = TrainingRecipe((0.1, 0.2), Sgd((0.5, 0.9)))
    written = json.loads(json.dumps([describe(MLP), describe(of_each)]))
    assert identity("own", 0, *written, "0123") == identity("own", 0, MLP, of_each, "0123")


@pytest.mark.parametrize("order", ["own", "common"])
def test_members_side_by_side_are_those_of_their_ensembles(order):
    """Bit for bit, at all times: initialisation, batches and augmentation follow a member's own numbers."""
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((4, *SHAPE), (4, 3)))

    def logits(rate, momentum, members, numbers):
        recipe = TrainingRecipe(rate, Sgd(momentum), batches=IndependentDraws(2, order), augmentation=FullOrbit(C4))
        trainer = Trainer(NETWORKS["cnn"], recipe, members, member_numbers=numbers)
        moments = train(trainer, (x, y), {"x": x}, (0, 2, 5))
        return np.stack([moment.record.logits["x"] for moment in moments if moment.record])

    folded = logits((0.1, 0.1, 0.2), (0.5, 0.5, 0.5), 3, (0, 1, 1))
    np.testing.assert_array_equal(folded[:, :2], logits(0.1, 0.5, 2, None))
    np.testing.assert_array_equal(folded[:, 2:], logits(0.2, 0.5, 1, (1,)))
    assert np.abs(folded[0, 1] - folded[0, 2]).max() > 0.01


def test_ensembles_that_draw_otherwise_are_the_same_program():
    """Nothing is compiled anew for them, where programs are kept."""

    def lowered(**options):
        trainer = Trainer(MLP, RECIPE, 2, **options)
        state = jax.eval_shape(lambda: trainer.init(SHAPE))
        arguments = trainer.arguments(state, (jnp.ones((4, *SHAPE)), jnp.ones((4, 3))), 0, 1)
        init = Trainer._init.lower(trainer, trainer._stacked_numbers(), SHAPE).as_text()
        return init, Trainer._advance.lower(trainer, *arguments).as_text()

    first = lowered()
    for options in ({"seed": 1}, {"data_fingerprint": "4567"}, {"randomness": "shared"}, {"member_numbers": (7, 3)}):
        assert lowered(**options) == first, options


def test_training_in_memory_is_independent_of_training_on_other_data():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((4, *SHAPE)), rng.standard_normal((4, 3))

    def start(x, **options):
        return train_ensemble(MLP, RECIPE, x, y, x[:2], 1, (0,), **options)

    np.testing.assert_array_equal(start(x), start(x.astype(np.float32)))
    again = np.concatenate([x[:2], x[:1], x[:1]])
    assert np.abs(start(again) - start(x)).max() > 0.01
    np.testing.assert_array_equal(start(again, randomness="shared"), start(x, randomness="shared"))


def test_what_has_no_description_is_refused_unless_randomness_is_shared():
    recipe = TrainingRecipe(0.1, augmentation=lambda key, x, y: (x, y))
    with pytest.raises(ValueError, match=r"cannot be imported by a name.*top level of a module.*randomness='shared'"):
        Trainer(MLP, recipe, 1)
    assert Trainer(MLP, recipe, 1, randomness="shared").roots.shape[0] == 1
    with pytest.raises(ValueError, match="randomness is 'none'; it must be 'own'"):
        Trainer(MLP, RECIPE, 1, randomness="none")
