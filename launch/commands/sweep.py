"""`widesym sweep`: many runs from one description, on this machine or a cluster; what is finished is not run again."""

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from rich.console import Console

from widesym.launch.config.checks import check_output
from widesym.launch.errors import ConfigError
from widesym.launch.process import keep_off_devices
from widesym.launch.runs.begun import DEFAULT, TOLD
from widesym.launch.sweep.config import points_of, read_sweep
from widesym.launch.sweep.directory import StoredPlan, SweepDirectory
from widesym.launch.sweep.dry_run import describe_sweep
from widesym.launch.sweep.executors.pool import LOG, Ended, Pool, in_process, local_devices, work_command
from widesym.launch.sweep.executors.slurm.array import SlurmOptions, check_available, check_folder
from widesym.launch.sweep.executors.slurm.jobs import submit_jobs
from widesym.launch.sweep.launcher import carry_out, count_open, print_plain, report_outcome
from widesym.launch.sweep.plan import loading_once, prepare, runs_by_digest
from widesym.launch.sweep.states import State
from widesym.launch.training.options import ExecutionOptions
from widesym.launch.training.overrides import TrainOverrides

MOST_NUMBERS = 4  # of jobs, named one by one


@dataclass(frozen=True)
class SweepCommand:
    """Carry out all runs that a file describes. What is finished is not run again, what was begun goes on."""

    config: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SWEEP")]
    """YAML file with a base, product, zip and points (docs/sweeps.md)."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY")] = None
    """The sweep's directory; by default runs/ and the file's name. Several sweeps may share one, and their runs."""
    executor: Literal["in-process", "pool", "slurm"] = "in-process"
    """One job after the other in this process; worker processes on this machine, one a device; or an array of jobs on a
    SLURM cluster, which is submitted and goes on by itself (docs/cluster.md)."""
    workers: int | None = None
    """Worker processes of the pool; by default one for each GPU, or for each core."""
    members_a_job: int | None = None
    """Most members that are trained at once, instead of what the file says."""
    retry_failed: bool = False
    """Try again what has failed; without it, only what was not begun or was interrupted is done."""
    dry_run: bool = False
    """Only check, and say which runs there are, how they stand and what they take; nothing is written."""
    execution: tyro.conf.OmitArgPrefixes[ExecutionOptions] = field(default_factory=ExecutionOptions)
    slurm: SlurmOptions = field(default_factory=SlurmOptions)
    base: TrainOverrides = field(default_factory=TrainOverrides)

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
        if self.executor != "in-process" and not self.dry_run:
            keep_off_devices()  # workers need them whole
        changes = {} if self.members_a_job is None else {"members_a_job": self.members_a_job}
        sweep, runs = read_sweep(self.config, changes, self.base.changes()), loading_once()
        check_output(self.directory.path)
        if self.executor == "slurm":
            check_folder(self.directory.path)
        unstated = self.directory.unstated()
        points = runs_by_digest(points_of(sweep, str(self.config), unstated), runs, str(self.config))
        if unstated != DEFAULT:
            console.out(f"{'# ' * self.dry_run}{self.directory.path}: {TOLD}", highlight=False)
        if self.dry_run:
            kept = self.execution.checkpoints_kept
            console.out(describe_sweep(self.directory, points, sweep, runs, kept), highlight=False)
            return
        executor = self.executor_of(console)
        plan = prepare(self.directory, self.config.stem, points, sweep, runs)
        print_plain(console, f"{len(points)} runs, {len(points) - count_open(self.directory, plan)} finished, "
            f"{len(plan.jobs)} jobs to do in {self.directory.path}")  # fmt: skip
        if executor is None:
            self.submit(plan, console)
            return
        # Jobs in this process have bars of their own, and a terminal shows one at a time.
        around = (
            Console(file=console.file, force_terminal=False, emoji=False) if self.executor == "in-process" else console
        )
        carry_out(self.directory, plan, self.states, executor, around)
        sys.exit(report_outcome(self.directory, plan, console))

    @property
    def states(self) -> tuple[State, ...]:
        """Of the jobs that are to be done."""
        return ("waiting", "stale", "failed") if self.retry_failed else ("waiting", "stale")

    def submit(self, plan: StoredPlan, console: Console) -> None:
        """Have SLURM carry out the jobs that it has not yet, and say so."""
        submitted = submit_jobs(self.directory, plan, self.execution.of_runs, self.slurm, self.states)
        if submitted:
            numbers = ", ".join(list(submitted.values())[:MOST_NUMBERS]) + (
                ", …" if len(submitted) > MOST_NUMBERS else ""
            )
            print_plain(console, f"{len(submitted)} jobs submitted to SLURM: {numbers}")
        else:
            print_plain(console, "no jobs to submit: they are queued, running, failed or finished")
        print_plain(console, f"look at them with: {shlex.join(['widesym', 'status', str(self.directory.path)])}")

    def executor_of(self, console: Console) -> Callable[[Sequence[str], Ended], None] | None:
        """What carries out jobs, by name; None for SLURM. Raises ConfigError and SlurmError where that is not there."""
        path = self.directory.path
        if self.executor == "in-process":
            return partial(in_process, path, self.execution.of_runs, console)
        if self.executor == "slurm":
            check_available()
            return None
        try:
            devices = local_devices(self.workers)
        except ValueError as error:
            raise ConfigError(str(error)) from None
        pool = Pool(
            devices,
            lambda job: work_command(path, job, self.execution.arguments),
            lambda job: path / "logs" / job / LOG,
        )
        return pool.carry_out
