"""`widesym sweep`: many runs from one description, on this machine or a cluster; what is finished is not run again."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from launch.cli import keep_off_devices
from launch.progress import member_progress
from launch.recipes.options import check_output
from launch.runner import Execution
from launch.sweep.directory import StoredPlan, SweepDirectory
from launch.sweep.dry_run import describe_sweep
from launch.sweep.executors import LOG, Ended, Pool, in_process, local_devices, work_command
from launch.sweep.gather import gather
from launch.sweep.plan import loading_once, named, prepare
from launch.sweep.standing import Standing, standings
from launch.sweep.sweep_config import points_of, read_sweep, told
from launch.train_overrides import TrainOverrides

UNFINISHED = 1  # exit code: something is left to be done
SECONDS_BETWEEN_LOOKS = 2.0


@dataclass(frozen=True)
class ExecutionOptions:
    """How runs are carried out, which their numbers do not depend on."""

    checkpoint_seconds: float = 300.0
    """Longest time between two checkpoints."""
    checkpoints_kept: int = 2
    """Newest checkpoints that stay."""
    tensorboard: bool = False
    """Write the members' metrics for TensorBoard (extra `tracking`)."""

    def __post_init__(self):
        _ = self.execution

    @property
    def execution(self) -> Execution:
        """The same for the runner."""
        return Execution(None, self.checkpoint_seconds, self.checkpoints_kept, self.tensorboard)

    @property
    def arguments(self) -> list[str]:
        """The same for a command line."""
        numbers = [
            "--checkpoint-seconds",
            str(self.checkpoint_seconds),
            "--checkpoints-kept",
            str(self.checkpoints_kept),
        ]
        return [*numbers, *(["--tensorboard"] if self.tensorboard else [])]


@dataclass(frozen=True)
class SweepCommand:
    """Carry out all runs that a file describes. What is finished is not run again, what was begun goes on."""

    config: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SWEEP")]
    """YAML file with a base, product, zip and points (docs/sweeps.md)."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY")] = None
    """The sweep's directory; by default runs/ and the file's name. Several sweeps may share one, and their runs."""
    executor: Literal["in-process", "pool"] = "in-process"
    """One job after the other in this process, or worker processes on this machine, one a device."""
    workers: int | None = None
    """Worker processes of the pool; by default one for each GPU, or for each core."""
    members_a_job: int | None = None
    """Most members that are trained at once, instead of what the file says."""
    retry_failed: bool = False
    """Try again what has failed; without it, only what was not begun or was interrupted is done."""
    dry_run: bool = False
    """Only check, and say which runs there are, how they stand and what they take; nothing is written."""
    options: tyro.conf.OmitArgPrefixes[ExecutionOptions] = field(default_factory=ExecutionOptions)
    base: TrainOverrides = field(default_factory=TrainOverrides)

    def __post_init__(self):
        if self.output is not None:
            check_output(self.output)

    @property
    def directory(self) -> SweepDirectory:
        """Where the runs are."""
        return SweepDirectory(self.output or Path("runs") / self.config.stem)

    def run(self, console: Console) -> None:
        """Carry out the sweep, or tell; exits with 1 if runs are left that are not finished.

        Raises ConfigError for what cannot be trained, before anything is written.
        """
        if self.executor != "in-process" and not self.dry_run:
            keep_off_devices()  # workers need them whole
        changes = {} if self.members_a_job is None else {"members_a_job": self.members_a_job}
        sweep, runs = read_sweep(self.config, changes, self.base.changes()), loading_once()
        points = named(points_of(sweep, str(self.config)), runs, str(self.config))
        check_output(self.directory.path)
        if self.dry_run:
            kept = self.options.checkpoints_kept
            console.out(describe_sweep(self.directory, points, sweep, runs, kept), highlight=False)
            return
        plan = prepare(self.directory, self.config.stem, points, sweep, runs)
        say(console, f"{len(points)} runs, {len(points) - count_open(self.directory, plan)} finished, "
            f"{len(plan.jobs)} jobs to do in {self.directory.path}")  # fmt: skip
        # Jobs in this process have bars of their own, and a terminal shows one at a time.
        around = Console(file=console.file, force_terminal=False) if self.executor == "in-process" else console
        carry_out(self.directory, plan, self.retry_failed, self.executor_of(console), around)
        sys.exit(summary(self.directory, plan, console))

    def executor_of(self, console: Console) -> Callable[[Sequence[str], Ended], None]:
        """What carries out jobs, by name."""
        path = self.directory.path
        if self.executor == "in-process":
            return partial(in_process, path, self.options.execution, console)
        pool = Pool(
            local_devices(self.workers),
            lambda job: work_command(path, job, self.options.arguments),
            lambda job: path / "logs" / job / LOG,
        )
        return pool.carry_out


def carry_out(
    directory: SweepDirectory,
    plan: StoredPlan,
    retry_failed: bool,
    executor: Callable[[Sequence[str], Ended], None],
    console: Console,
) -> None:
    """Do all jobs, each at most once; those that other processes are at are waited for, and done if left."""
    tried: set[str] = set()
    waited = False
    wanted = ("waiting", "stale", "failed") if retry_failed else ("waiting", "stale")
    while True:
        now = standings(directory, plan.jobs)
        todo = [name for name, standing in now.items() if standing.state in wanted and name not in tried]
        running = [name for name, standing in now.items() if standing.state == "running"]
        if todo:
            tried |= set(todo)
            _carry_out(directory, plan, todo, executor, console)
        elif running:
            if not waited:
                say(
                    console,
                    f"waiting for {len(running)} jobs that other processes are at ({where(now[running[0]])}, …)",
                )
            waited = True
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            break
    for name in plan.jobs:
        gather(directory, name)


def _carry_out(
    directory: SweepDirectory,
    plan: StoredPlan,
    todo: Sequence[str],
    executor: Callable[[Sequence[str], Ended], None],
    console: Console,
) -> None:
    with member_progress(console, "sweep", len(todo), things="jobs") as report:
        done = 0

        def ended(name: str, how: str) -> None:
            nonlocal done
            done += 1
            say(console, f"{name} ({label(plan, name)}): {how or 'finished'}")
            report(done)

        report(0)
        executor(todo, ended)


def label(plan: StoredPlan, job: str) -> str:
    """What a job is, for people."""
    runs = plan.jobs[job]
    first = told(plan.runs.get(runs[0], {})) or "the base"
    return first if len(runs) == 1 else f"{len(runs)} runs, {first}, …"


def where(standing: Standing) -> str:
    """Who works on a job."""
    return f"process {standing.heartbeat.pid} on {standing.heartbeat.host}" if standing.heartbeat else "just started"


def count_open(directory: SweepDirectory, plan: StoredPlan) -> int:
    """Runs that are not finished."""
    return sum(not directory.is_finished(run) for run in plan.runs)


def summary(directory: SweepDirectory, plan: StoredPlan, console: Console) -> int:
    """Say how it ended; the exit code."""
    left = count_open(directory, plan)
    say(console, f"{len(plan.runs) - left} of {len(plan.runs)} runs finished in {directory.path / 'runs'}")
    for name, standing in standings(directory, plan.jobs).items():
        if standing.state == "failed":
            say(console, f"{name} ({label(plan, name)}) failed: {standing.failure}")
        elif standing.state != "finished":
            say(console, f"{name} ({label(plan, name)}) is {standing.state}")
    if left:
        say(console, "start the sweep again to go on; --retry-failed tries what has failed once more")
    return UNFINISHED if left else 0


def say(console: Console, text: str) -> None:
    """Print as it is."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
