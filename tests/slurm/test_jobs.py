"""Jobs of a real SLURM: they finish, are told to end and go on with the same numbers, and share an ensemble."""

import fcntl
import shlex
import sys

import numpy as np
import pytest

from tests.support import work
from tests.support.cluster import told, wait_until
from tests.support.work import HELD_AT, STEPS, Train, TrainHeld
from widesym.ensembles.checkpoints import saved_steps
from widesym.ensembles.recorder import read_logits
from widesym.launch.errors import SlurmError
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.sweep.executors.slurm.array import SlurmOptions, submit
from widesym.launch.sweep.executors.slurm.queue import queued

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]
OPTIONS = SlurmOptions(partition="low", minutes=30)
SECONDS = 120  # two cores, and up to four processes that import JAX at a time


def submitted(jobs, folder, make=Train, **options):
    """Their numbers."""
    folder.mkdir(exist_ok=True)
    fields = {"partition": OPTIONS.partition, "minutes": OPTIONS.minutes, **options}
    return submit(make(folder), jobs, folder / "slurm", SlurmOptions(**fields))


def wait_for(job_ids):
    """Until SLURM has none of them."""
    wait_until(lambda: not queued(job_ids), SECONDS, f"the end of {job_ids}: {queued(job_ids)}")


def log(folder, job_id, process=0):
    """What a process has printed, in all its sessions."""
    return (folder / "slurm" / f"{job_id}_{process}_log.out").read_text()


def assert_same(found, expected):
    """Logits bit for bit, metrics, and finished."""
    for name, logits in read_logits(expected / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(found / "logits.zarr")[name], logits)
    assert read_metrics(found / "metrics.csv") == read_metrics(expected / "metrics.csv")
    assert (found / "finished.json").exists()


def assert_unlocked(run):
    """Nobody holds the run directory."""
    with (run / ".lock").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.fixture(scope="module")
def undisturbed(cluster, tmp_path_factory):
    """Three runs that nothing came between, and the numbers of their jobs."""
    folder = tmp_path_factory.mktemp("undisturbed")
    job_ids = submitted(["0", "1", "2"], folder, jobs_at_once=2)
    assert set(queued([*job_ids, "9999_0"])) == set(job_ids)
    wait_for(job_ids)
    return folder, job_ids


@pytest.fixture
def held(tmp_path):
    """A run at work, which stands still before it has been disturbed: its folder and number."""

    def start(processes=1, **options):
        folder = tmp_path / "held"
        folder.mkdir()
        (folder / "hold").touch()
        (job_id,) = submitted(["0"], folder, TrainHeld, tasks_per_node=processes, **options)
        marks = [folder / f"held-{process}" for process in range(processes)]
        wait_until(lambda: all(mark.exists() for mark in marks), SECONDS, f"step {HELD_AT}")
        assert queued([job_id]) == {job_id: "RUNNING"}
        (folder / "hold").unlink()  # a second session is not held
        return folder, job_id

    return start


def test_an_array_finishes(undisturbed):
    """Each job its own run, and each with its own numbers."""
    folder, job_ids = undisturbed
    array = job_ids[0].split("_")[0]
    assert job_ids == [f"{array}_{place}" for place in range(3)]
    for job, job_id in zip("012", job_ids, strict=True):
        assert (folder / job / "finished.json").exists()
        assert "Job completed successfully" in log(folder, job_id)
    first, second = (read_logits(folder / job / "logits.zarr")["test"] for job in "01")
    assert first.shape == (3, 4, 10, 10)
    assert not np.allclose(first, second)


def assert_went_on(folder, job_id, undisturbed, by):
    """In two sessions, the second from where the first was told to end."""
    assert_same(folder / "0", undisturbed[0] / "0")
    said = log(folder, job_id)
    assert said.count("Loading pickle") == 2, said
    assert f"stopping on {by}, once the state is saved" in said
    assert f"0: resuming at step {HELD_AT + 1} of {STEPS[-1]}" in said


