"""How runs stand: from locks and heartbeats, whatever clocks say; and the table that shows it."""

import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from rich.console import Console
from test_sweep import swept

from tests.support.sweeps import plan_of, runs_by_changes, sweep_file
from widesym.launch.commands.status import StatusCommand
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs import heartbeat
from widesym.launch.runs.directory import claim
from widesym.launch.runs.failures import failure_in, note_failure
from widesym.launch.runs.heartbeat import Pulse, beating, read_heartbeat
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.states import job_states

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Three runs, each finished as one job."""
    folder = tmp_path_factory.mktemp("done")
    swept(sweep_file(folder, product={"seed": [0, 1, 2]}), folder / "out")
    return folder / "out"


@pytest.fixture
def unfinished(done, tmp_path):
    """The same without ends: the directory, and its jobs with their runs."""
    shutil.copytree(done, tmp_path / "out")
    for end in (tmp_path / "out" / "runs").glob("*/finished.json"):
        end.unlink()
    return SweepDirectory(tmp_path / "out"), plan_of(tmp_path / "out")["jobs"]


def shown(path, width=160, **options):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    StatusCommand(path, once=True, **options).run(console)
    return console.file.getvalue()


def written_elsewhere(directory, name, host="elsewhere"):
    """As if another host had written the heartbeat."""
    beat = read_heartbeat(directory.run(name))
    (directory.run(name) / "heartbeat.json").write_text(json.dumps(beat._replace(host=host)._asdict()))


def test_who_holds_the_lock_is_running_and_who_was_killed_is_stale(unfinished):
    """A process of its own, killed: its lock goes with it, and what it wrote stays."""
    directory, jobs = unfinished
    name = next(iter(jobs))
    code = (
        "import sys, time; from pathlib import Path; from widesym.launch.runs.directory import claim; import json\n"
        "path = Path(sys.argv[1]); config = json.loads((path / 'config.json').read_text())['config']\n"
        "with claim(path, config): print('held', flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(directory.run(name))],
        stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout.readline() == b"held\n"
    assert job_states(directory, jobs)[name].state == "running"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert {each.state for each in job_states(directory, jobs).values()} == {"stale"}


@pytest.mark.parametrize("jump", [-86400.0, 86400.0], ids=["back a day", "forth a day"])
def test_clocks_that_jump_change_nothing(unfinished, monkeypatch, jump):
    """A heart that beats elsewhere is seen to, and one that does not is not, whatever clocks and files' times say."""
    directory, jobs = unfinished
    monkeypatch.setattr(heartbeat, "SECONDS_BETWEEN_BEATS", 0.05)
    alive, dead, here = jobs
    for name in (alive, dead):
        written_elsewhere(directory, name)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + jump)
    monkeypatch.setattr(heartbeat.socket, "gethostname", lambda: "elsewhere")
    with beating(directory.run(alive), Pulse(3, 6)):
        monkeypatch.setattr("widesym.launch.sweep.states.socket.gethostname", lambda: "here")
        stamp = now() - jump
        for name in jobs:
            os.utime(directory.run(name) / "heartbeat.json", (stamp, stamp))
        written_elsewhere(directory, here, "here")
        found = job_states(directory, jobs)
    assert {name: job_state.state for name, job_state in found.items()} == {
        alive: "running",
        dead: "stale",
        here: "stale",
    }


def test_a_heart_goes_on_counting_in_the_next_session(unfinished):
    """So that a change of the count is always somebody's life."""
    directory, jobs = unfinished
    path = directory.run(next(iter(jobs)))
    before = read_heartbeat(path)
    pulse = Pulse(3, 6)
    with beating(path, pulse):
        pulse.begin(2)
        pulse.step = 4
    after = read_heartbeat(path)
    assert after.beat >= before.beat + 2
    assert (after.step, after.steps, after.members, after.pid) == (4, 6, 3, os.getpid())
    assert after.seconds_left == pytest.approx(3 * 2 / after.rate)


def test_a_run_that_fails_is_told_and_tried_again_on_request(tmp_path):
    """Its members diverge; the others of the same job do not."""
    rates = {"recipe.learning_rate": [0.1, 1e30]}
    file = sweep_file(tmp_path, product=rates)
    said = swept(file, tmp_path / "out", code=1)
    assert "1 of 2 runs finished" in said
    assert "failed: DivergedError: no member's numbers are finite" in said
    bad = runs_by_changes(tmp_path / "out")[("1e+30",)]
    assert "DivergedError" in failure_in(bad)
    assert "failed" in shown(tmp_path / "out")
    assert "DivergedError: no member's numbers are finite" in " ".join(shown(tmp_path / "out").split())
    before = (bad / "failed.json").stat().st_mtime_ns
    swept(file, tmp_path / "out", code=1)  # not tried
    assert (bad / "failed.json").stat().st_mtime_ns == before
    swept(file, tmp_path / "out", code=1, retry_failed=True)
    assert (bad / "failed.json").stat().st_mtime_ns > before


