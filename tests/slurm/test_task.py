"""A job's process without SLURM: what the signals that SLURM sends make of it, and who shares its GPUs."""

import signal

import jax
import pytest
from rich.console import Console

from tests.support.work import STEPS, small_run
from widesym.ensembles import Strategy
from widesym.ensembles.checkpoints import saved_steps
from widesym.ensembles.trainer import Trainer
from widesym.launch.commands import train
from widesym.launch.commands.train import TrainCommand
from widesym.launch.errors import ConfigError
from widesym.launch.runs.interrupts import PreemptedError, StopRequest
from widesym.launch.sweep.executors.slurm import task as slurm_task
from widesym.launch.sweep.executors.slurm.array import SlurmOptions
from widesym.launch.sweep.executors.slurm.task import Task, join_processes, own_gpus
from widesym.launch.training.execution import Execution, run_ensemble

TERM, LIMIT = signal.SIGTERM, signal.SIGUSR2


@pytest.fixture
def put_back(monkeypatch):
    """The signals on which submitit would have put the job back."""
    put_back, before = [], {number: signal.getsignal(number) for number in (TERM, LIMIT)}
    monkeypatch.setattr(slurm_task, "configure_jax", lambda: None)  # JAX runs here already
    signal.signal(LIMIT, lambda number, frame: put_back.append(number))
    yield put_back
    for number, handler in before.items():
        signal.signal(number, handler)


def told_to_end(*numbers):
    """Work during which these signals come."""

    def work(job, request):
        assert not request.made
        for number in numbers:
            signal.raise_signal(number)
        if request.made:
            raise PreemptedError

    return work


@pytest.mark.parametrize(
    ("numbers", "code", "puts_itself_back"),
    [((TERM,), 75, False), ((LIMIT,), 0, True), ((TERM, LIMIT), 0, True), ((LIMIT, TERM, TERM), 0, True)],
    ids=["term", "limit", "term-limit", "limit-term-term"],
)
def test_only_before_its_time_limit_a_job_puts_itself_back(put_back, capsys, numbers, code, puts_itself_back):
    """After scancel it must not, and after a preemption SLURM does. No second signal cuts the saving short."""
    with pytest.raises(SystemExit) as exit_:
        Task(told_to_end(*numbers))("a")
    assert exit_.value.code == code
    assert put_back == [LIMIT] * puts_itself_back
    assert capsys.readouterr().out == f"stopping on {numbers[0].name}, once the state is saved\n"


def test_a_job_that_nobody_disturbs_returns(put_back):
    Task(told_to_end())("a")
    assert put_back == []


def test_what_is_done_is_not_put_back(put_back):
    """Told so late that the work had ended."""
    Task(lambda job, request: signal.raise_signal(LIMIT))("a")
    assert put_back == []


def test_a_requeue_calls_the_same_again():
    task = Task(told_to_end(), 2)
    delayed = task.checkpoint("a")
    assert (delayed.function, delayed.args, delayed.kwargs) == (task, ("a",), {})


def test_a_run_stops_on_the_request_it_was_handed(tmp_path, monkeypatch):
    """And leaves the process's signals to whoever handed it in."""
    request, advance = StopRequest(), Trainer.advance

    def note(number, frame):
        request.number = number

    def wrapped(*arguments):
        signal.raise_signal(TERM)
        return advance(*arguments)

    before = signal.signal(TERM, note)
    try:
        monkeypatch.setattr(Trainer, "advance", wrapped)
        with pytest.raises(PreemptedError):
            run_ensemble(small_run(0), tmp_path / "run", Console(quiet=True), Execution(Strategy(1), request=request))
    finally:
        signal.signal(TERM, before)
    assert request.made
    assert 0 < saved_steps(tmp_path / "run" / "checkpoints")[-1] < STEPS[-1]


def test_tasks_share_their_machines_gpus():
    """JAX by itself would give each process one."""
    assert [list(own_gpus({"SLURM_LOCALID": str(task)}, 2)) for task in range(3)] == [[0, 1], [2, 3], [4, 5]]
    assert own_gpus({"SLURM_LOCALID": "1"}, 0) is None
    assert SlurmOptions(gpus_per_node=8, tasks_per_node=2).gpus_per_task == 4


def test_only_several_processes_are_joined(monkeypatch):
    joined = []
    monkeypatch.setattr(jax.distributed, "initialize", lambda **options: joined.append(options))
    join_processes({}, 2)
    join_processes({"SLURM_NTASKS": "1", "SLURM_LOCALID": "0"}, 2)
    assert joined == []
    join_processes({"SLURM_NTASKS": "2", "SLURM_LOCALID": "1"}, 2)
    assert joined == [{"local_device_ids": range(2, 4)}]


def test_train_joins_before_it_reads(monkeypatch, tmp_path):
    """Data make JAX start."""
    joined, file = [], tmp_path / "absent.yaml"
    monkeypatch.setattr(jax.distributed, "initialize", lambda: joined.append(1))
    for distributed in (False, True):
        with pytest.raises(ConfigError, match=r"absent.yaml cannot be read"):
            TrainCommand(file, distributed=distributed).run(Console(quiet=True))
        assert len(joined) == distributed


def test_sigterm_still_ends_train_where_processes_have_joined(monkeypatch, tmp_path):
    """Joined, JAX takes the signal to itself; until training starts, nobody else would hear it."""
    before = signal.getsignal(TERM)
    monkeypatch.setattr(jax.distributed, "initialize", lambda: signal.signal(TERM, signal.SIG_IGN))
    monkeypatch.setattr(train, "read_based", lambda *arguments: signal.raise_signal(TERM))
    try:
        with pytest.raises(PreemptedError):
            TrainCommand(tmp_path / "run.yaml", distributed=True).run(Console(quiet=True))
    finally:
        signal.signal(TERM, before)


def test_without_other_processes_train_says_how_to_start_them(monkeypatch, tmp_path):
    def alone():
        raise ValueError("coordinator_address should be defined.")  # JAX's words

    monkeypatch.setattr(jax.distributed, "initialize", alone)
    with pytest.raises(ConfigError, match=r"finds no others \(coordinator_address .*by srun, or by mpirun"):
        TrainCommand(tmp_path / "absent.yaml", distributed=True).run(Console(quiet=True))
