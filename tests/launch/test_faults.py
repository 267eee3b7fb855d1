"""Killed at any moment, or out of disk space: the run goes on, and ends with the numbers of an undisturbed one."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from widesym.ensembles.recorder import read_logits
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.disk import bytes_text
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.training.execution import run_ensemble

ROOT = Path(__file__).parents[2]
FAULTS = Path(__file__).parents[1] / "support" / "faults.py"


def run_faults(tmp_path_factory, *arguments, before=()):
    """What the script prints."""
    cache = tmp_path_factory.getbasetemp() / "faults-cache"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WIDESYM_CACHE": str(cache), "JAX_PLATFORMS": "cpu"}
    command = [*before, sys.executable, str(FAULTS), *map(str, arguments)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "run"
    assert run_faults(tmp_path_factory, "kill", output, 0) == [{"finished": True}]
    return output


def assert_same(found, expected):
    """Every array of the store bit for bit, and the metrics."""
    for name, logits in read_logits(expected / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(found / "logits.zarr")[name], logits)
    assert read_metrics(found / "metrics.csv") == read_metrics(expected / "metrics.csv")
    assert not list((found / "checkpoints").glob("*.unreadable"))


@pytest.mark.slow
@pytest.mark.parametrize("tries", [4, 20])
def test_killed_again_and_again(undisturbed, tmp_path_factory, tries):
    """While it starts and compiles, between calls, during writes of the store, and during checkpoints."""
    output = tmp_path_factory.mktemp("killed") / "run"
    *killed, finished = run_faults(tmp_path_factory, "kill", output, tries)
    print(json.dumps(killed))
    assert len(killed) == tries
    assert all(each["killed"] for each in killed)
    assert killed[0]["at"] == "start"
    assert any(each["in checkpoint"] for each in killed)
    assert len({each["step"] for each in killed}) > 1
    assert finished == {"finished": True}
    assert_same(output, undisturbed)


@pytest.fixture
def small_disk(tmp_path):
    """A directory, and what to put before a command so that a file system of 4 MiB is mounted there for it."""
    mount = 'mount -t tmpfs -o size=4m none "$0" && exec "$@"'
    for flags in (["-m"], ["-rm"]):  # the administrator's right, or that of a namespace of one's own
        command = ["unshare", *flags, "sh", "-c", mount, str(tmp_path)]
        if subprocess.run([*command, "true"], capture_output=True).returncode == 0:
            return tmp_path, command
    pytest.skip("no file system can be mounted here, neither as root nor in a user namespace")


@pytest.mark.slow
def test_a_disk_that_fills_up(undisturbed, tmp_path_factory, small_disk):
    """Before a record is written, and before a checkpoint: told, and with space again it goes on."""
    directory, command = small_disk
    logits = tmp_path_factory.mktemp("logits") / "found.npy"
    record, checkpoint = run_faults(tmp_path_factory, "full", directory / "run", logits, before=command)
    for stopped in (record, checkpoint):  # after the disk is full, the next to write hears of it
        assert "No space left on device" in stopped["error"] or stopped["error"].startswith("CheckpointError")
    expected = read_logits(undisturbed / "logits.zarr")
    np.testing.assert_array_equal(np.load(logits), np.concatenate(list(expected.values()), axis=2))


def test_a_run_that_the_disk_has_no_space_for(tmp_path, monkeypatch):
    from tests.support.faults import the_run

    said = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr("widesym.launch.runs.disk.shutil.disk_usage", lambda path: type("Usage", (), {"free": 5000})())
    with pytest.raises(RunDirectoryError, match=r"may grow to .*, but the disk has 4.88 KiB left; record fewer"):
        run_ensemble(the_run(), tmp_path / "run", said)
    assert "takes about" in said.file.getvalue()
    assert not (tmp_path / "run" / "logits.zarr").exists()


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 B"), (1023, "1.02e+03 B"), (1536, "1.5 KiB"), (3 * 2**40, "3 TiB")]
)
def test_sizes_are_for_people(number, text):
    assert bytes_text(number) == text
