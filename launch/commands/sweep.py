"""`widesym sweep`: many runs from one description, on this machine or a cluster; what is finished is not run again."""

import sys
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from widesym.launch.config.checks import check_output
from widesym.launch.config.options import FileOptions
from widesym.launch.console import print_plain
from widesym.launch.process import keep_off_devices
from widesym.launch.runs.begun import DEFAULT, TOLD
from widesym.launch.sweep.config import modules_of, points_of, read_sweep
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.dry_run import describe_sweep
from widesym.launch.sweep.executors.base import Assignment
from widesym.launch.sweep.executors.options import KINDS, ExecutorOptions, Name, described, executor_options
from widesym.launch.sweep.launcher import count_open
from widesym.launch.sweep.plan import loading_once, prepare, runs_by_digest
from widesym.launch.sweep.states import State
from widesym.launch.training.config import TrainOptions
from widesym.launch.training.options import ExecutionOptions

AllExecutors = executor_options(KINDS)


@dataclass(frozen=True)
class SweepCommand:
    """Carry out all runs that a file describes. What is finished is not run again, what was begun goes on."""

    config: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SWEEP")]
    """YAML file with a base, product, zip and points (docs/sweeps.md)."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY")] = None
    """The sweep's directory; by default runs/ and the file's name. Several sweeps may share one, and their runs."""
    executor: Annotated[Name, tyro.conf.arg(help=described(KINDS))] = "in-process"
    members_a_job: int | None = None
    """Most members that are trained at once, instead of what the file says."""
    retry_failed: bool = False
    """Try again what has failed; without it, only what was not begun or was interrupted is done."""
    dry_run: bool = False
    """Only check, and say which runs there are, how they stand and what they take; nothing is written."""
    execution: tyro.conf.OmitArgPrefixes[ExecutionOptions] = field(default_factory=ExecutionOptions)
    executors: Annotated[ExecutorOptions, tyro.conf.arg(name="", constructor=AllExecutors)] = field(
        default_factory=AllExecutors
    )
    base: Annotated[FileOptions, tyro.conf.arg(constructor=TrainOptions)] = field(default_factory=TrainOptions)
    """What replaces fields of the file; None leaves them. Text is YAML as the file would have it."""

    def __post_init__(self):
        if self.output is not None:
            check_output(self.output)

    @property
    def directory(self) -> SweepDirectory:
        """The sweep's directory: `output`, or by default runs/NAME for NAME.yaml."""
        return SweepDirectory(self.output or Path("runs") / self.config.stem)

    def run(self, console: Console) -> None:
        """Carry out the sweep, or tell; exits with 1 if runs are left that are not finished.

        Raises ConfigError for what cannot be trained, before anything is written.
        """
        executor = self.executors.of(self.executor)
        if not (executor.takes_devices or self.dry_run):
            keep_off_devices()  # workers need them whole
        changes = {} if self.members_a_job is None else {"members_a_job": self.members_a_job}
        sweep, runs = read_sweep(self.config, changes, self.base.changes()), loading_once()
        check_output(self.directory.path)
        executor.check_directory(self.directory.path)
        unstated = self.directory.unstated()
        points = runs_by_digest(points_of(sweep, str(self.config), unstated), runs, str(self.config))
        if unstated != DEFAULT:
            print_plain(console, f"{'# ' * self.dry_run}{self.directory.path}: {TOLD}")
        directory = replace(self.directory, modules=modules_of(points.values()))
        if self.dry_run:
            kept = self.execution.checkpoints_kept
            print_plain(console, describe_sweep(directory, points, sweep, runs, kept))
            return
        executor.check_machine()
        plan = prepare(directory, self.config.stem, points, sweep, runs)
        print_plain(console, f"{len(points)} runs, {len(points) - count_open(directory, plan)} finished, "
            f"{len(plan.jobs)} jobs to do in {directory.path}")  # fmt: skip
        sys.exit(executor.carry_out(Assignment(directory, plan, self.states, self.execution, console)))

    @property
    def states(self) -> tuple[State, ...]:
        """Of the jobs that are to be done."""
        return ("waiting", "stale", "failed") if self.retry_failed else ("waiting", "stale")
