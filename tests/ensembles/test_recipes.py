"""Optimisers, schedules, losses and batches against NumPy, and numbers that differ from member to member."""

import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.ensembles import (
    Adam,
    Constant,
    Cosine,
    CrossEntropy,
    Exponential,
    FullBatch,
    IndependentDraws,
    MeanSquaredError,
    Piecewise,
    Sgd,
    ShuffledEpochs,
    Trainer,
    TrainingRecipe,
    adamw,
    train_ensemble,
)
from widesym.models import Architecture, Dense
from widesym.models.description import describe

LINEAR = Architecture((Dense(2),))
RNG = np.random.default_rng(0)
X, Y = RNG.standard_normal((6, 3)).astype("f"), RNG.standard_normal((6, 2)).astype("f")
# float32 against float64: a dozen steps of sums over a handful of terms round by a few 1e-7 each.
FLOAT32 = {"rtol": 2e-5, "atol": 2e-6}


def weights(recipe, steps, members=1, x=X, y=Y):
    """W [member, logit, input] of f = W x/√3 after so many steps, and at first."""
    trainer = Trainer(LINEAR, recipe, members)
    state = trainer.init(x.shape[1:])
    trained = trainer.advance(state, (jnp.asarray(x), jnp.asarray(y)), 0, steps)
    return [np.float64(s.params["layers"][0]["weight"])[:members] for s in (trained, state)]


def gradient(w, x=X, y=Y):
    """Of 1/(2N) Σ ‖W x/√3 − y‖²."""
    return (x @ w.T / 3**0.5 - y).T @ x / 3**0.5 / len(x)


def sgd(w, rate, momentum, decay, nesterov=False):
    """v ← μ v + g, w ← w − η v, or w − η (g + μ v); forever."""
    velocity = 0
    while True:
        g = gradient(w) + decay * w
        velocity = momentum * velocity + g
        w = w - rate * (g + momentum * velocity if nesterov else velocity)
        yield w


def adam(w, rate, b1, b2, eps, decay):
    """Algorithm 1 of arXiv:1412.6980 with the decoupled decay of arXiv:1711.05101, algorithm 2."""
    m = v = step = 0
    while True:
        step, g = step + 1, gradient(w)
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        w = w - rate * (m / (1 - b1**step) / (np.sqrt(v / (1 - b2**step)) + eps) + decay * w)
        yield w


@pytest.mark.parametrize(
    ("optimizer", "descent"),
    [
        (Sgd(), lambda w: sgd(w, 0.3, 0, 0)),
        (Sgd(weight_decay=0.1), lambda w: sgd(w, 0.3, 0, 0.1)),
        (Sgd(momentum=0.9, weight_decay=0.1), lambda w: sgd(w, 0.3, 0.9, 0.1)),
        (Sgd(momentum=0.9, nesterov=True), lambda w: sgd(w, 0.3, 0.9, 0, nesterov=True)),
        (Adam(), lambda w: adam(w, 0.3, 0.9, 0.999, 1e-8, 0)),
        (Adam(b1=0.5, b2=0.8, eps=0.1), lambda w: adam(w, 0.3, 0.5, 0.8, 0.1, 0)),
        (adamw(0.1), lambda w: adam(w, 0.3, 0.9, 0.999, 1e-8, 0.1)),
    ],
    ids=["sgd", "decay", "momentum", "nesterov", "adam", "adam's numbers", "adamw"],
)
def test_optimizers_step_by_step(optimizer, descent):
    found, initial = weights(TrainingRecipe(0.3, optimizer), 5)
    expected = [step for step, _ in zip(descent(initial[0]), range(5), strict=False)][-1]
    np.testing.assert_allclose(found[0], expected, **FLOAT32)


@pytest.mark.parametrize(
    ("schedule", "factors"),
    [
        (Constant(), [1, 1, 1, 1, 1, 1]),
        (Cosine(4), [1, 0.5 + 0.5 * 0.5**0.5, 0.5, 0.5 - 0.5 * 0.5**0.5, 0, 0]),
        (Cosine(4, warmup=2, end=0.2), [0, 0.5, 1, 0.6, 0.2, 0.2]),
        (Exponential(0.25, 2), [1, 0.5, 0.25, 0.125, 0.0625, 0.03125]),
        (Piecewise((2, 5), (0.5, 0.1)), [1, 1, 0.5, 0.5, 0.5, 0.1]),
    ],
    ids=["constant", "cosine", "warmup", "exponential", "piecewise"],
)
def test_schedules(schedule, factors):
    """Their values, the steps made with them, and training time, which is their sum."""
    np.testing.assert_allclose(schedule.factor(jnp.arange(6)), factors, atol=1e-6)  # a few roundings of cos
    recipe = TrainingRecipe(0.3, schedule=schedule)
    found, (w,) = weights(recipe, 6)
    for factor in factors:
        w = w - 0.3 * factor * gradient(w)
    np.testing.assert_allclose(found[0], w, **FLOAT32)
    np.testing.assert_allclose(recipe.training_time((0, 2, 6)), [[0, 0.3 * sum(factors[:2]), 0.3 * sum(factors)]], 1e-6)


