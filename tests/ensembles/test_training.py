"""One gradient step against NumPy, what augmentation and mini-batches mean, and what is refused."""

import math

import jax.numpy as jnp
import numpy as np
import pytest

from widesym.ensembles import (
    FullOrbit,
    IndependentDraws,
    NoAugmentation,
    Trainer,
    TrainingRecipe,
    evenly_spaced_steps,
    log_spaced_steps,
    train,
    train_ensemble,
)
from widesym.models import Architecture, Conv, Dense, Flatten, Relu, cyclic

C4 = cyclic(4)
# float32 against NumPy's float64: a handful of steps, each of sums over a dozen terms, round by a few 1e-7.
assert_close = np.testing.assert_allclose
FLOAT32 = {"rtol": 2e-5, "atol": 2e-6}


W_STDS, B_STD = (1.3, 0.7), 0.4


def deep_linear_step(weights, bias, x, y, rate):
    """Gradient descent on L = 1/(2N) Σ ‖f − y‖² for f = a₂ W₂ h + σ_b b, h = a₁ W₁ x, a = σ_w/√n (theory.md §1, §4).

    Returns the loss and the gradient's norm before the step, and the weights and bias after it.
    """
    a1, a2 = (std / math.sqrt(w.shape[1]) for std, w in zip(W_STDS, weights, strict=True))
    hidden = a1 * x @ weights[0].T
    error = a2 * hidden @ weights[1].T + B_STD * bias - y
    slope = error / len(x)  # ∂L/∂f
    gradients = a1 * (a2 * slope @ weights[1]).T @ x, a2 * slope.T @ hidden, B_STD * slope.sum(0)
    norm = math.sqrt(sum((gradient**2).sum() for gradient in gradients))
    updated = [w - rate * gradient for w, gradient in zip(weights, gradients[:2], strict=True)]
    return (error**2).sum() / (2 * len(x)), norm, updated, bias - rate * gradients[2]


