"""Pools of workers: a device each, a log each, and an end that loses nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.sweeps import runs_by_changes, sweep_file
from widesym.ensembles.checkpoints import saved_steps
from widesym.launch.sweep.executors import pool as executors
from widesym.launch.sweep.executors.pool import Device, End, Pool, local_devices

ROOT = Path(__file__).parents[2]
HERE = frozenset(os.sched_getaffinity(0))


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A machine with so many cores and GPUs, which nvidia-smi lists."""

    def of(cores, gpus):
        monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(cores)))
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
        monkeypatch.delenv("JAX_PLATFORMS", raising=False)
        lister = tmp_path / "nvidia-smi"
        lines = "".join(f"echo 'GPU {gpu}: NVIDIA'\n" for gpu in range(gpus))
        lister.write_text(f"#!/bin/sh\n{lines}" if gpus else "#!/bin/sh\nexit 9\n")
        lister.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")

    return of


def test_each_core_is_a_device_where_there_is_no_gpu(machine):
    machine(3, 0)
    assert local_devices(None) == [Device(frozenset({core}), {}) for core in range(3)]
    assert [sorted(device.cores) for device in local_devices(2)] == [[0, 2], [1]]


def test_each_gpu_is_a_device(machine, monkeypatch):
    machine(4, 2)
    found = local_devices(None)
    assert [device.environment for device in found] == [{"CUDA_VISIBLE_DEVICES": "0"}, {"CUDA_VISIBLE_DEVICES": "1"}]
    assert [sorted(device.cores) for device in found] == [[0, 2], [1, 3]]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    assert [device.environment["CUDA_VISIBLE_DEVICES"] for device in local_devices(None)] == ["5", "7"]
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert [device.environment for device in local_devices(None)] == [{}] * 4


@pytest.mark.parametrize("workers", [0, 4])
def test_more_workers_than_devices_are_refused(machine, workers):
    machine(3, 0)
    with pytest.raises(ValueError, match=f"--workers is {workers}; there are 0 GPUs and 3 cores: 1 to 3, please"):
        local_devices(workers)


def pool(tmp_path, script, devices=2):
    def command(job):
        return [sys.executable, "-c", script, job, str(tmp_path)]

    return Pool([Device(HERE, {"PLACE": str(place)}) for place in range(devices)], command, tmp_path.joinpath)


def test_jobs_are_done_as_many_at_once_as_there_are_devices(tmp_path):
    """Each on a device of its own, with a log of its own."""
    script = (
        "import os, sys, time; from pathlib import Path\n"
        "mark = Path(sys.argv[2]) / f'device-{os.environ[\"PLACE\"]}'\n"
        "mark.touch(exist_ok=False); print(sys.argv[1], os.environ['PLACE']); time.sleep(0.2); mark.unlink()"
    )
    ended = {}
    pool(tmp_path, script).carry_out([f"job{number}" for number in range(6)], ended.__setitem__)
    assert ended == {f"job{number}": End() for number in range(6)}
    said = [(tmp_path / f"job{number}").read_text().split() for number in range(6)]
    assert [name for name, _ in said] == [f"job{number}" for number in range(6)]
    assert {place for _, place in said} == {"0", "1"}


def test_how_jobs_end_is_told(tmp_path):
    """By an error with what was said last, by a signal, or well."""
    script = (
        "import os, signal, sys\nprint('working')\n"
        "sys.argv[1] == 'error' and sys.exit('out of luck')\n"
        "sys.argv[1] == 'killed' and os.kill(os.getpid(), signal.SIGKILL)"
    )
    ended = {}
    pool(tmp_path, script).carry_out(["well", "error", "killed"], ended.__setitem__)
    assert ended["well"] == End()
    assert ended["error"] == End(f"out of luck (exit code 1); its log is {tmp_path / 'error'}")
    assert ended["killed"] == End(f"killed by signal 9; its log is {tmp_path / 'killed'}")


def test_interrupted_it_stops_its_workers_and_begins_no_more(tmp_path, monkeypatch):
    """The workers have their time to save: here half a second."""
    script = (
        "import signal, sys, time; from pathlib import Path\n"
        "def stop(*_): time.sleep(0.5); Path(sys.argv[2], 'saved-' + sys.argv[1]).touch(); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, stop); Path(sys.argv[2], 'begun-' + sys.argv[1]).touch(); time.sleep(60)"
    )
    stopped = pool(tmp_path, script)

    def interrupt(futures):
        while len(list(tmp_path.glob("begun-*"))) < 2:
            time.sleep(0.01)
        raise KeyboardInterrupt

    monkeypatch.setattr(executors, "as_completed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        stopped.carry_out(["0", "1", "2", "3"], {}.__setitem__)
    assert sorted(path.name for path in tmp_path.glob("saved-*")) == ["saved-0", "saved-1"]
    assert len(list(tmp_path.glob("begun-*"))) == 2
    assert not stopped.working


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 75), (signal.SIGINT, 130)], ids=["SIGTERM", "Ctrl-C"])
def test_a_sweep_that_is_told_to_end_saves_all_its_workers_have(tmp_path, number, code):
    """Long runs, told to end once both have begun to learn; the exit code says how."""
    file = sweep_file(tmp_path, base={"steps": 10**7, "records": 2}, product={"seed": [0, 1, 2]})
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "WIDESYM_CACHE": str(tmp_path / "cache")}
    options = ["--executor", "pool", "--workers", "2", "--checkpoint-seconds", "0"]
    launched = subprocess.Popen(
        [sys.executable, "-m", "widesym.launch", "sweep", str(file), "--output", str(tmp_path / "out"), *options],
        env={**environment, "JAX_PLATFORMS": "cpu"}, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    end = time.monotonic() + 240
    learning = []
    while len(learning) < 2 and time.monotonic() < end:
        time.sleep(0.2)
        learning = [path for path in (tmp_path / "out").glob("runs/*") if set(saved_steps(path / "checkpoints")) - {0}]
    before = {path: saved_steps(path / "checkpoints")[-1] for path in learning}
    launched.send_signal(number)
    said, _ = launched.communicate(timeout=120)
    assert launched.returncode == code, said
    assert "Go on with:" in said
    runs = runs_by_changes(tmp_path / "out").values()
    assert sum((run / "config.json").exists() for run in runs) == 2
    for path, step in before.items():
        assert saved_steps(path / "checkpoints")[-1] >= step
        assert "stopping, once the state is saved" in (tmp_path / "out" / "logs" / path.name / "log.txt").read_text()
