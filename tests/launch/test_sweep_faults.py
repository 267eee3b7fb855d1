"""Workers and launchers killed, two launchers at once, disks that are full or locked, clocks that jump: the sweep goes
on, and ends with the results of an undisturbed one, bit for bit.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_sweep import assert_same_run

from tests.support.sweeps import plan_of, runs_by_changes, sweep_file

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).parents[1] / "support" / "sweep_faults.py"
KILLS = 30


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Of processes: one cache of programs for all."""
    cache = tmp_path_factory.getbasetemp() / "sweep-cache"
    return {**os.environ, "PYTHONPATH": str(ROOT), "WIDESYM_CACHE": str(cache), "JAX_PLATFORMS": "cpu"}


def command(file, output, *options):
    return [sys.executable, "-m", "widesym.launch", "sweep", str(file), "--output", str(output), *options]


def finished(environment, file, output, *options, code=0):
    """What the command says."""
    done = subprocess.run(command(file, output, *options), env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def of_24_runs(folder):
    """Ranges, folds and single runs, 32 jobs; long enough to be hit while they train."""
    return sweep_file(
        folder, base={"steps": 400, "records": 30, "members": 4},
        product={"recipe.learning_rate": [0.05, 0.1, 0.2], "seed": [0, 1, 2, 3]},
        points=[{}, {"members": 12, "recipe.batches": {"type": "IndependentDraws", "size": 6}}], members_a_job=8,
    )  # fmt: skip


def assert_same_sweep(found, expected):
    runs, others = runs_by_changes(found), runs_by_changes(expected)
    assert {path.name for path in runs.values()} == {path.name for path in others.values()}
    for key, path in runs.items():
        assert_same_run(path, others[key])
    assert not list((found / "parts").iterdir())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("undisturbed")
    finished(environment, of_24_runs(folder), folder / "out")
    assert len(plan_of(folder / "out")["runs"]) == 24
    return folder / "out"


@pytest.mark.slow
def test_workers_and_launchers_killed(undisturbed, tmp_path, environment):
    """SIGKILL at random moments, 30 times; then the same command ends with the same results."""
    arguments = [of_24_runs(tmp_path), tmp_path / "out", KILLS, 0]
    done = subprocess.run(
        [sys.executable, str(FAULTS), *map(str, arguments)],
        env=environment, capture_output=True, text=True, timeout=3000,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *kills, end = map(json.loads, done.stdout.splitlines())
    print(kills, end)
    assert len(kills) == KILLS
    assert {each["killed"] for each in kills} == {"worker", "launcher"}
    assert sum(each["training"] for each in kills) > 3
    assert sum(each["gathering"] for each in kills) > 0
    assert end["finished runs"] == 24
    assert end["codes"][-1] == 0
    assert_same_sweep(tmp_path / "out", undisturbed)


@pytest.mark.slow
def test_two_launchers_at_once(undisturbed, tmp_path, environment):
    """Each job is done by one of them, and both wait for all."""
    file, output = of_24_runs(tmp_path), tmp_path / "out"
    launchers = [
        subprocess.Popen(command(file, output, "--executor", "pool", "--workers", "2"), env=environment,
                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]  # fmt: skip
    said = [launched.communicate(timeout=1500)[0] for launched in launchers]
    assert [launched.returncode for launched in launchers] == [0, 0], said
    assert all("24 of 24 runs finished" in each for each in said)
    assert_same_sweep(output, undisturbed)
