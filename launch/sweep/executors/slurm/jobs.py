"""Jobs of sweeps on a SLURM cluster: submitted once each, as one array."""

import shlex
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, ClassVar

import tyro
from rich.console import Console

from widesym.launch.console import print_plain
from widesym.launch.errors import SlurmError
from widesym.launch.runs.files import write_json
from widesym.launch.runs.interrupts import StopRequest
from widesym.launch.sweep.directory import StoredPlan, SweepDirectory, read_from
from widesym.launch.sweep.executors.base import Assignment, Executor
from widesym.launch.sweep.executors.slurm.array import (
    ARRAY,
    SlurmOptions,
    check_available,
    check_folder,
    queued,
    submit,
)
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

    @classmethod
    def queued(cls, directory: SweepDirectory) -> set[str]:
        """Jobs that SLURM has; none, where there is no SLURM to be asked."""
        try:
            return queued_jobs(directory)
        except SlurmError:
            return set()


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
        write_json(_record(directory), read_submitted(directory) | submitted)
    return submitted


def queued_jobs(directory: SweepDirectory) -> set[str]:
    """Jobs that SLURM has, waiting or running; raises SlurmError where it does not answer."""
    submitted = read_submitted(directory)
    if not submitted:
        return set()
    known = queued(list(submitted.values()))
    return {job for job, number in submitted.items() if number in known}


def read_submitted(directory: SweepDirectory) -> dict[str, str]:
    """SLURM's number of every job that was submitted, the last one of each."""
    if not _record(directory).exists():
        return {}
    with read_from(_record(directory)) as content:
        return {str(job): str(number) for job, number in content.items()}


def _record(directory: SweepDirectory) -> Path:
    return directory.path / "slurm" / "submitted.json"
