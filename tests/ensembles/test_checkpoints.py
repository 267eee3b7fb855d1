"""Checkpoints: exact, the last ones kept, and never trusted when a bit of them has changed."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.failed_loads import FAILED_LOADS
from tests.support.jax_settings import SETTINGS
from widesym.ensembles import Adam, Trainer, TrainingRecipe
from widesym.ensembles.checkpoints import CheckpointError, Checkpoints, MisfitError, checksums, ocp, saved_steps
from widesym.models import Architecture, Conv, Dense, Flatten, Relu

ARCH = Architecture((Conv(2, 2, "VALID"), Relu(), Flatten(), Dense(3, b_std=0.1)))
TRAINER = Trainer(ARCH, TrainingRecipe(0.1, Adam()), members=3)
SHAPE = (3, 3, 1)


pytestmark = FAILED_LOADS


@pytest.fixture(scope="module")
def state():
    return TRAINER.init(SHAPE)


def shifted(state, by):
    """A state like no other."""
    return jax.tree.map(lambda x: x + jnp.asarray(by, x.dtype), state)


@pytest.fixture
def saved(tmp_path, state):
    """Three checkpoints saved one after the other."""
    checkpoints = Checkpoints(tmp_path / "checkpoints", TRAINER)
    for step in (0, 5, 20):
        checkpoints.save(step, shifted(state, step))
    checkpoints.wait()
    return checkpoints


def assert_state(found, expected):
    """Bit for bit, types and structure included."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert one.dtype == other.dtype
        np.testing.assert_array_equal(one, other)


def test_the_last_ones_are_kept(saved, tmp_path, state):
    assert saved_steps(saved.directory) == [5, 20]
    assert sorted(entry.name for entry in saved.directory.iterdir()) == ["20", "5"]
    more = Checkpoints(tmp_path / "more", TRAINER, kept=3)
    for step in range(5):
        more.save(step, state)
    more.wait()
    assert saved_steps(more.directory) == [2, 3, 4]
    with pytest.raises(ValueError, match="0 checkpoints are to be kept"):
        Checkpoints(tmp_path, TRAINER, kept=0)


def test_a_state_comes_back_bit_for_bit(saved, state):
    for step in (5, 20):
        assert_state(saved.restore(step, SHAPE), shifted(state, step))


def test_numbers_that_are_not_finite_come_back_as_they_are(saved, state):
    """Of frozen members, and of states that earlier versions saved before the first step."""
    odd = state._replace(metrics=jax.tree.map(lambda x: x.at[:].set(jnp.array([jnp.nan, jnp.inf, 1])), state.metrics))
    saved.save(30, odd)
    saved.wait()
    assert_state(saved.restore(30, SHAPE), odd)


def test_an_old_one_goes_only_when_the_new_one_is_whole(saved, state):
    saved.save(30, state)
    assert 5 in saved_steps(saved.directory)  # 30 is perhaps still being written
    saved.wait()
    assert saved_steps(saved.directory) == [20, 30]


def test_training_goes_on_while_a_state_is_written(tmp_path):
    """What is saved is the state as it was, not what became of it in the meantime."""
    data = (jnp.ones((4, *SHAPE)), jnp.ones((4, 3)))
    checkpoints, state = Checkpoints(tmp_path, TRAINER, kept=9), TRAINER.init(SHAPE)
    kept = {}
    for step in range(9):
        checkpoints.save(step, state)
        kept[step] = jax.tree.map(np.array, state)
        state = TRAINER.advance(state, data, step, step + 1)
    checkpoints.wait()
    for step, expected in kept.items():
        assert_state(checkpoints.restore(step, SHAPE), expected)


def test_a_step_is_saved_once(saved, state):
    """What is on disk already was written by the same numbers; a resumed run need not write it again."""
    saved.save(20, state)
    saved.wait()
    assert_state(saved.restore(20, SHAPE), shifted(state, 20))


def test_half_written_and_foreign_entries_are_passed_over(saved, state):
    (saved.directory / "30.orbax-checkpoint-tmp" / "state").mkdir(parents=True)  # what a process killed leaves
    (saved.directory / "notes.txt").write_text("")
    (saved.directory / "best").mkdir()
    assert saved_steps(saved.directory) == [5, 20]
    saved.save(30, state)
    saved.wait()
    assert saved_steps(saved.directory) == [20, 30]


def test_nowhere_there_are_none(tmp_path):
    assert saved_steps(tmp_path / "missing") == []
    assert Checkpoints(tmp_path / "missing", TRAINER).restore_newest(SHAPE) is None


def emptied(file):
    """As a crash of the machine leaves files that were never flushed."""
    file.write_bytes(b"")


