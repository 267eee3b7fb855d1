"""Jobs of sweeps on a SLURM cluster: submitted once each, as one array."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from rich.console import Console

from widesym.launch.console import print_plain
from widesym.launch.runs.files import write_json
from widesym.launch.runs.interrupts import StopRequest
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.executors.base import Assignment, Executor
from widesym.launch.sweep.executors.slurm.array import (
    ARRAY,
    SlurmOptions,
    check_available,
    check_folder,
    submit,
)
from widesym.launch.sweep.executors.slurm.queue import queued_jobs, read_submitted, record_of
from widesym.launch.sweep.folder import StoredPlan
from widesym.launch.sweep.states import job_states
from widesym.launch.sweep.worker import work
from widesym.launch.training.execution import Execution

MOST_NUMBERS = 4  # of jobs, named one by one


@dataclass(frozen=True)
class Slurm(Executor):
    """An array of jobs on a SLURM cluster, which goes on when this process has ended."""

    options: Annotated[SlurmOptions, tyro.conf.arg(name="")] = field(default_factory=SlurmOptions)

    what: ClassVar = "an array of jobs on a SLURM cluster, which is submitted and goes on by itself (docs/cluster.md)"
    prefix: ClassVar = "slurm"

    def check_directory(self, path: Path) -> None:
        """Raise SlurmError for a directory that sbatch could not be told."""
        check_folder(path)

    def check_machine(self) -> None:
        """Raise SlurmError where jobs cannot be submitted from here."""
        check_available()

    def carry_out(self, assignment: Assignment) -> int:
        """Submit the jobs that SLURM has not yet."""
        directory, console = assignment.directory, assignment.console
        execution, states = assignment.execution.of_runs, assignment.states
        submitted = submit_jobs(directory, assignment.plan, execution, self.options, states)
        if submitted:
            numbers = ", ".join(list(submitted.values())[:MOST_NUMBERS])
            more = ", …" if len(submitted) > MOST_NUMBERS else ""
            print_plain(console, f"{len(submitted)} jobs submitted to SLURM: {numbers}{more}")
        else:
            print_plain(console, "no jobs to submit: they are queued, running, failed or finished")
        print_plain(console, f"look at them with: {shlex.join(['widesym', 'status', str(directory.path)])}")
        return 0


@dataclass(frozen=True)
class ClusterWork:
    """What each job of the array calls: the work of one job of the sweep, stopped by a request."""

    directory: SweepDirectory
    execution: Execution

    def __call__(self, job: str, request: StopRequest) -> None:
        console = Console(force_terminal=False, width=160, emoji=False)
        work(self.directory, job, console, replace(self.execution, request=request))


def submit_jobs(
    directory: SweepDirectory, plan: StoredPlan, execution: Execution, options: SlurmOptions, states: Iterable[str]
) -> dict[str, str]:
    """Submit the plan's jobs that are in one of these states, unless SLURM has them already; SLURM's numbers of those
    submitted, by job. Raises SlurmError as `submit` and `queued` do.
    """
    with directory.locked():
        found = job_states(directory, plan.jobs, queued_jobs(directory))
        todo = [name for name, job_state in found.items() if job_state.state in states]
        if not todo:
            return {}
        path = directory.path.absolute()
        (path / "slurm").mkdir(exist_ok=True)  # before, as nothing may fail between submission and record
        numbers = submit(ClusterWork(replace(directory, path=path), execution), todo, path / "slurm" / ARRAY, options)
        submitted = dict(zip(todo, numbers, strict=True))
        write_json(record_of(directory), read_submitted(directory) | submitted)
    return submitted