@pytest.mark.parametrize("policy", [NoAugmentation(), FullOrbit(C4)], ids=["plain", "full orbit"])
def test_steps_are_gradient_descent_on_half_the_mean_squared_error(policy):
    """N counts augmented samples: a factor |G| or 2 amiss in the loss would be one in the step."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((3, 2, 2, 1)), rng.standard_normal((3, 2))
    arch = Architecture((Flatten(), Dense(5, w_std=W_STDS[0]), Dense(2, w_std=W_STDS[1], b_std=B_STD)))
    trainer = Trainer(arch, TrainingRecipe(0.3, augmentation=policy), members=1)
    initial = trainer.init(x.shape[1:])
    data = (jnp.asarray(x, jnp.float32), jnp.asarray(y, jnp.float32))
    trained = trainer.advance(initial, data, 0, 3)

    turns = range(4 if isinstance(policy, FullOrbit) else 1)
    orbit, targets = np.concatenate([np.rot90(x, q, (1, 2)).reshape(3, 4) for q in turns]), np.tile(y, (len(turns), 1))
    layers, learned = initial.params["layers"], trained.params["layers"]
    weights, bias = [np.float64(layers[i]["weight"][0]) for i in (1, 2)], np.float64(layers[2]["bias"][0])
    for _ in range(3):
        loss, norm, weights, bias = deep_linear_step(weights, bias, orbit, targets, 0.3)
    assert_close(learned[1]["weight"][0], weights[0], **FLOAT32)
    assert_close(learned[2]["weight"][0], weights[1], **FLOAT32)
    assert_close(learned[2]["bias"][0], bias, **FLOAT32)
    assert_close(trained.metrics.loss, [loss], **FLOAT32)  # of the last batch, before its update
    assert_close(trained.metrics.gradient_norm, [norm], **FLOAT32)


def test_full_orbit_is_training_on_the_rotated_images():
    rng = np.random.default_rng(1)
    x, y, x_eval = (rng.standard_normal(shape).astype("f") for shape in ((3, 3, 3, 1), (3, 2), (4, 3, 3, 1)))
    arch = Architecture((Conv(4, 2, "VALID", w_std=2**0.5), Relu(), Flatten(), Dense(2)))
    rotated = np.concatenate([np.rot90(x, q, (1, 2)) for q in range(4)])

    def logits(policy, x, y):
        recipe = TrainingRecipe(0.5, augmentation=policy)
        return train_ensemble(arch, recipe, x, y, x_eval, 2, (0, 5), randomness="shared")

    augmented = logits(FullOrbit(C4), x, y)
    # The same sums in another program: rounding alone.
    assert_close(augmented, logits(NoAugmentation(), rotated, np.tile(y, (4, 1))), **FLOAT32)
    plain = logits(NoAugmentation(), x, y)
    assert np.array_equal(augmented[0], plain[0])
    assert np.abs(augmented[1] - plain[1]).max() > 0.01


@pytest.fixture(scope="module")
def drawn():
    """Which samples each member drew at each step: [step, member, sample], for batches of three from four samples.

    The inputs are unit vectors, so that a sample's logit moves at a step if and only if it was drawn.
    """
    eye, y = np.eye(4, dtype="f"), np.float32([[8], [9], [-8], [-9]])  # targets far off: what is drawn moves
    recipe = TrainingRecipe(0.01, batches=IndependentDraws(3))
    logits = train_ensemble(Architecture((Dense(1),)), recipe, eye, y, eye, members=24, record_steps=range(81))
    return np.diff(logits[..., 0], axis=0) != 0


def test_batches_are_uniform_draws_with_replacement(drawn):
    """A sample is missed by three uniform draws with probability (3/4)³, and a batch has 1, 2 or 3 different ones."""
    batches = drawn.reshape(-1, 4)
    hit = 1 - (3 / 4) ** 3
    # 1,920 batches: 4.5 standard deviations of each frequency, for seven of them.
    bound = 4.5 * math.sqrt(hit * (1 - hit) / len(batches))
    assert_close(batches.mean(0), hit, atol=bound)
    for different, probability in ((1, 1 / 16), (2, 9 / 16), (3, 6 / 16)):
        bound = 4.5 * math.sqrt(probability * (1 - probability) / len(batches))
        assert_close((batches.sum(1) == different).mean(), probability, atol=bound)


def test_batches_differ_between_members_and_steps(drawn):
    """Correlation of neighbours in either direction is zero, to 4.5 standard deviations of its estimate."""
    centred = drawn - (1 - (3 / 4) ** 3)
    variance = (3 / 4) ** 3 * (1 - (3 / 4) ** 3)
    # Draws of one batch exclude each other, which correlates the four samples: count batches, not samples.
    for a, b in ((centred[1:], centred[:-1]), (centred[:, 1:], centred[:, :-1])):
        correlation = (a * b).mean(-1).ravel() / variance
        assert abs(correlation.mean()) < 4.5 * correlation.std() / math.sqrt(correlation.size)


def test_a_batch_is_augmented_after_it_is_drawn():
    """All rotations of a drawn image move together: each batch of one is one image's whole orbit."""
    x = np.zeros((2, 2, 2, 1), "f")
    x[0, 0, 0], x[1, 0, 1] = 1, 1  # orbits: the four corners, from two starts
    arch, corners = Architecture((Flatten(), Dense(1))), np.eye(4, dtype="f").reshape(4, 2, 2, 1)
    y = np.float32([[8], [-8]])
    recipe = TrainingRecipe(0.01, batches=IndependentDraws(1), augmentation=FullOrbit(C4))
    moves = np.diff(train_ensemble(arch, recipe, x, y, corners, members=4, record_steps=range(9))[..., 0], axis=0)
    up, down = (moves > 0).all(-1), (moves < 0).all(-1)  # all corners, toward one image's target
    assert np.all(up | down)
    assert up.any()
    assert down.any()