def truncated(file):
    """The first half."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("damage", [emptied, truncated])
def test_the_newest_readable_state_is_restored(saved, state, damage):
    told = []
    assert saved.restore_newest(SHAPE, told.append)[1] == 20
    assert not told
    for file in (saved.directory / "20").rglob("*"):
        if file.is_file():
            damage(file)
    found, step = saved.restore_newest(SHAPE, told.append)
    assert step == 5
    assert_state(found, shifted(state, 5))
    assert len(told) == 1
    assert "checkpoints/20 cannot be read and is set aside (" in told[0]
    assert saved_steps(saved.directory) == [5]  # so that step 20 can be saved again


def test_without_anyone_to_tell_a_warning_is_given(saved):
    emptied(next((saved.directory / "20" / "state").glob("manifest.ocdbt")))
    with pytest.warns(UserWarning, match="checkpoints/20 cannot be read and is set aside"):
        assert saved.restore_newest(SHAPE)[1] == 5


def test_a_flipped_bit_never_passes(saved, state):
    """In any file of a checkpoint, at places of all kinds: it is as it was saved, or it is set aside."""
    rng, outcomes = np.random.default_rng(0), []
    files = sorted(file for file in (saved.directory / "20").rglob("*") if file.is_file() and file.stat().st_size)
    for _ in range(40):
        file = files[rng.integers(len(files))]
        whole = file.read_bytes()
        place = rng.integers(len(whole))
        file.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << rng.integers(8))]) + whole[place + 1 :])
        found, error = saved._restored(20, SHAPE)
        file.write_bytes(whole)
        outcomes.append(bool(error))
        if not error:
            assert_state(found, shifted(state, 20))
    assert any(outcomes)


def test_checksums_see_every_bit(state):
    """Of any array, any member; but not the idle places after them."""
    expected = checksums(state, 2)
    weight = np.asarray(state.params["layers"][0]["weight"])
    for member, bit in ((0, 0), (1, 31), (1, 7), (2, 3)):
        bits = weight.copy().view(np.uint32)
        bits[member, 1, 2] ^= np.uint32(1 << bit)
        changed = state._replace(params={"layers": {**state.params["layers"], 0: {"weight": bits.view(np.float32)}}})
        found = checksums(changed, 2)
        same = [bool(one == other) for one, other in zip(*map(jax.tree.leaves, (found, expected)), strict=True)]
        assert same.count(False) == (member < 2)


def test_checksums_are_sums_of_words():
    """By hand, for every width there is."""
    for x in (np.float32([1.5, -2]), np.int32([7, -1]), np.uint8([3, 200]), np.float16([1, 2])):
        words = x.view({1: np.uint8, 2: np.uint16, 4: np.uint32}[x.itemsize]).astype(np.uint64)
        assert int(checksums(jnp.asarray(x), 2)) == int(words[0] + 3 * words[1]) % 2**32


def test_what_cannot_be_written_is_told(tmp_path, state):
    """At once or when it is waited for, as an OSError that names the checkpoint."""
    (tmp_path / "checkpoints").write_text("a file where the directory should be")
    checkpoints = Checkpoints(tmp_path / "checkpoints", TRAINER)

    def write():
        checkpoints.save(7, state)
        checkpoints.wait()

    with pytest.raises(CheckpointError, match=r"checkpoint .*checkpoints/7 could not be written: "):
        write()


@pytest.mark.parametrize(
    ("changes", "name"), [({"seed": 1}, "seed"), ({"recipe": TrainingRecipe(0.2, Adam())}, "recipe")]
)
def test_another_ensembles_checkpoint_is_refused_and_stays(saved, changes, name):
    """Of the same shape, but with another seed or recipe."""
    other = Checkpoints(saved.directory, replace(TRAINER, **changes))
    message = rf"checkpoints/20 is of another ensemble \({name} differ\), and stays"
    with pytest.raises(MisfitError, match=message):
        other.restore(20, SHAPE)
    with pytest.raises(MisfitError, match=message):
        other.restore_newest(SHAPE)
    assert saved_steps(saved.directory) == [5, 20]


def test_a_whole_checkpoint_of_another_precision_is_refused_and_stays(saved, state):
    """As earlier versions wrote them where JAX had 64 bits switched on."""
    wide = jax.tree.map(lambda x: np.asarray(x, np.float64) if x.dtype == np.float32 else x, state)
    with jax.enable_x64(True):
        about = saved._about(30, wide)
        ocp.save(
            str(saved.directory.absolute() / "30"), jax.tree.map(jnp.asarray, wide)._asdict(), custom_metadata=about
        )
    assert saved_steps(saved.directory) == [5, 20, 30]
    with pytest.raises(MisfitError, match=r"checkpoints/30 holds parameters in float64, .* It stays"):
        saved.restore_newest(SHAPE)
    assert saved_steps(saved.directory) == [5, 20, 30]


@pytest.mark.parametrize("error", [MemoryError("64 MiB"), PermissionError("13"), FloatingPointError("NaN")])
def test_what_the_process_lacks_is_not_the_checkpoints_fault(saved, monkeypatch, error):
    def load(*arguments):
        raise error

    monkeypatch.setattr(ocp, "load", load)
    with pytest.raises(CheckpointError, match=f"checkpoints/20 cannot be read now, and stays: {type(error).__name__}"):
        saved.restore_newest(SHAPE)
    assert saved_steps(saved.directory) == [5, 20]


@pytest.mark.parametrize("setting", SETTINGS, ids=[name for name, _ in SETTINGS])
def test_what_jax_is_set_to_does_not_matter(saved, state, setting):
    """Neither to what is read, nor to what is written, bit for bit."""
    name, value = setting
    with getattr(jax, name)(value):
        assert_state(saved.restore(20, SHAPE), shifted(state, 20))
        saved.save(30, state)
        saved.wait()
    assert_state(saved.restore(30, SHAPE), state)
