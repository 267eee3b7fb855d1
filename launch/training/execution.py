"""One ensemble in one run directory: started, resumed where it stopped, or found finished."""

import contextlib
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import jax
from rich.console import Console

from widesym.ensembles.checkpoints import Checkpoints, check_kept
from widesym.ensembles.recorder import check_store, create_store, stored_metrics
from widesym.ensembles.sharding import agreed, largest_of_processes, on_first
from widesym.ensembles.stores import METRICS
from widesym.ensembles.strategy import Strategy
from widesym.ensembles.trainer import Moment, Trainer, train
from widesym.launch.console import print_plain
from widesym.launch.errors import RunDirectoryError
from widesym.launch.integrity.files import file_digests
from widesym.launch.runs.data import write_sets
from widesym.launch.runs.directory import check_config, claim
from widesym.launch.runs.disk import check_space
from widesym.launch.runs.files import write_json
from widesym.launch.runs.heartbeat import Pulse, beating
from widesym.launch.runs.interrupts import StopRequest, raise_if_requested, stops_noted
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.progress import training_progress
from widesym.launch.runs.records import write_moment
from widesym.launch.runs.run import Run
from widesym.launch.runs.scores import scores
from widesym.launch.runs.tensorboard import check_installed, tracked
from widesym.launch.training.stability import check_stability
from widesym.launch.training.strategy import strategy_for
from widesym.models.numerics import fixed_numerics


@dataclass(frozen=True)
class Execution:
    """How a run is carried out, which its numbers depend on by rounding at most.

    Without a strategy the fastest is measured. A checkpoint is begun at every record, and whenever the last is
    `checkpoint_seconds` old; the newest `checkpoints_kept` stay. `tensorboard` writes event files beside them. Whoever
    hears the process's signals hands in the `request` by which the run learns of them; without one, it hears them.
    """

    strategy: Strategy | None = None
    checkpoint_seconds: float = 300.0
    checkpoints_kept: int = 2
    tensorboard: bool = False
    request: StopRequest | None = None
    all_may_diverge: bool = False

    def __post_init__(self):
        if not self.checkpoint_seconds >= 0:
            raise ValueError(f"checkpoint_seconds is {self.checkpoint_seconds!r}; it must be zero or positive")
        check_kept(self.checkpoints_kept)


@fixed_numerics()
def run_ensemble(
    run: Run,
    path: Path,
    console: Console,
    execution: Execution = Execution(),
    is_done: Callable[[], bool] = lambda: False,
) -> None:
    """Train `run` in `path`, from its last checkpoint if it has one; does nothing if it is finished.

    SIGINT and SIGTERM leave a checkpoint of the step they come at, and raise KeyboardInterrupt and PreemptedError. With
    several processes all call this, and the first one writes. Raises RunDirectoryError where the directory holds
    another run, is in use, or is on a disk without space for the run. `is_done` is asked once the directory is held:
    whether others have made the run needless since.
    """
    console = console if jax.process_index() == 0 else Console(quiet=True)
    check_config(path, run.config)
    if agreed(int(RunPaths(path).finished.exists())):
        print_plain(console, f"{path.name}: finished, {run.members} members found in {path}")
        on_first(partial(write_sets, path, run.sets))  # runs of earlier versions lack them
        return
    run.check()
    began = time.perf_counter()
    with contextlib.ExitStack() as held:
        on_first(lambda: held.enter_context(claim(path, run.config)))
        if agreed(int(RunPaths(path).finished.exists() or is_done())):
            return
        RunSession(run, path, console, execution).train()
        finish = {"seconds": time.perf_counter() - began, "process_peak_memory_bytes": peak_memory()}
        on_first(lambda: write_json(RunPaths(path).finished, {**finish, "sha256": file_digests(path)}))


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


