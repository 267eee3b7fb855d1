"""Parameters read from run directories: the same from store and checkpoints, or a message that says why not."""

import json
import shutil
from dataclasses import dataclass

import jax
import numpy as np
import optax
import pytest
import xarray as xr

from tests.support.failed_loads import FAILED_LOADS
from tests.support.stored_runs import CONV, STEPS, TEST, TRAIN, trained, with_parameters
from widesym.ensembles import Adam, Cosine, FullOrbit, IndependentDraws, TrainingRecipe
from widesym.ensembles.data import DataError
from widesym.ensembles.recorder import SickMembersError
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.runs.data import stored_sets, training_set
from widesym.launch.runs.directory import claim, reading
from widesym.launch.runs.stored import StoredRun, stored_parameters, stored_steps
from widesym.models import cyclic

pytestmark = FAILED_LOADS

SHAPE = (8, 8, 1)
# Everything about it differs between members or over time, and its optimiser has a state.
RECIPE = TrainingRecipe(
    (0.01, 0.02, 0.03), Adam(), Cosine(10), batches=IndependentDraws(4), augmentation=FullOrbit(cyclic(4))
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return with_parameters(tmp_path_factory.mktemp("recorded") / "run", recipe=RECIPE)


@pytest.fixture(scope="module")
def checkpointed(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("checkpointed") / "run", recipe=RECIPE)


def copied(path, tmp_path):
    return shutil.copytree(path, tmp_path / "run")


def test_snapshots_and_checkpoints_hold_the_same(recorded, checkpointed):
    """The same training: bit for bit. And they are the networks whose logits were recorded."""
    runs = StoredRun(recorded), StoredRun(checkpointed)
    assert [run.has_snapshots for run in runs] == [True, False]
    found, expected = ({step: stored_parameters(run, SHAPE, step) for step in stored_steps(run)} for run in runs)
    assert list(found) == list(expected) == list(STEPS)
    for index, step in enumerate(STEPS):
        jax.tree.map(np.testing.assert_array_equal, found[step], expected[step])
        with xr.open_zarr(recorded / "logits.zarr") as store:
            logits = store.logits.values[index]
        for member in range(3):
            one = jax.tree.map(lambda leaf, member=member: leaf[member], found[step])
            x = np.concatenate([TRAIN.inputs, TEST.inputs])
            np.testing.assert_allclose(CONV.apply(one, x), logits[member], rtol=1e-4, atol=1e-5)  # another program


def test_step_0_is_drawn_again_where_it_was_not_kept(recorded, tmp_path):
    run = StoredRun(trained(tmp_path / "run", recipe=RECIPE, kept=1))
    assert stored_steps(run) == [0, 4]
    for step in (0, 4):
        expected = stored_parameters(StoredRun(recorded), SHAPE, step)
        jax.tree.map(np.testing.assert_array_equal, stored_parameters(run, SHAPE, step), expected)


def test_times_are_the_runs(recorded, checkpointed):
    """From the store, and from the recipe at steps that it lacks: sums of a cosine's rates, member by member."""
    run = StoredRun(recorded)
    expected = RECIPE.training_time(STEPS).T
    np.testing.assert_allclose(run.times([0, 1, 4]), expected, rtol=1e-12)
    np.testing.assert_allclose(run.times([0, 4]), expected[[0, 2]], rtol=1e-12)
    np.testing.assert_allclose(StoredRun(checkpointed).times([0, 3]), RECIPE.training_time((0, 3)).T, rtol=1e-12)
    assert run.recipe == RECIPE
    assert run.architecture == CONV


def test_data_are_kept_beside_the_run(recorded, tmp_path):
    run = StoredRun(recorded)
    assert list(stored_sets(run)) == ["train", "test"]
    for found, given in zip(stored_sets(run).values(), (TRAIN, TEST), strict=True):
        assert found.fingerprint == given.fingerprint
        assert (found.classes, found.provenance) == (given.classes, given.provenance)
    assert training_set(run).fingerprint == TRAIN.fingerprint
    path = copied(recorded, tmp_path)
    test, train = path / "data" / "1-test.npz", path / "data" / "0-train.npz"
    shutil.copy(test, train)
    with pytest.raises(DataError, match=r"0-train.npz has digest \w+, but the run was made with"):
        training_set(StoredRun(path))
    train.write_bytes(b"no zip")
    with pytest.raises(DataError, match=r"0-train.npz holds no data set that can be read"):
        training_set(StoredRun(path))
    train.unlink()
    with pytest.raises(DataError, match=r"keeps no data \(0-train.npz is missing\)"):
        training_set(StoredRun(path))


def test_a_finished_run_that_keeps_no_data_gets_them_when_it_is_asked_for_again(tmp_path):
    path = trained(tmp_path / "run")
    shutil.rmtree(path / "data")
    trained(path)
    assert training_set(StoredRun(path)).fingerprint == TRAIN.fingerprint


def test_data_are_found_again_by_their_digest(recorded):
    run = StoredRun(recorded)
    np.testing.assert_array_equal(training_set(run, "digits", 3).inputs, TRAIN.inputs)
    with pytest.raises(DataError, match=r"training set of 'digits', seed 0, has digest \w+ \(8 samples\).* 'train'"):
        training_set(run, "digits", 0)
    with pytest.raises(DataError, match="training set of 'toy', seed 3, has digest"):
        training_set(run, "toy", 3)
    with pytest.raises(DataError, match="no data set named 'digit'"):
        training_set(run, "digit", 3)


def test_what_is_no_run_is_said(tmp_path, recorded):
    with pytest.raises(RunDirectoryError, match=r"there is no directory .*none; name a run directory"):
        StoredRun(tmp_path / "none")
    with pytest.raises(RunDirectoryError, match=f"is not the directory of one ensemble; there are {recorded}"):
        StoredRun(recorded.parent)
    (tmp_path / "config.json").write_text("[")
    with pytest.raises(RunDirectoryError, match="is not a run's configuration"):
        StoredRun(tmp_path)


@pytest.mark.parametrize("data", [{}, [], {"train": {"samples": 8}}])
def test_a_run_without_a_training_set_is_said(recorded, tmp_path, data):
    path = copied(recorded, tmp_path)
    content = json.loads((path / "config.json").read_text())
    content["config"]["data"] = data
    (path / "config.json").write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match=r"config.json names no training set: its data are [\[{]"):
        StoredRun(path)