def test_cross_entropy():
    """Its value and gradient, as accuracy and loss of the last batch see them."""
    y = np.eye(2, dtype="f")[[0, 1, 1, 0, 1, 0]]
    found, (w,) = weights(TrainingRecipe(0.3, loss=CrossEntropy()), 1, y=y)
    logits = X @ w.T / 3**0.5
    chances = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(found[0], w - 0.3 * (chances - y).T @ X / 3**0.5 / 6, **FLOAT32)
    np.testing.assert_allclose(CrossEntropy()(logits, y), -(y * np.log(chances)).sum(1).mean(), rtol=1e-6)
    trainer = Trainer(LINEAR, TrainingRecipe(0.3, loss=CrossEntropy()), 1)
    metrics = trainer.advance(trainer.init((3,)), (jnp.asarray(X), jnp.asarray(y)), 0, 1).metrics
    np.testing.assert_allclose(metrics.accuracy, [(logits.argmax(1) == y.argmax(1)).mean()])


@pytest.mark.parametrize("targets", [Y, np.full((6, 2), 0.4, "f"), np.float32([[1.5, -0.5]] * 6)])
def test_cross_entropy_refuses_what_are_no_probabilities(targets):
    with pytest.raises(ValueError, match=r"wants probabilities .* of 6 of 6 samples are none \(sample 0: \["):
        train_ensemble(LINEAR, TrainingRecipe(0.1, loss=CrossEntropy()), X, targets, X, 1, (0, 1))


def test_members_with_numbers_of_their_own():
    """Member k of a sweep is member k of an ensemble that has its numbers for all."""
    rates, decays = (0.1, 0.2, 0.3), (0.0, 0.1, 0.5)
    sweep = TrainingRecipe(rates, adamw(decays, b1=(0.9, 0.8, 0.0)), Cosine(10))
    found, _ = weights(sweep, 7, members=3)
    for member, (rate, decay, b1) in enumerate(zip(rates, decays, (0.9, 0.8, 0.0), strict=True)):
        alone, _ = weights(TrainingRecipe(rate, Adam(b1=b1, weight_decay=decay), Cosine(10)), 7, members=3)
        # Without decay for anyone XLA compiles another program: float32 rounding.
        np.testing.assert_allclose(found[member], alone[member], **FLOAT32)
    assert sweep.of_first(2) == TrainingRecipe(rates[:2], adamw(decays[:2], b1=(0.9, 0.8)), Cosine(10))
    np.testing.assert_allclose(sweep.training_time((0, 10))[:, 1] / rates, 5.5)  # a cosine's mean, ends included
    json = describe(sweep)
    assert json["learning_rate"] == [0.1, 0.2, 0.3]
    assert json["optimizer"]["weight_decay"] == [0.0, 0.1, 0.5]


def drawn(batches, steps=8, members=3):
    """Which of six samples each member drew at each step [step, member, sample], from the logits that moved."""
    eye, y = np.eye(6, dtype="f"), np.float32([[8], [9], [-8], [-9], [7], [-7]])
    recipe = TrainingRecipe(0.01, batches=batches)
    logits = train_ensemble(Architecture((Dense(1),)), recipe, eye, y, eye, members, range(steps + 1))
    return np.diff(logits[..., 0], axis=0) != 0


def test_an_epoch_has_every_sample_once():
    """Three batches of two make one; what a batch leaves over sits out."""
    moved = drawn(ShuffledEpochs(2), 12)
    assert (moved.sum(-1) == 2).all()
    epochs = moved.reshape(4, 3, 3, 6)
    assert (epochs.sum(1) == 1).all()
    # Of 90 ways to split six into three pairs, 12 draws repeat one or two, seldom more.
    assert len({epoch[:, member].tobytes() for epoch in epochs for member in range(3)}) >= 9
    left = drawn(ShuffledEpochs(4), 12)
    assert (left.sum(-1) == 4).all()
    assert not (left == left[0]).all()


@pytest.mark.parametrize("kind", [IndependentDraws, ShuffledEpochs])
def test_an_order_can_be_common_to_all_members(kind):
    common, own = drawn(kind(3, "common")), drawn(kind(3, "own"))
    assert (common == common[:, :1]).all()
    assert not (own == own[:, :1]).all()
    assert len({step.tobytes() for step in common}) > 1