def test_what_keeps_a_run_from_being_written_is_told(tmp_path, monkeypatch):
    """A disk that is full while one run is recorded: the others finish, and with space so does it."""
    written = []

    def full(path, *arguments):
        written.append(path)
        if len(written) == 2:
            raise OSError(28, "No space left on device")
        return original(path, *arguments)

    from widesym.launch.runs import records as moments

    original = moments.write_record
    monkeypatch.setattr(moments, "write_record", full)
    file = sweep_file(tmp_path, product={"seed": [0, 1]})
    said = swept(file, tmp_path / "out", code=1)
    assert "failed: OSError: [Errno 28] No space left on device" in said
    assert "1 of 2 runs finished" in said
    assert "2 of 2 runs finished" in swept(file, tmp_path / "out", retry_failed=True)


def test_a_job_that_another_process_is_at_is_left_to_it(unfinished, monkeypatch):
    """Waited for, and taken over when it is left undone."""
    directory, jobs = unfinished
    name = next(iter(jobs))
    config = json.loads((directory.run(name) / "config.json").read_text())["config"]
    held = claim(directory.run(name), config)
    held.__enter__()
    looks = []

    def leave(seconds):
        looks.append(seconds)
        held.__exit__(None, None, None)

    monkeypatch.setattr("widesym.launch.sweep.launcher.time", SimpleNamespace(sleep=leave))
    said = swept(sweep_file(directory.path.parent, product={"seed": [0, 1, 2]}), directory.path)
    assert "waiting for 1 jobs that other processes are at" in said
    assert len(looks) == 1
    assert "3 of 3 runs finished" in said


def test_the_table_names_runs_and_states(unfinished):
    directory, jobs = unfinished
    finished, stale, waiting = jobs
    (directory.run(finished) / "finished.json").write_text("{}")
    shutil.rmtree(directory.run(waiting))
    said = shown(directory.path)
    assert "3 runs: 1 finished, 1 waiting, 1 stale" in said
    row = next(line for line in said.splitlines() if stale in line)
    assert "seed=1" in row
    assert "6/6" in row
    assert f"process {os.getpid()} on" in row


def test_any_run_directories_can_be_looked_at(unfinished):
    """One, or all that a directory holds."""
    directory, jobs = unfinished
    said = shown(directory.path / "runs")
    assert "3 runs: 3 stale" in said
    assert all(name in said for name in jobs)
    assert "1 runs: 1 stale" in shown(directory.run(next(iter(jobs))))


def test_where_there_are_no_runs_that_is_told(tmp_path):
    with pytest.raises(RunDirectoryError, match="there is no directory"):
        StatusCommand(tmp_path / "none").run(Console(file=io.StringIO()))
    with pytest.raises(RunDirectoryError, match="holds no runs"):
        StatusCommand(tmp_path).run(Console(file=io.StringIO()))


def test_loss_and_accuracy_are_of_the_last_record(done):
    """Medians of members, by NumPy, in JSON and to three digits in the table."""
    rows = json.loads(shown(done, json=True))
    assert [(row["label"], row["state"]) for row in rows] == [(f"seed={seed}", "finished") for seed in range(3)]
    table = shown(done)
    for row in rows:
        with xr.open_zarr(done / "runs" / row["run"] / "logits.zarr") as store:
            loss, accuracy = (float(np.median(store[name].values[-1])) for name in ("loss", "accuracy"))
        assert (row["loss"], row["accuracy"]) == (loss, accuracy)
        (line,) = [line for line in table.splitlines() if row["run"] in line]
        assert f"{loss:.3g}" in line.split()
        assert f"{accuracy:.3g}" in line.split()


def test_only_runs_of_some_states_are_shown(unfinished, command):
    directory, jobs = unfinished
    finished, failed, stale = jobs
    (directory.run(finished) / "finished.json").write_text("{}")
    note_failure(directory.run(failed), ValueError("too much"))
    names = [row["run"] for row in json.loads(shown(directory.path, json=True, only=("failed", "stale")))]
    assert names == [failed, stale]
    code, said, error = command("status", str(directory.path), "--only", "failed", "stale")
    assert (code, error) == (0, "")
    assert "2 runs: 1 stale, 1 failed" in said
    assert finished not in said
    assert "there are no such runs" in command("status", str(directory.path), "--only", "running")[1]
    code, _, error = command("status", str(directory.path), "--only", "broken")
    assert (code, "invalid choice" in error) == (2, True)


def test_the_table_fits_80_columns(unfinished):
    """Without a column for it, why a run has failed stands below."""
    directory, jobs = unfinished
    (directory.run(next(iter(jobs))) / "heartbeat.json").unlink()
    note_failure(directory.run(next(iter(jobs))), ValueError("the reason"))
    said = shown(directory.path, width=80)
    assert max(map(len, said.splitlines())) <= 80
    assert f"failed: {next(iter(jobs))}: ValueError: the reason" in said
    assert "6/6" in said
    assert "member-" not in said