@dataclass(frozen=True)
class RunSession:
    """The work of this process on a run whose directory is held: prepared, resumed, trained, recorded and saved."""

    run: Run
    path: Path
    console: Console
    execution: Execution

    def say(self, message: str) -> None:
        """A line of the run's."""
        print_plain(self.console, f"{self.path.name}: {message}")

    def train(self) -> None:
        """Go on from the newest checkpoint to the end, or until somebody asks to stop, which is raised."""
        run, path, execution = self.run, self.path, self.execution
        on_first(self._prepare)
        pulse = Pulse(run.members, run.record_steps[-1])
        heard = stops_noted(self.say) if execution.request is None else contextlib.nullcontext(execution.request)
        with heard as request, _alive(path, pulse):

            def said(message: str) -> None:
                self.say(message)
                raise_if_requested(largest_of_processes(request.number))  # nothing is under way between two trials

            on_first(partial(check_stability, run, path, self.say))
            steps, given = run.record_steps[-1], execution.strategy
            trainer = run.trainer(strategy_for(run.trainer(Strategy()), run.data, steps, path, given, said))
            checkpoints = Checkpoints(RunPaths(path).checkpoints, trainer, execution.checkpoints_kept)
            with _written(checkpoints):
                self._follow(trainer, checkpoints, request, pulse)

    def _prepare(self) -> None:
        """The store, and space for it. Without the records before it, a checkpoint is of no use."""
        run, path, kept = self.run, self.path, self.execution.checkpoints_kept
        shape, data = run.training_set.inputs.shape[1:], sum(each.bytes for each in run.sets)
        check_space(path, run.layout, run.trainer(Strategy()), shape, kept, self.say, data)
        if self.execution.tensorboard:
            check_installed()
        for left_by_a_killed_process in RunPaths(path).checkpoints.glob("*.orbax-checkpoint-tmp*"):
            shutil.rmtree(left_by_a_killed_process)
        if not RunPaths(path).store.exists():
            shutil.rmtree(RunPaths(path).checkpoints, ignore_errors=True)
            create_store(RunPaths(path).store, run.layout)
        write_sets(path, run.sets)
        try:
            check_store(RunPaths(path).store, run.layout)
        except ValueError as error:
            raise RunDirectoryError(f"{error}; remove it, and the run starts again") from None

    def _follow(self, trainer: Trainer, checkpoints: Checkpoints, request: StopRequest, pulse: Pulse) -> None:
        """Train, recording and saving on the way."""
        run, path, execution = self.run, self.path, self.execution
        steps, may_diverge = run.record_steps[-1], execution.all_may_diverge
        resume = checkpoints.restore_newest(run.training_set.inputs.shape[1:], self.say)
        if resume:
            self.say(f"resuming at step {resume[1]} of {steps}")
        start, saved = resume[1] if resume else 0, time.monotonic()
        pulse.begin(start)
        with (
            training_progress(self.console, path.name, run.members, steps, start) as report,
            tracked(path, execution.tensorboard) as track,
        ):
            for moment in train(trainer, run.data, run.evaluation, run.record_steps, resume, may_diverge):
                told = scores(moment.metrics, run.training_set, run.recipe.loss)
                report(moment, told)
                track(moment, told)
                pulse.step = moment.step
                self._record(trainer, moment)
                stop = largest_of_processes(
                    request.number
                )  # who is told stops all; a signal from here on is for the next call
                due = agreed(int(time.monotonic() - saved > execution.checkpoint_seconds))
                if moment.record or stop or due:
                    checkpoints.save(moment.step, moment.state)
                    saved = time.monotonic()
                if stop:
                    break
        checkpoints.wait()
        raise_if_requested(largest_of_processes(request.number))

    def _record(self, trainer: Trainer, moment: Moment) -> None:
        """Logits before metrics, and both before the checkpoint: whatever that vouches for is on disk already."""
        record = moment.record
        if record is None:
            return
        snapshots = {}
        for kind in self.run.snapshots:
            snapshots |= kind.take(trainer, moment.state, self.run.data[0])

        def write() -> None:
            unmeasured = set(METRICS) - set(stored_metrics(RunPaths(self.path).store))
            metrics = {name: each for name, each in moment.metrics._asdict().items() if name not in unmeasured}
            write_moment(self.run, self.path, record, metrics | snapshots)

        on_first(write)


def _alive(path: Path, pulse: Pulse) -> contextlib.AbstractContextManager[object]:
    """The first process says that the job is alive."""
    return beating(path, pulse) if jax.process_index() == 0 else contextlib.nullcontext()


@contextlib.contextmanager
def _written(checkpoints: Checkpoints) -> Iterator[None]:
    """Whatever ends the work, what was begun is written; an error on the way out does not hide the first one."""
    try:
        yield
    except BaseException:
        with contextlib.suppress(Exception):
            checkpoints.wait()
        raise