@pytest.mark.parametrize(
    ("x", "y"),
    [((4, 3), (4,)), ((4, 3), (4, 1)), ((4, 3), (3, 2)), ((4, 3), (1, 2)), ((0, 3), (0, 2))],
    ids=["flat targets", "too few logits", "too few targets", "one target for all", "no data"],
)
def test_training_refuses_targets_that_would_be_broadcast(x, y):
    trainer = Trainer(Architecture((Dense(2),)), TrainingRecipe(0.1), members=1)
    with pytest.raises(ValueError, match=r"targets have shape .* must be \(\d, 2\)"):
        next(train(trainer, (jnp.zeros(x), jnp.zeros(y)), {"eval": jnp.zeros(x)}, (0, 1)))


@pytest.mark.parametrize(
    ("x", "y", "x_eval", "message"),
    [
        (1, 1, np.nan, "eval: 6 values are not finite"),
        (np.inf, 1, 1, "training inputs: 12 values are not finite"),
        (1, np.nan, 1, "targets: 8 values are not finite"),
    ],
)
def test_training_refuses_values_that_are_not_finite(x, y, x_eval, message):
    trainer = Trainer(Architecture((Dense(2),)), TrainingRecipe(0.1), members=1)
    x, y, x_eval = (jnp.full(shape, value) for shape, value in (((4, 3), x), ((4, 2), y), ((2, 3), x_eval)))
    with pytest.raises(ValueError, match=message):
        next(train(trainer, (x, y), {"eval": x_eval}, (0, 1)))


def test_training_refuses_evaluation_inputs_of_another_shape():
    trainer = Trainer(Architecture((Dense(2),)), TrainingRecipe(0.1), members=1)
    with pytest.raises(ValueError, match=r"eval: inputs have shape \(5,\), those of training \(3,\)"):
        next(train(trainer, (jnp.ones((4, 3)), jnp.ones((4, 2))), {"eval": jnp.ones((2, 5))}, (0, 1)))


@pytest.mark.parametrize("steps", [(), (5, 3), (0, 2, 2), (-1, 3)], ids=str)
def test_training_refuses_steps_it_would_pass_over(steps):
    trainer = Trainer(Architecture((Dense(2),)), TrainingRecipe(0.1), members=1)
    with pytest.raises(ValueError, match="must be ascending, distinct and not negative"):
        next(train(trainer, (jnp.zeros((4, 3)), jnp.zeros((4, 2))), {"eval": jnp.zeros((4, 3))}, steps))


def test_training_refuses_to_be_looked_at_nowhere():
    trainer = Trainer(Architecture((Dense(2),)), TrainingRecipe(0.1), members=1)
    with pytest.raises(ValueError, match="there is no evaluation set"):
        next(train(trainer, (jnp.zeros((4, 3)), jnp.zeros((4, 2))), {}, (0, 1)))


def test_trainer_refuses_no_members():
    with pytest.raises(ValueError, match="members is 0; an ensemble needs at least one"):
        Trainer(Architecture((Dense(2),)), TrainingRecipe(0.1), members=0)


@pytest.mark.parametrize(
    ("last", "records", "expected"),
    [
        (64, 9, (0, 1, 2, 3, 6, 11, 20, 35, 64)),  # 2^(6k/7), rounded: 1.8, 3.3, 5.9, 10.8, 19.5, 35.3
        (1000, 5, (0, 1, 10, 100, 1000)),
        (4, 9, (0, 1, 2, 3, 4)),  # without repetition
        (50, 2, (0, 50)),  # the last step is trained to, however few the records
        (1, 2, (0, 1)),
    ],
)
def test_log_spaced_steps(last, records, expected):
    assert log_spaced_steps(last, records) == expected


@pytest.mark.parametrize(("last", "records", "expected"), [(10, 3, (0, 5, 10)), (4, 9, (0, 1, 2, 3, 4))])
def test_evenly_spaced_steps(last, records, expected):
    assert evenly_spaced_steps(last, records) == expected


@pytest.mark.parametrize("spaced", [log_spaced_steps, evenly_spaced_steps])
@pytest.mark.parametrize(("last", "records"), [(0, 5), (10, 1)])
def test_spaced_steps_refuse(spaced, last, records):
    with pytest.raises(ValueError, match=f"{records} records up to step {last} asked for"):
        spaced(last, records)
