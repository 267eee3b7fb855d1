"""Checkpoints: exact, the last two kept, half-written ones passed over."""

import jax
import numpy as np
import pytest

from ensembles import Trainer, TrainingRecipe, checkpoints
from models import Architecture, Conv, Dense, Flatten, Relu

TRAINER = Trainer(
    Architecture((Conv(2, 2, "VALID"), Relu(), Flatten(), Dense(3, b_std=0.1))), TrainingRecipe(0.1), members=3
)


@pytest.fixture(scope="module")
def state():
    return TRAINER.init((3, 3, 1))


@pytest.fixture
def saved(tmp_path, state):
    """Three checkpoints saved one after the other; the last state is like no other."""
    directory = tmp_path / "checkpoints"
    for step in (0, 5, 20):
        checkpoints.save(directory, step, jax.tree.map(lambda x, s=step: x + s, state))
    return directory


def test_the_last_two_are_kept(saved):
    assert checkpoints.saved_steps(saved) == [5, 20]
    assert sorted(entry.name for entry in saved.iterdir()) == ["20", "5"]


def test_a_state_comes_back_bit_for_bit(saved, state):
    like = jax.eval_shape(lambda: TRAINER.init((3, 3, 1)))  # no arrays: their shapes are enough
    for step in (5, 20):
        restored = checkpoints.restore(saved, step, like)
        assert jax.tree.structure(restored) == jax.tree.structure(state)
        for found, expected in zip(jax.tree.leaves(restored), jax.tree.leaves(state), strict=True):
            assert found.dtype == expected.dtype
            np.testing.assert_array_equal(found, expected + step)


def test_a_step_is_saved_once(saved, state):
    """What is on disk already was written by the same numbers; a resumed run need not write it again."""
    checkpoints.save(saved, 20, state)
    found, expected = (jax.tree.leaves(s)[0] for s in (checkpoints.restore(saved, 20, state), state))
    np.testing.assert_array_equal(found, expected + 20)


def test_half_written_and_foreign_entries_are_passed_over(saved, state):
    (saved / "30.orbax-checkpoint-tmp" / "state").mkdir(parents=True)  # what a process killed while saving leaves
    (saved / "notes.txt").write_text("")
    (saved / "best").mkdir()
    assert checkpoints.saved_steps(saved) == [5, 20]
    checkpoints.save(saved, 30, state)
    assert checkpoints.saved_steps(saved) == [20, 30]


def test_nowhere_there_are_none(tmp_path, state):
    assert checkpoints.saved_steps(tmp_path / "missing") == []
    assert checkpoints.restore_newest(tmp_path / "missing", state) is None


def damage(checkpoint):
    """What a full disk or a crash of the machine leaves: files of the right names without contents."""
    for file in checkpoint.rglob("*"):
        if file.is_file():
            file.write_bytes(b"")


def test_the_newest_readable_state_is_restored(saved, state):
    restored, step = checkpoints.restore_newest(saved, state)
    assert step == 20
    damage(saved / "20")
    with pytest.warns(UserWarning, match=r"checkpoints/20 cannot be read and is set aside"):
        restored, step = checkpoints.restore_newest(saved, state)
    assert step == 5
    np.testing.assert_array_equal(jax.tree.leaves(restored)[0], jax.tree.leaves(state)[0] + 5)
    assert checkpoints.saved_steps(saved) == [5]  # so that step 20 can be saved again
