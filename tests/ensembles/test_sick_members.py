"""Members whose numbers are not finite any more: frozen, told, and in nobody's way."""

import jax
import jax.numpy as jnp
import numpy as np
from test_trainer import CNN, RECIPE, TRAINED_ON, data, records

from widesym.ensembles import Adam, Trainer, TrainingRecipe, train
from widesym.ensembles.member import HEALTHY


def injected(step=3, recipe=RECIPE):
    """Three members of which the second has a NaN among its weights at that step; what follows."""
    x, y, x_eval = data()
    trainer = Trainer(CNN, recipe, 3, data_fingerprint=TRAINED_ON)
    state = trainer.advance(trainer.init(x.shape[1:]), (x, y), 0, step)
    weight = state.params["layers"][0]["weight"]
    state.params["layers"][0]["weight"] = weight.at[1, 0, 0].set(jnp.nan)
    return list(train(trainer, (x, y), {"eval": x_eval, "train": x}, (5, 9), (state, step)))


def test_a_nan_in_one_member_is_told_and_changes_no_other():
    found, expected = [moment for moment in injected() if moment.record], records(steps=(5, 9))
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one.frozen_at, [HEALTHY, 3, HEALTHY])
        np.testing.assert_array_equal(one.record.healthy, [True, False, True])
        for name in ("eval", "train"):
            np.testing.assert_array_equal(one.record.logits[name][[0, 2]], other.record.logits[name][[0, 2]])


def test_a_frozen_member_stays_as_it_last_was():
    """With its optimiser's state, from the step on whose update was not finite."""
    x, y, _ = data()
    trainer = Trainer(CNN, TrainingRecipe((0.1, 1e30, 0.1), Adam(eps=1e-30)), 3)
    state, step = trainer.init(x.shape[1:]), 0
    while (state.frozen_at == HEALTHY).all():
        before, state, step = state, trainer.advance(state, (x, y), step, step + 1), step + 1
        assert step < 10
    later = trainer.advance(state, (x, y), step, step + 5)
    np.testing.assert_array_equal(later.frozen_at, [HEALTHY, step - 1, HEALTHY])
    for field in ("params", "optimizer_state"):
        old, new = (jax.tree.leaves(getattr(s, field)) for s in (before, later))
        for then, now in zip(old, new, strict=True):
            np.testing.assert_array_equal(now[1], then[1])
            assert np.isfinite(now[1]).all()
            assert not np.array_equal(now[0], then[0])


def test_a_member_may_be_finite_in_training_and_not_on_an_evaluation_set():
    """It goes on training, but a record says that its logits are not to be trusted there."""
    x, y, x_eval = data()
    trainer = Trainer(CNN, RECIPE, 3)
    state = trainer.init(x.shape[1:])
    state.params["layers"][0]["weight"] = state.params["layers"][0]["weight"].at[1].multiply(1e4)
    far = x_eval.at[0].set(1e35)
    (moment,) = train(trainer, (x, y), {"eval": far}, (0,), (state, 0))
    np.testing.assert_array_equal(moment.frozen_at, HEALTHY)
    np.testing.assert_array_equal(moment.record.healthy, [True, False, True])
