"""A sweep's jobs given to an executor on this machine, and how that went."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console

from widesym.launch.console import print_plain
from widesym.launch.runs.progress import member_progress
from widesym.launch.sweep.config import told
from widesym.launch.sweep.directory import StoredPlan, SweepDirectory
from widesym.launch.sweep.executors.base import Assignment, End, Ended
from widesym.launch.sweep.gather import gather
from widesym.launch.sweep.states import Standing, standings

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
        now = standings(directory, plan.jobs)
        todo = [name for name, standing in now.items() if standing.state in assignment.states and name not in tried]
        running = [name for name, standing in now.items() if standing.state == "running"]
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
                    f"waiting for {len(running)} jobs that other processes are at ({where(now[running[0]])}, …)",
                )
            waited = True
            time.sleep(SECONDS_BETWEEN_LOOKS)
        else:
            break
    for run, failure in gather(directory).items():
        print_plain(console, f"{run} is not put together: {failure}")
    return summary(directory, plan, assignment.console)


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
    first = told(plan.runs.get(runs[0], {})) or "the base"
    return first if len(runs) == 1 else f"{len(runs)} runs, {first}, …"


def where(standing: Standing) -> str:
    """Who works on a job."""
    return standing.heartbeat.process if standing.heartbeat else "just started"


def count_open(directory: SweepDirectory, plan: StoredPlan) -> int:
    """Runs that are not finished."""
    return sum(not directory.is_finished(run) for run in plan.runs)


def summary(directory: SweepDirectory, plan: StoredPlan, console: Console) -> int:
    """Say how it ended; the exit code."""
    left = count_open(directory, plan)
    print_plain(console, f"{len(plan.runs) - left} of {len(plan.runs)} runs finished in {directory.path / 'runs'}")
    for name, standing in standings(directory, plan.jobs).items():
        if standing.state == "failed":
            print_plain(console, f"{name} ({label(plan, name)}) failed: {standing.failure}")
        elif standing.state != "finished":
            print_plain(console, f"{name} ({label(plan, name)}) is {standing.state}")
    if left:
        print_plain(console, "start the sweep again to go on; --retry-failed tries what has failed once more")
    return UNFINISHED if left else 0
