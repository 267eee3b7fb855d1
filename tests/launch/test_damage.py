"""What interrupts and faults leave on disk: saves are never split, damage is passed over, the numbers end the same."""

import fcntl
import io
import json
import os
import shutil
import signal
import threading

import numpy as np
import pytest
from rich.console import Console

from tests.support.failed_loads import FAILED_LOADS
from tests.support.small_recipe import EXECUTION, Small
from widesym.ensembles import checkpoints
from widesym.ensembles.recorder import read_logits
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import claim
from widesym.launch.runs.interrupts import PreemptedError, raise_if_requested, stops_noted
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.training.execution import run_ensemble

CONSOLE = Console(quiet=True)

pytestmark = FAILED_LOADS


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    output = tmp_path_factory.mktemp("damage") / "whole"
    run_ensemble(Small().run, output, CONSOLE, EXECUTION)
    return output


@pytest.fixture
def stopped(whole, tmp_path):
    """The same run, stopped after its last checkpoint but one step before it is called finished."""
    shutil.copytree(whole, tmp_path / "run")
    (tmp_path / "run" / "finished.json").unlink()
    return tmp_path / "run"


def assert_ends_like(path, whole, console=CONSOLE):
    run_ensemble(Small().run, path, console, EXECUTION)
    for name, logits in read_logits(whole / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(path / "logits.zarr")[name], logits)
    assert read_metrics(path / "metrics.csv") == read_metrics(whole / "metrics.csv")
    assert (path / "finished.json").exists()


def damage(directory):
    """Every file of the checkpoint's arrays cut in half."""
    for file in (path for path in directory.rglob("*") if path.is_file() and "d" in path.parts[-2:][0]):
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def test_a_damaged_checkpoint_is_passed_over(stopped, whole):
    newest = checkpoints.saved_steps(stopped / "checkpoints")[-1]
    damage(stopped / "checkpoints" / str(newest))
    console = Console(file=io.StringIO())
    assert_ends_like(stopped, whole, console)
    said = " ".join(console.file.getvalue().split())
    assert f"checkpoints/{newest} cannot be read and is set aside" in said
    assert "resuming at step 4 of 8" in said


def test_without_its_logits_a_run_starts_again(stopped, whole):
    shutil.rmtree(stopped / "logits.zarr")
    assert_ends_like(stopped, whole)


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, PreemptedError)], ids=["ctrl-c", "term"]
)
def test_a_first_signal_is_noted_and_a_second_stops_at_once(number, stop):
    said, before = [], signal.getsignal(number)
    with stops_noted(said.append) as request:
        assert not request.made
        raise_if_requested(request.number)
        os.kill(os.getpid(), number)
        assert request.made
        assert said == ["stopping, once the state is saved; again to stop at once"]
        with pytest.raises(stop):
            raise_if_requested(request.number)
        with pytest.raises(stop):
            os.kill(os.getpid(), number)
    assert signal.getsignal(number) is before


def test_signals_are_the_main_threads(whole):
    """Elsewhere there is nothing to note, and nothing fails."""
    heard = []

    def work():
        with stops_noted(heard.append) as request:
            heard.append(request.made)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]


def test_a_claim_looks_again_once_it_has_the_lock(tmp_path, monkeypatch):
    """Between the first look and the lock another process may have run and gone."""

    def other_comes_first(*_):
        (tmp_path / "config.json").write_text('{"config": {"members": 4}}')

    monkeypatch.setattr(fcntl, "flock", other_comes_first)
    with pytest.raises(RunDirectoryError, match="members: 4 on disk, 5 asked for"), claim(tmp_path, {"members": 5}):
        pass


def test_data_are_described_by_where_they_come_from(whole):
    config = json.loads((whole / "config.json").read_text())["config"]
    assert "scikit-learn" in config["data"]["train"]["provenance"]
