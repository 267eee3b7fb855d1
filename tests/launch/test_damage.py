"""What interrupts and faults leave on disk: saves are never split, damage is passed over, the numbers end the same."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
from rich.console import Console
from small_recipe import Small

from ensembles import checkpoints
from ensembles.recorder import read_logits
from launch import run_directory, runner
from launch.interrupts import interrupts_deferred
from launch.run_directory import RunDirectoryError, claim
from launch.runner import run_ensemble

CONSOLE = Console(quiet=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    output = tmp_path_factory.mktemp("damage") / "whole"
    run_ensemble(Small().run, output, CONSOLE)
    return output


@pytest.fixture
def stopped(whole, tmp_path):
    """The same run, stopped after its last checkpoint but one step before it is called finished."""
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "finished.json").unlink()
    return tmp_path / "run"


def assert_ends_like(path, whole):
    run_ensemble(Small().run, path, CONSOLE)
    for name, logits in read_logits(whole / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(path / "logits.zarr")[name], logits)
    assert (path / "finished.json").exists()


def damage(directory):
    """Every file of the checkpoint's arrays cut in half."""
    for file in (path for path in directory.rglob("*") if path.is_file() and "d" in path.parts[-2:][0]):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_a_damaged_checkpoint_is_passed_over(stopped, whole):
    newest = checkpoints.saved_steps(stopped / "checkpoints")[-1]
    damage(stopped / "checkpoints" / str(newest))
    with pytest.warns(UserWarning, match=f"checkpoints/{newest} cannot be read and is set aside"):
        assert_ends_like(stopped, whole)


def test_without_its_logits_a_run_starts_again(stopped, whole):
    shutil.rmtree(stopped / "logits.zarr")
    assert_ends_like(stopped, whole)


def test_an_interrupt_does_not_split_a_save(whole, tmp_path, monkeypatch):
    save, saved = checkpoints.save, []

    def interrupted_save(directory, step, state):
        os.kill(os.getpid(), signal.SIGINT)
        save(directory, step, state)
        saved.append(step)

    with monkeypatch.context() as patch:
        patch.setattr(runner.checkpoints, "save", interrupted_save)
        with pytest.raises(KeyboardInterrupt):
            run_ensemble(Small().run, tmp_path / "run", CONSOLE)
    assert saved[0] == 0  # the save went on to its end
    assert checkpoints.saved_steps(tmp_path / "run" / "checkpoints") == [0]
    assert_ends_like(tmp_path / "run", whole)


def test_deferred_interrupts_come_at_the_end_and_once():
    done = []

    def work():
        with interrupts_deferred():
            os.kill(os.getpid(), signal.SIGINT)
            done.append("inside")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["inside"]
    with interrupts_deferred():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_claim_looks_again_once_it_has_the_lock(tmp_path, monkeypatch):
    """Between the first look and the lock another process may have run and gone."""

    def other_comes_first(*_):
        run_directory.write_json(tmp_path / "config.json", {"config": {"members": 4}})

    monkeypatch.setattr(run_directory.fcntl, "flock", other_comes_first)
    with pytest.raises(RunDirectoryError, match="members: 4 on disk, 5 asked for"), claim(tmp_path, {"members": 5}):
        pass


def test_data_are_described_by_where_they_come_from(whole):
    config = json.loads((whole / "config.json").read_text())["config"]
    assert "scikit-learn" in config["data"]["train"]["provenance"]
