"""Members depend on no neighbour, no interruption and no cut of training into calls; divergence is named."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from widesym.ensembles import (
    FullOrbit,
    IndependentDraws,
    Strategy,
    Trainer,
    TrainingRecipe,
    train,
    train_ensemble,
    trainer,
)
from widesym.ensembles.randomness import fingerprint
from widesym.ensembles.trainer import DivergedError
from widesym.models import Architecture, Conv, Dense, Flatten, Relu, cyclic

CNN = Architecture((Conv(4, 2, "VALID", w_std=2**0.5), Relu(), Flatten(), Dense(2, b_std=0.1)))
RECIPE = TrainingRecipe(
    0.3, batches=IndependentDraws(2), augmentation=FullOrbit(cyclic(4))
)  # all of a member's randomness
STEPS = (0, 3, 7, 12)


def data():
    rng = np.random.default_rng(0)
    return [jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((3, 3, 3, 1), (3, 2), (4, 3, 3, 1))]


TRAINED_ON = fingerprint(*data()[:2])  # as train_ensemble has it


def moments(members=3, steps=STEPS, seed=0, resume=None, recipe=RECIPE, strategy=None, numbers=None):
    """Train, and return everything that is told."""
    x, y, x_eval = data()
    trainer = Trainer(CNN, recipe, members, seed, strategy or Strategy(), numbers, data_fingerprint=TRAINED_ON)
    return list(train(trainer, (x, y), {"eval": x_eval, "train": x}, steps, resume))


def records(*arguments, **options):
    """Those moments that are recorded."""
    return [moment for moment in moments(*arguments, **options) if moment.record]


@pytest.fixture(scope="module")
def uninterrupted():
    return records()


def assert_same(found, expected, equal=np.testing.assert_array_equal, members=slice(None)):
    """Bit for bit, on both evaluation sets: what one program has computed."""
    for one, other in zip(found, expected, strict=True):
        assert (one.step, one.record.position) == (other.step, other.record.position)
        assert one.record.logits.keys() == other.record.logits.keys()
        for name in one.record.logits:
            equal(one.record.logits[name], other.record.logits[name][members])
        for metric, value in one.metrics._asdict().items():
            equal(value, getattr(other.metrics, metric)[members])


def assert_close(found, expected):
    """To float32's rounding of numbers of size one, after twelve steps: what programs for other sizes have computed."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_records_are_the_logits_at_the_steps(uninterrupted):
    x, _, x_eval = data()
    assert [record.step for record in uninterrupted] == list(STEPS)
    assert [moment.record.position for moment in uninterrupted] == [0, 1, 2, 3]
    for record in uninterrupted:
        for name, inputs in (("eval", x_eval), ("train", x)):
            for member in range(3):
                params = member_of(record.state.params, member)
                # The network alone, outside the ensemble's program: float32 rounding of a dozen terms.
                expected = CNN.apply(params, inputs)
                np.testing.assert_allclose(record.record.logits[name][member], expected, rtol=1e-5, atol=1e-6)


def member_of(tree, member):
    """One member of a stacked pytree."""
    return {key: member_of(value, member) if isinstance(value, dict) else value[member] for key, value in tree.items()}


@pytest.mark.parametrize("members", [1, 5])
def test_a_member_does_not_depend_on_its_neighbours(uninterrupted, members):
    common = min(members, 3)
    fewer, more = (records(members), uninterrupted) if members < 3 else (uninterrupted, records(members))
    assert_same(fewer, more, assert_close, slice(common))


def test_members_and_seeds_differ(uninterrupted):
    """At initialisation and in how they learn."""
    logits = [moment.record.logits["eval"] for moment in uninterrupted]
    other = [moment.record.logits["eval"] for moment in records(seed=1)]
    for member in range(3):
        for neighbour in (logits[0][member - 1], *other[0]):
            assert np.abs(logits[0][member] - neighbour).max() > 0.01


@pytest.mark.parametrize("step", [3, 5, 12], ids=["at a record", "between records", "at the end"])
def test_resuming_gives_the_numbers_of_an_uninterrupted_run(uninterrupted, step):
    (reached,) = records(steps=(step,))
    later = [record for record in uninterrupted if record.step >= step]  # a record at the step is made again
    assert_same(records(resume=(reached.state, step)), later)