def test_preempted_and_put_back_by_slurm(held, undisturbed):
    folder, job_id = held()
    urgent = told("sbatch", "--parsable", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    wait_for([urgent.strip(), job_id])
    assert_went_on(folder, job_id, undisturbed, "SIGTERM")
    assert "Requeued job" not in log(folder, job_id)  # not by itself


def test_told_of_its_time_limit_it_puts_itself_back(held, undisturbed):
    """By SLURM, which looks for such jobs twice a minute."""
    folder, job_id = held(save_seconds=100)
    told("scontrol", "update", f"JobId={job_id}", "TimeLimit=1")  # from now on less is left than it is to be told by
    wait_until(lambda: queued([job_id]) == {job_id: "PENDING"}, SECONDS, "the requeue")
    told("scontrol", "update", f"JobId={job_id}", "TimeLimit=30")
    wait_for([job_id])
    assert_went_on(folder, job_id, undisturbed, "SIGUSR2")
    assert "Requeued job" in log(folder, job_id)


def test_given_up_after_so_many_time_limits(held):
    """Its state is saved all the same. To submitit, a job of so few minutes is near its time limit from the start."""
    folder, job_id = held(minutes=5, time_limits=0)
    told("scancel", "--signal=USR2", job_id)
    wait_for([job_id])
    assert "JobState=FAILED" in told("scontrol", "show", "job", job_id)
    assert "timed-out too many times" in log(folder, job_id)
    assert saved_steps(folder / "0" / "checkpoints")[-1] == HELD_AT + 1


def test_cancelled_it_stays_away_and_leaves_its_state(held):
    """What it reached is saved, and nothing is left that would keep a next job out."""
    folder, job_id = held()
    told("scancel", job_id)
    wait_for([job_id])
    assert "JobState=CANCELLED" in told("scontrol", "show", "job", job_id)
    assert saved_steps(folder / "0" / "checkpoints")[-1] == HELD_AT + 1
    assert_unlocked(folder / "0")
    assert not (folder / "0" / "finished.json").exists()


def assert_close(found, expected):
    """Other devices, other rounding: eight float32 steps."""
    for name, logits in read_logits(expected / "logits.zarr").items():
        np.testing.assert_allclose(read_logits(found / "logits.zarr")[name], logits, rtol=1e-4, atol=1e-5)
    assert (found / "finished.json").exists()


@pytest.mark.parametrize(
    ("order", "puts_itself_back"),
    [(("scancel", "--signal=USR2"), True), (("scontrol", "requeue"), False)],
    ids=["limit", "requeue"],
)
def test_two_processes_share_an_ensemble_and_stop_together(held, undisturbed, order, puts_itself_back):
    """And go on together; the first one writes."""
    folder, job_id = held(processes=2)
    told(*order, job_id)
    wait_for([job_id])
    assert_close(folder / "0", undisturbed[0] / "0")
    first, second = (log(folder, job_id, process) for process in (0, 1))
    assert first.count("Requeued job") == puts_itself_back
    assert f"0: resuming at step {HELD_AT + 1}" in first
    assert "resuming" not in second
    assert second.count("Job completed successfully") == 1


def test_an_error_is_not_tried_again(tmp_path):
    (job_id,) = submit(work.fail, ["3"], tmp_path / "slurm", OPTIONS)
    wait_for([job_id])
    assert "JobState=FAILED" in told("scontrol", "show", "job", job_id)
    assert "RuntimeError: job 3 has failed" in (tmp_path / "slurm" / f"{job_id}_0_log.err").read_text()


def test_what_sbatch_refuses_is_said(tmp_path):
    with pytest.raises(SlurmError, match=r"sbatch refuses the jobs: .*invalid partition specified: absent"):
        submit(work.fail, ["0", "1"], tmp_path / "slurm", SlurmOptions("absent"))


def test_train_distributed(undisturbed, tmp_path):
    """`widesym train --distributed` in two processes: they find each other, and train what one did."""
    train = [
        sys.executable,
        "-c",
        "import widesym.launch.cli; widesym.launch.cli.main()",
        "train",
        undisturbed[0] / "0" / "config.json",
    ]
    step = shlex.join(["srun", *map(str, train), "--output", str(tmp_path / "run"), "--distributed"])
    log = tmp_path / "log"
    job_id = told("sbatch", "--parsable", "--partition=low", "--ntasks=2", f"--output={log}", f"--wrap={step}").strip()
    wait_for([job_id])
    assert "Rank 0 is connected to 3 peer ranks" in log.read_text()  # two processes with two devices each
    assert_close(tmp_path / "run", undisturbed[0] / "0")