@pytest.mark.parametrize("members", ["x", 0, None])
def test_members_that_are_no_number_are_said(recorded, tmp_path, members):
    path = copied(recorded, tmp_path)
    content = json.loads((path / "config.json").read_text())
    content["config"]["members"] = members
    (path / "config.json").write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match=f"config.json: members is {members!r}; it must be their number"):
        StoredRun(path)


def test_a_run_without_records_is_said(recorded, tmp_path):
    path = copied(recorded, tmp_path)
    shutil.rmtree(path / "logits.zarr")
    with pytest.raises(RunDirectoryError, match="nothing is recorded yet; start the run again"):
        StoredRun(path)


def test_a_damaged_store_is_said(recorded, tmp_path):
    path = copied(recorded, tmp_path)
    (path / "logits.zarr" / "zarr.json").write_bytes(b"")
    with pytest.raises(RunDirectoryError, match=r"logits.zarr cannot be read \("):
        StoredRun(path)


def test_without_parameters_the_way_to_have_them_is_said(checkpointed, tmp_path):
    path = copied(checkpointed, tmp_path)
    shutil.rmtree(path / "checkpoints")
    message = r"neither parameters nor checkpoints after step 0; train with .*snapshots=.*checkpoints_kept"
    with pytest.raises(RunDirectoryError, match=message):
        stored_steps(StoredRun(path))


def test_a_step_that_is_not_there_is_said(recorded):
    with pytest.raises(RunDirectoryError, match=r"has no parameters of step 2, only of \[0, 1, 4\]"):
        stored_parameters(StoredRun(recorded), SHAPE, 2)


def test_parameters_of_another_architecture_are_refused(recorded, checkpointed, tmp_path):
    with pytest.raises(RunDirectoryError, match=r"parameters.layers.3.weight has shape \(3, 10, 48\)"):
        stored_parameters(StoredRun(recorded), (6, 6, 1), 1)
    with pytest.raises(RunDirectoryError, match=r"checkpoint .*/1, for inputs of shape \(6, 6, 1\), cannot be"):
        stored_parameters(StoredRun(checkpointed), (6, 6, 1), 1)
    path = copied(recorded, tmp_path)
    content = json.loads((path / "config.json").read_text())
    content["config"]["architecture"]["layers"][0]["features"] = 4
    (path / "config.json").write_text(json.dumps(content))
    with pytest.raises(RunDirectoryError, match="not of the run's architecture"):
        stored_parameters(StoredRun(path), SHAPE, 1)


def test_a_damaged_checkpoint_is_named(checkpointed, tmp_path):
    path = copied(checkpointed, tmp_path)
    for file in (path / "checkpoints" / "4").rglob("*"):
        if file.is_file() and not file.name.startswith("_"):
            file.write_bytes(b"")
    with pytest.raises(RunDirectoryError, match=r"checkpoint .*/4, .*, cannot be read .*; remove it to do without"):
        stored_parameters(StoredRun(path), SHAPE, 4)


@dataclass(frozen=True)
class OwnOptimizer:
    """One that configuration files know nothing of."""

    def transformation(self, learning_rate):
        return optax.sgd(learning_rate)


def test_recipes_of_ones_own_need_snapshots(tmp_path):
    recipe = TrainingRecipe(0.1, OwnOptimizer())
    run = StoredRun(trained(tmp_path / "run", recipe=recipe))
    with pytest.raises(RunDirectoryError, match=r"checkpoints need the recipe, but .*OwnOptimizer.*Parameters"):
        stored_parameters(run, SHAPE, 4)
    with pytest.raises(ConfigError):
        _ = run.recipe
    recorded = StoredRun(with_parameters(tmp_path / "recorded", recipe=recipe))
    assert stored_steps(recorded) == list(STEPS)
    assert jax.tree.leaves(stored_parameters(recorded, SHAPE, 4))


def test_a_run_that_is_being_written_is_left_alone(recorded):
    config = StoredRun(recorded).record.to_json()
    with claim(recorded, config), pytest.raises(RunDirectoryError, match="still being written by another process"):
        reading(recorded).__enter__()
    with reading(recorded), reading(recorded), pytest.raises(RunDirectoryError, match="in use by another process"):
        claim(recorded, config).__enter__()


def test_sick_members_are_told(tmp_path):
    path = with_parameters(tmp_path / "run", recipe=TrainingRecipe((0.01, 1e30, 0.02), Adam(eps=1e-30)))
    run = StoredRun(path)
    with pytest.raises(SickMembersError, match=r"1 of 3 members .* \(members 1\)"):
        run.members("refuse")
    np.testing.assert_array_equal(run.members("exclude"), [True, False, True])
