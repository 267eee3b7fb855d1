"""A sweep's jobs given to an executor on this machine, and how that went."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console

from widesym.launch.console import print_plain
from widesym.launch.runs.progress import member_progress
from widesym.launch.sweep.changes import describe_changes
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.executors.base import Assignment, End, Ended
from widesym.launch.sweep.folder import StoredPlan
from widesym.launch.sweep.gather import gather
from widesym.launch.sweep.states import JobState, job_states

UNFINISHED = 1  # exit code: something is left to be done
SECONDS_BETWEEN_LOOKS = 2.0


Executing = Callable[[Sequence[str], Ended], None]  # carries out jobs of these names, and says how each has ended


def carry_out(assignment: Assignment, executing: Executing, console: Console) -> int:
    """Do all jobs, each at most once; those that other processes are at are waited for, and done if left. Says on
    `console` how it goes, and on the assignment's how it has ended; returns the exit code.
    """
    directory, plan = assignment.directory, assignment.plan
    tried: set[str] = set()
    waited = False
    while True:
        now = job_states(directory, plan.jobs)
        todo = [name for name, each in now.items() if each.state in assignment.states and name not in tried]
        running = [name for name, each in now.items() if each.state == "running"]
        if todo:
            tried |= set(todo)
            in_use = _carry_out(plan, todo, executing, console)
            tried -= in_use
            if in_use:
                time.sleep(SECONDS_BETWEEN_LOOKS)
        elif running:
            if not waited:
                print_plain(
                    console,
                    f"waiting for {len(running)} jobs that other processes are at ({worker_text(now[running[0]])}, …)",
                )
            waited = True
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            break
    for run, failure in gather(directory).items():
        print_plain(console, f"{run} is not put together: {failure}")
    return report_outcome(directory, plan, assignment.console)


def _carry_out(plan: StoredPlan, todo: Sequence[str], executing: Executing, console: Console) -> set[str]:
    """Have jobs done; those that other processes are at."""
    in_use: set[str] = set()
    with member_progress(console, "sweep", len(todo), things="jobs") as report:
        done = 0

        def ended(name: str, end: End) -> None:
            nonlocal done
            done += 1
            if end.in_use:
                in_use.add(name)
            print_plain(console, f"{name} ({label(plan, name)}): {end.how or 'finished'}")
            report(done)

        report(0)
        executing(todo, ended)
    return in_use


def label(plan: StoredPlan, job: str) -> str:
    """What a job is, for people."""
    runs = plan.jobs[job]
    first = describe_changes(plan.runs.get(runs[0], {})) or "the base"
    return first if len(runs) == 1 else f"{len(runs)} runs, {first}, …"


def worker_text(job_state: JobState) -> str:
    """Who works on a job."""
    return job_state.heartbeat.process if job_state.heartbeat else "just started"


def count_open(directory: SweepDirectory, plan: StoredPlan) -> int:
    """Runs that are not finished."""
    return sum(not directory.is_finished(run) for run in plan.runs)


def report_outcome(directory: SweepDirectory, plan: StoredPlan, console: Console) -> int:
    """Say how it ended; the exit code."""
    left = count_open(directory, plan)
    print_plain(console, f"{len(plan.runs) - left} of {len(plan.runs)} runs finished in {directory.path / 'runs'}")
    for name, job_state in job_states(directory, plan.jobs).items():
        if job_state.state == "failed":
            print_plain(console, f"{name} ({label(plan, name)}) failed: {job_state.failure}")
        elif job_state.state != "finished":
            print_plain(console, f"{name} ({label(plan, name)}) is {job_state.state}")
    if left:
        print_plain(console, "start the sweep again to go on; --retry-failed tries what has failed once more")
    return UNFINISHED if left else 0