def test_epochs_go_on_where_they_stopped():
    """In the middle of one, and across the end of another."""
    recipe, data = TrainingRecipe(0.1, batches=ShuffledEpochs(2)), (jnp.asarray(X), jnp.asarray(Y))
    trainer = Trainer(LINEAR, recipe, 2)
    state = trainer.init((3,))
    whole = trainer.advance(state, data, 0, 11)
    for start, stop in ((0, 1), (1, 5), (5, 6), (6, 11)):
        state = trainer.advance(state, data, start, stop)
    jax.tree.map(np.testing.assert_array_equal, state, whole)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TrainingRecipe(0), "learning_rate is 0; it must be a number, above 0 and finite"),
        (lambda: TrainingRecipe(-0.1), "learning_rate is -0.1"),
        (lambda: TrainingRecipe(math.inf), "learning_rate is inf"),
        (lambda: TrainingRecipe(math.nan), "learning_rate is nan"),
        (lambda: TrainingRecipe("0.1"), "learning_rate is '0.1'"),
        (lambda: TrainingRecipe((0.1, -1)), "learning_rate is -1"),
        (lambda: TrainingRecipe(()), "learning_rate is an empty sequence"),
        (lambda: TrainingRecipe(0.1, optimizer=Adam), "optimizer is .*; it must be such as Sgd"),
        (lambda: TrainingRecipe(0.1, schedule=0.5), "schedule is 0.5; it must be such as Cosine"),
        (lambda: TrainingRecipe(0.1, loss="mse"), "loss is 'mse'; it must be such as CrossEntropy"),
        (lambda: TrainingRecipe(0.1, batches=64), "batches is 64; it must be such as IndependentDraws"),
        (lambda: TrainingRecipe(0.1, augmentation=None), "augmentation is None; it must be a policy"),
        (lambda: TrainingRecipe(np.array(0.5)), r"learning_rate is array\(0.5\); it must be a number"),
        (lambda: TrainingRecipe(1e-50), "learning_rate is 1e-50; it must be a number, above 0"),
        (lambda: TrainingRecipe(1e39), r"learning_rate is 1e\+39; it must be a number, above 0 and finite"),
        (lambda: Adam(b2=0.99999999), "b2 is 0.99999999; it must be a number, at least 0 and below 1"),
        (lambda: Cosine(6, end=(0.1, 0.2)), r"end is \(0.1, 0.2\); it is one number for all members"),
        (lambda: Sgd(momentum=1), "momentum is 1; it must be a number, at least 0 and below 1"),
        (lambda: Sgd(nesterov=True), "nesterov is a kind of momentum"),
        (lambda: Adam(b2=1.5), "b2 is 1.5"),
        (lambda: Adam(eps=0), "eps is 0; it must be a number, above 0"),
        (lambda: adamw(-1), "weight_decay is -1"),
        (lambda: IndependentDraws(0), "the batch size is 0; it must be a positive whole number"),
        (lambda: ShuffledEpochs(2.5), "the batch size is 2.5"),
        (lambda: ShuffledEpochs(2, "shared"), "order_of is 'shared'; it must be 'own' or 'common'"),
        (lambda: Cosine(0), "steps is 0; it must be a whole number of steps, at least 1"),
        (lambda: Cosine(5, warmup=5), "warmup is 5 of 5 steps"),
        (lambda: Exponential(0, 1), "rate is 0"),
        (lambda: Piecewise((5, 3), (1, 2)), r"boundaries are \(5, 3\); they must ascend"),
        (lambda: Piecewise((5,), ()), "1 boundaries and 0 factors"),
        (lambda: Trainer(LINEAR, TrainingRecipe((0.1, 0.2)), 3), "learning_rate has 2 values for 3 members"),
        (lambda: Trainer(LINEAR, TrainingRecipe(0.1, Sgd((0.5, 0.9))), 3), "momentum has 2 values for 3 members"),
        (lambda: Trainer(LINEAR, TrainingRecipe(0.1), 2.0), "members is 2.0"),
        (
            lambda: Trainer(replace(LINEAR, parametrization="mup"), TrainingRecipe(0.1, Adam()), 2),
            "the 'mup' parametrization has its scales for Sgd",
        ),
        (
            lambda: train_ensemble(LINEAR, TrainingRecipe(0.1, batches=ShuffledEpochs(7)), X, Y, X, 1, (0, 1)),
            "batches of 7 samples are asked for, but there are 6",
        ),
    ],
)
def test_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sequences_of_any_kind_will_do():
    assert Piecewise([2, 5], [0.5, 0.1]) == Piecewise((2, 5), (0.5, 0.1))
    assert TrainingRecipe(np.array([0.5, 1])).learning_rate == (0.5, 1.0)


def test_training_in_float64():
    """Where somebody has switched it on for all of JAX; the metrics stay float32."""
    with jax.enable_x64(True):
        found = train_ensemble(LINEAR, TrainingRecipe(0.3, schedule=Cosine(5)), X, Y, X, 2, (0, 5))
    np.testing.assert_allclose(found.std(), train_ensemble(LINEAR, TrainingRecipe(0.3), X, Y, X, 2, (0, 5)).std(), 1)


def test_defaults_are_gradient_descent_on_the_mean_squared_error():
    """What the theory covers."""
    recipe = TrainingRecipe(0.1)
    assert (recipe.optimizer, recipe.loss, recipe.batches) == (Sgd(), MeanSquaredError(), FullBatch())
    assert recipe.hyperparameters(2).keys() == {"learning_rate", "momentum", "weight_decay"}
