"""What is asked of SLURM, by scripts that stand in for its commands, and what is refused before."""

import sys

import pytest

from tests.support.work import Train
from widesym.launch.errors import SlurmError
from widesym.launch.sweep.executors.slurm.array import SlurmOptions, submit
from widesym.launch.sweep.executors.slurm.queue import queued


@pytest.fixture
def commands(tmp_path, monkeypatch):
    """SLURM's commands, which only say what they are given: sets what one does."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def command(name, script):
        (folder / name).write_text(f"#!/bin/sh\n{script}\n")
        (folder / name).chmod(0o755)

    for name, script in {"srun": "", "squeue": "", "sbatch": "echo Submitted batch job 41"}.items():
        command(name, script)
    return command


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"minutes": 0}, "minutes is 0; it must be positive"),
        ({"minutes": 3, "save_seconds": 61}, "minutes is 3, which save_seconds 61 leave no work"),
        ({"nodes": 0}, "nodes is 0; it must be positive"),
        ({"tasks_per_node": -1}, "tasks_per_node is -1; it must be positive"),
        ({"cpus_per_task": 0}, "cpus_per_task is 0; it must be positive"),
        ({"memory_gib": float("nan")}, "memory_gib is nan; it must be positive"),
        ({"jobs_at_once": 0}, "jobs_at_once is 0; it must be positive"),
        ({"time_limits": -1}, "time_limits is -1; it must be zero or positive"),
        ({"gpus_per_node": -1}, "gpus_per_node is -1; it must be zero or positive"),
        ({"gpus_per_node": 3, "tasks_per_node": 2}, "gpus_per_node is 3, which 2 tasks_per_node cannot share"),
        ({"sbatch": ("--exclusive",)}, "sbatch option '--exclusive'; it must look like"),
        ({"sbatch": ("=3",)}, "sbatch option '=3'; it must look like"),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else None,
)
def test_options_that_cannot_be_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        SlurmOptions(**fields)


def script_lines(folder, options, jobs=("a", "b", "c")):
    """The lines of what sbatch is handed."""
    job_ids = submit(Train(folder), jobs, folder / "slurm", options)
    (script,) = (folder / "slurm").glob("*_submission.sh")
    return job_ids, script.read_text().splitlines()


def test_every_option_reaches_sbatch(commands, tmp_path):
    options = SlurmOptions(
        partition="gpu", minutes=90, save_seconds=200, nodes=2, tasks_per_node=4, gpus_per_node=8, cpus_per_task=6,
        memory_gib=1.5, jobs_at_once=2, account="us", qos="low", name="sweep", setup=("module load cuda",),
        sbatch=("reservation=course", "exclusive"),
    )  # fmt: skip
    job_ids, lines = script_lines(tmp_path, options)
    assert job_ids == ["41_0", "41_1", "41_2"]
    found = {line.removeprefix("#SBATCH --") for line in lines if line.startswith("#SBATCH")}
    expected = {
        "partition=gpu", "time=90", "signal=USR2@200", "nodes=2", "ntasks-per-node=4", "gpus-per-node=8",
        "cpus-per-task=6", "mem=1536M", "array=0-2%2", "account=us", "qos=low", "job-name=sweep",
        "reservation=course", "exclusive", "requeue", "open-mode=append",
    }  # fmt: skip
    assert expected <= found
    assert "module load cuda" in lines
    (step,) = [line for line in lines if line.startswith("srun")]
    assert "--kill-on-bad-exit=1 --cpus-per-task=6 " in step


def test_what_is_not_said_is_left_to_the_cluster(commands, tmp_path):
    job_ids, lines = script_lines(tmp_path, SlurmOptions(), jobs=("a",))
    assert job_ids == ["41"]
    named = {line.removeprefix("#SBATCH --").split("=")[0] for line in lines if line.startswith("#SBATCH")}
    assert not named & {"partition", "gpus-per-node", "cpus-per-task", "mem", "account", "qos", "array"}
    assert not any("--cpus-per-task" in line for line in lines)


@pytest.mark.parametrize("jobs", [(), ("a", "a")], ids=["none", "twice"])
def test_odd_jobs_are_refused(commands, tmp_path, jobs):
    with pytest.raises(ValueError, match="there must be at least one, and each only once"):
        submit(Train(tmp_path), jobs, tmp_path / "slurm", SlurmOptions())
    assert not (tmp_path / "slurm").exists()


def test_without_submitit_the_extra_is_named(commands, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(SlurmError, match=r"need submitit: pip install 'widesym\[slurm\]'"):
        submit(Train(tmp_path), ["a"], tmp_path, SlurmOptions())


def test_without_slurm_the_commands_are_named(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    for asked in (lambda: submit(Train(tmp_path), ["a"], tmp_path, SlurmOptions()), lambda: queued(["1"])):
        with pytest.raises(SlurmError, match="sbatch, srun, squeue not found: submit from a machine of a SLURM"):
            asked()


def test_what_sbatch_says_is_passed_on(commands, tmp_path):
    commands("sbatch", "echo sbatch: error: no such account >&2; exit 1")
    with pytest.raises(SlurmError, match=r"sbatch refuses the jobs: .*no such account"):
        submit(Train(tmp_path), ["a", "b"], tmp_path, SlurmOptions())


def test_queued_are_those_that_squeue_lists(commands):
    """Each job of an array by itself, and no others of the same user."""
    commands(
        "squeue",
        'test "$*" = "--me --array --noheader --format=%i %T" && printf "7_0 RUNNING\\n7_11 PENDING\\n8 RUNNING\\n"',
    )
    assert queued(["7_0", "7_1", "7_11", "9"]) == {"7_0": "RUNNING", "7_11": "PENDING"}
    assert queued([]) == {}


def test_no_answer_is_not_an_empty_queue(commands):
    """Else everything would be submitted once more."""
    commands("squeue", "echo slurm_load_jobs error: Unable to contact slurm controller >&2; exit 1")
    with pytest.raises(SlurmError, match=r"which jobs are queued: .*Unable to contact slurm controller"):
        queued(["7_0"])
