"""`widesym doctor DIR`: what is whole is called so, where it goes on is said, what cannot be read as a run is named."""

import os
import platform
import shutil
from dataclasses import dataclass

import numpy as np
import optax
import pytest

from tests.support.damaged_runs import RUN, edit, halve, only, problems, start_again, store, unlink, whole_run
from tests.support.failed_loads import FAILED_LOADS
from tests.support.stored_runs import trained
from widesym.ensembles import Adam, TrainingRecipe
from widesym.launch.integrity import run as examination
from widesym.launch.integrity.run import examine
from widesym.launch.runs.directory import Holder, claim, runs_within

pytestmark = FAILED_LOADS


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run, each member in a chunk of its own, with a checkpoint of every record."""
    return whole_run(tmp_path_factory.mktemp("doctor") / "run")


@pytest.fixture
def run(whole, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(whole, tmp_path / "run")


def test_a_whole_run_is_ok_and_nothing_is_changed(run, command):
    def state():
        return {path: (path.stat().st_mtime_ns, path.is_dir() or path.read_bytes()) for path in run.rglob("*")}

    before = state()
    code, text, _ = command("doctor", "run")
    assert code == 0
    assert text.startswith("run: whole; finished: 3 members, 3 times recorded ok .lock nobody writes here")
    for file in ("config.json", "data/0-train.npz", "data/1-test.npz", "logits.zarr", "metrics.csv", "checkpoints/4"):
        assert f"ok {file} " in text
    assert "problem" not in text
    assert "warning" not in text
    assert state() == before


@pytest.mark.parametrize(("kept", "step"), [((0, 1, 4), 4), ((0, 1), 1), ((), None)], ids=["all", "1", "none"])
def test_where_a_run_goes_on_is_said(run, command, whole, kept, step):
    """And so it does."""
    (run / "finished.json").unlink()
    for saved in {0, 1, 4} - {*kept}:
        shutil.rmtree(run / "checkpoints" / str(saved))
    code, text, _ = command("doctor", "run")
    assert code == 0
    assert "run: whole; not finished: 3 members, 3 times recorded; started again (" in text
    assert (f"it goes on at step {step} of 4" if kept else "it begins at step 0 of 4") in text
    said = start_again(run)
    assert ("resuming" in said) is bool(kept)
    if kept:
        assert f"resuming at step {step} of 4" in said
    np.testing.assert_array_equal(store(run)["logits"][:], store(whole)["logits"][:])
    assert not examine(run).damaged


def test_sick_members_are_no_damage(tmp_path, command):
    trained(tmp_path / "sick", recipe=TrainingRecipe((0.01, 1e30, 0.02), Adam(eps=1e-30)))
    code, text, _ = command("doctor", "sick")
    assert code == 0
    assert "sick: whole; finished: 3 members" in text
    assert "warning logits.zarr members 1 were not healthy at some time → read it with sick='exclude'" in text


CONFIGS = {
    "newer": (lambda file: edit(file, lambda found: found.update(schema=9)), "made by a newer widesym (schema 9, this"),
    "torn": (halve, "is not a run's configuration (JSONDecodeError"),
    "gone": (unlink, "is missing: nothing else says what was trained here"),
    "of others": (lambda file: edit(file, lambda found: found["config"].pop("seed")), "is not the directory of one"),
}


@pytest.mark.parametrize(("spoil", "detail"), CONFIGS.values(), ids=CONFIGS)
def test_a_configuration_that_cannot_be_read_is_said(run, command, spoil, detail):
    spoil(run / "config.json")
    code, text, _ = command("doctor", "run")
    assert code == 1
    assert "run: DAMAGED; not known problem config.json" in text
    assert detail in text


@dataclass(frozen=True)
class OwnOptimizer:
    """One that configuration files know nothing of."""

    def transformation(self, learning_rate):
        return optax.sgd(learning_rate)


def test_recipes_of_ones_own_are_no_damage(tmp_path):
    path = trained(tmp_path / "own", recipe=TrainingRecipe(0.1, OwnOptimizer()))
    found = problems(path)
    assert set(found) == {"config.json", *(f"checkpoints/{step}" for step in (0, 1, 4))}
    assert "OwnOptimizer" in found["config.json"].detail
    assert not examine(path).damaged


@pytest.mark.parametrize("content", ["{", "[]", '{"sha256": 5}'])
def test_an_end_that_cannot_be_read_is_named(run, content):
    (run / "finished.json").write_text(content)
    check = only(run)
    assert check[:2] == ("finished.json", "problem")
    assert check.remedy == f"remove {run / 'finished.json'} and start the run again, which writes it anew"
    (run / "finished.json").unlink()
    start_again(run)
    assert not problems(run)


def test_a_run_under_way_is_left_alone(run, command):
    """Half of a chunk is no damage while it is being written."""
    halve(run / "logits.zarr" / "logits" / "c.2.1.0.0")
    with claim(run, RUN.config):
        code, text, _ = command("doctor", "run")
    assert code == 0
    assert f"run: whole; being written by process {os.getpid()} on {platform.node()} (since " in text
    assert command("doctor", "run")[0] == 1


def test_runs_are_found_however_deep(run, whole, tmp_path, command):
    deep = shutil.copytree(whole, tmp_path / "sweep" / "a" / "deep")
    shutil.copytree(whole, deep / "ntk" / "within")
    shutil.copytree(whole, deep / "tensorboard" / "no place for runs")
    shutil.copytree(whole, tmp_path / "sweep" / ".b.new")  # that is being put together
    (tmp_path / "sweep" / "config.json").write_text("{}")
    shutil.copytree(whole / "checkpoints", tmp_path / "killed" / "checkpoints")
    shutil.copy(whole / "config.json", tmp_path / "killed")
    halve(run / "logits.zarr" / "logits" / "c.2.1.0.0")
    found = [str(path.relative_to(tmp_path)) for path in runs_within(tmp_path)]
    assert found == ["killed", "run", "sweep/a/deep", "sweep/a/deep/ntk/within"]
    code, text, _ = command("doctor", ".")
    assert code == 1
    assert "sweep/a/deep: whole; finished: 3 members, 3 times recorded sweep/a/deep/ntk/within: whole;" in text
    assert "killed: whole; not finished: 3 members, 0 times recorded;" in text
    assert "it begins at step 0 of 4" in text  # checkpoints are of no use without the records before them
    assert text.endswith("4 runs, 1 damaged")


@pytest.mark.parametrize(("name", "said"), [("none", "there is no directory none"), (".", ". holds no runs: nothing")])
def test_without_runs_it_exits_with_2(command, name, said):
    code, text, error = command("doctor", name)
    assert (code, text) == (2, "")
    assert said in error


def test_what_began_meanwhile_is_left_alone(run, monkeypatch):
    """Files that change while they are looked at are not judged."""
    halve(run / "logits.zarr" / "logits" / "c.2.1.0.0")
    began = iter((None, Holder("node7", 1234, "now")))
    monkeypatch.setattr(examination, "holder", lambda path: next(began))
    found = examine(run)
    assert found.state == "being written by process 1234 on node7 (since now)"
    assert not found.damaged