@pytest.mark.parametrize(("seconds", "calls"), [(0.0, 12), (1e9, 4)], ids=["short calls", "long calls"])
def test_the_length_of_calls_leaves_no_trace(uninterrupted, seconds, calls, monkeypatch):
    """Calls of one step each, and calls that double up to the next record: 1 2 | 4 | 5."""
    monkeypatch.setattr(trainer, "SECONDS_A_CALL", seconds)
    told = moments()
    assert_same([moment for moment in told if moment.record], uninterrupted)
    assert len(told) == 1 + calls
    assert told[-1].step == 12
    for moment in told[1:]:
        assert all(values.shape == (3,) and np.isfinite(values).all() for values in moment.metrics)


def test_train_ensemble_stacks_the_records(uninterrupted):
    x, y, x_eval = data()
    logits = train_ensemble(CNN, RECIPE, np.asarray(x), np.asarray(y), np.asarray(x_eval), 3, STEPS)
    # The logits of four samples, and of the same among seven: two programs.
    assert_close(logits, np.stack([moment.record.logits["eval"] for moment in uninterrupted]))


def test_divergence_of_all_is_told():
    with pytest.raises(DivergedError, match=r"no member's numbers are finite after step \d+ \(3 members\); lower"):
        train_ensemble(CNN, TrainingRecipe(1e9), *data(), 3, (0, 40))


def test_divergence_of_some_is_told_with_the_members():
    """There is no store that could say which they are."""
    with pytest.raises(DivergedError, match=r"1 of 3 members are not finite at step 40 \(members 1\); lower"):
        train_ensemble(CNN, TrainingRecipe((0.1, 1e9, 0.1)), *data(), 3, (0, 40))


def test_divergence_out_of_distribution_is_told():
    """Before any step, when no loss has been looked at: logits overflow on one input."""
    (x, y, x_eval), network = data(), Architecture((Flatten(), Dense(2, w_std=1e3)))
    with pytest.raises(
        DivergedError, match=r"no member's logits are finite at step 0 .* inputs that are far too large"
    ):
        train_ensemble(network, RECIPE, x, y, x_eval.at[0].set(3e38), 3, (0, 1))


@pytest.mark.parametrize("numbers", [(0,), (1, 2), (2, 0, 2)], ids=str)
def test_members_by_number_are_those_of_the_whole(uninterrupted, numbers):
    """Ranges of a larger ensemble, and the same member twice: the same program if they are as many."""
    equal = np.testing.assert_array_equal if len(numbers) == 3 else assert_close
    assert_same(records(len(numbers), numbers=numbers), uninterrupted, equal, list(numbers))


def test_a_member_may_come_again_under_other_hyperparameters(uninterrupted):
    """A sweep folded into one ensemble has the members of each of its points alone."""
    rates = (RECIPE.learning_rate, RECIPE.learning_rate, 0.1)
    folded = records(3, recipe=replace(RECIPE, learning_rate=rates), numbers=(0, 1, 0))
    slower = records(1, recipe=replace(RECIPE, learning_rate=0.1))
    for found, one, other in zip(folded, uninterrupted, slower, strict=True):
        np.testing.assert_array_equal(found.record.logits["eval"][:2], one.record.logits["eval"][:2])
        assert_close(found.record.logits["eval"][2:], other.record.logits["eval"])


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ((0, 1), "member_numbers are 2 numbers; give one whole number for each of 3 members"),
        ([0, 1, 2], r"member_numbers are \[0, 1, 2\]"),
        ((0, 1, -1), "member_numbers hold -1; a member's number is whole, from 0"),
        ((0, 1, 2**32 - 1), "member_numbers hold 4294967295"),
        ((0, 1, True), "member_numbers hold True"),
    ],
    ids=["too few", "a list", "negative", "nobody", "bool"],
)
def test_who_cannot_be_a_member(numbers, message):
    with pytest.raises(ValueError, match=message):
        Trainer(CNN, RECIPE, 3, member_numbers=numbers)
