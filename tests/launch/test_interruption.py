"""Runs that are interrupted, killed at any point, or met by another process: they end with the same numbers."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.support.faulty import raising
from tests.support.small_recipe import EXECUTION, Small
from widesym.ensembles import trainer
from widesym.ensembles.checkpoints import saved_steps
from widesym.ensembles.recorder import read_logits
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs import records as records
from widesym.launch.runs.directory import claim
from widesym.launch.runs.interrupts import PreemptedError
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.training import execution
from widesym.launch.training.execution import run_ensemble

ROOT = Path(__file__).parents[2]
CONSOLE = Console(quiet=True)


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


def assert_same(found, expected):
    """Logits bit for bit, metrics, and finished."""
    for name, logits in read_logits(expected / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(found / "logits.zarr")[name], logits)
    assert read_metrics(found / "metrics.csv") == read_metrics(expected / "metrics.csv")
    assert (found / "finished.json").exists()


@pytest.fixture
def short_calls(monkeypatch):
    """One step a call."""
    monkeypatch.setattr(trainer, "SECONDS_A_CALL", 0.0)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "run"
    run_ensemble(Small().run, output, CONSOLE, EXECUTION)
    return output


@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
@pytest.mark.parametrize(
    ("stage", "call"),
    [
        ("create_store", 1),
        ("write_record", 1),
        ("write_record", 3),
        ("add_rows", 1),
        ("add_rows", 3),
        ("Checkpoints.save", 1),
        ("Checkpoints.save", 3),
        ("write_json", 1),  # finished.json
    ],
)
def test_killed_at_any_stage(short_calls, uninterrupted, tmp_path, monkeypatch, stage, call, before):
    module = {"Checkpoints.save": execution.Checkpoints, "write_record": records, "add_rows": records}.get(
        stage, execution
    )
    name = stage.rpartition(".")[2]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, raising(getattr(module, name), Killed, call, before))
        with pytest.raises(Killed):
            run_ensemble(Small().run, tmp_path / "run", CONSOLE, EXECUTION)
    run_ensemble(Small().run, tmp_path / "run", CONSOLE, EXECUTION)
    assert_same(tmp_path / "run", uninterrupted)


def signalled(number, call):
    """Trainer.advance, but the process gets a signal in its n-th call."""
    calls, advance = 0, trainer.Trainer.advance

    def wrapped(*arguments):
        nonlocal calls
        calls += 1
        if calls == call:
            signal.raise_signal(number)
        return advance(*arguments)

    return wrapped


@pytest.mark.parametrize(
    ("number", "stop"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, PreemptedError)], ids=["ctrl-c", "term"]
)
@pytest.mark.parametrize("call", [1, 3, 4, 8])
def test_a_signal_leaves_a_checkpoint_of_its_step(
    short_calls, uninterrupted, tmp_path, monkeypatch, call, number, stop
):
    """In the first call, between records, at a record, and at the end of training."""
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "advance", signalled(number, call))
        with pytest.raises(stop):
            run_ensemble(Small().run, tmp_path / "run", CONSOLE, EXECUTION)
    reached = call  # the step that the call came to
    assert saved_steps(tmp_path / "run" / "checkpoints")[-1] == reached
    assert not (tmp_path / "run" / "finished.json").exists()
    told = []
    monkeypatch.setattr(execution, "train", lambda *arguments: told.append(arguments[4]) or trainer.train(*arguments))
    run_ensemble(Small().run, tmp_path / "run", CONSOLE, EXECUTION)
    assert told[0][1] == reached
    assert_same(tmp_path / "run", uninterrupted)


def test_checkpoints_are_nothing_without_the_logits_before_them(short_calls, uninterrupted, tmp_path, monkeypatch):
    """Started again and interrupted, a run goes on from its own checkpoint, not from one that was there before."""
    shutil.copytree(uninterrupted, tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "logits.zarr")
    (tmp_path / "run" / "finished.json").unlink()
    with monkeypatch.context() as patch:
        patch.setattr(trainer.Trainer, "advance", signalled(signal.SIGINT, 3))
        with pytest.raises(KeyboardInterrupt):
            run_ensemble(Small().run, tmp_path / "run", CONSOLE, EXECUTION)
    run_ensemble(Small().run, tmp_path / "run", CONSOLE, EXECUTION)
    assert_same(tmp_path / "run", uninterrupted)


@pytest.fixture
def start(tmp_path):
    """Start the command in a process of its own; whatever still runs after the test is killed."""
    started = []

    def start(recipe):
        command = [sys.executable, Path(__file__).parents[1] / "support" / "small_recipe.py", "reproduce", "small"]
        options = ["--steps", str(recipe.steps), "--members", str(recipe.members), "--output", recipe.output]
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "WIDESYM_CACHE": str(tmp_path / "cache")}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([*command, *options], env=environment, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(step, recipe, process):
    """Until the checkpoint of that step is on disk."""
    while not (recipe.output / "checkpoints" / str(step)).exists():
        assert process.poll() is None, f"ended early: {process.communicate()}"
        time.sleep(0.02)


def interrupt(recipe, process, number=signal.SIGINT, code=130):
    """A signal in the first half of training: says how to go on, and keeps what was reached."""
    wait_for(2, recipe, process)
    process.send_signal(number)
    output, error = process.communicate(timeout=60)
    assert process.returncode == code, error
    assert "stopping, once the state is saved" in output
    assert "interrupted; finished and recorded work is kept. Go on with: " in error
    assert f"reproduce small --steps {recipe.steps}" in error
    assert "Traceback" not in error
    reached = saved_steps(recipe.output / "checkpoints")[-1]
    assert 2 <= reached < recipe.steps // 2
    return reached


def finish(recipe, process, reached):
    """Wait for the end of a run that goes on from a checkpoint."""
    output, error = process.communicate(timeout=120)
    assert process.returncode == 0, error
    assert f"resuming at step {reached} of {recipe.steps}" in output


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 75)], ids=["ctrl-c", "term"])
def test_interrupted_then_finished(tmp_path, start, number, code):
    """By a real signal, beside a whole run on the same devices."""
    recipe = Small(steps=16_000, members=7, output=tmp_path / "run")
    config, process = recipe.run.config, start(recipe)  # its data take as long to load as some training
    wait_for(2, recipe, process)
    with pytest.raises(RunDirectoryError, match="in use by another process"):
        claim(recipe.output, config).__enter__()
    reached = interrupt(recipe, process, number, code)
    process = start(recipe)
    whole = Small(steps=16_000, members=7, output=tmp_path / "whole")
    assert start(whole).wait(timeout=120) == 0
    finish(recipe, process, reached)
    assert_same(recipe.output, whole.output)


@pytest.mark.slow
def test_interrupted_then_killed_then_finished(tmp_path, start):
    """On as many devices as there are cores, beside a run that nothing disturbs."""
    recipe, undisturbed = (Small(steps=40_000, output=tmp_path / name) for name in ("run", "whole"))
    beside, process = start(undisturbed), start(recipe)
    interrupt(recipe, process)
    process = start(recipe)
    wait_for(recipe.steps // 2, recipe, process)
    process.kill()
    process.communicate(timeout=60)
    assert not (recipe.output / "finished.json").exists()
    finish(recipe, start(recipe), reached=recipe.steps // 2)
    assert beside.wait(timeout=120) == 0
    assert_same(recipe.output, undisturbed.output)
