"""A sweep's jobs given to whoever carries them out on this machine, and how that went."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console

from widesym.launch.runs.progress import member_progress
from widesym.launch.sweep.config import told
from widesym.launch.sweep.directory import StoredPlan, SweepDirectory
from widesym.launch.sweep.executors.pool import End, Ended
from widesym.launch.sweep.gather import gather
from widesym.launch.sweep.states import Standing, State, standings

UNFINISHED = 1  # exit code: something is left to be done
SECONDS_BETWEEN_LOOKS = 2.0


def carry_out(
    directory: SweepDirectory,
    plan: StoredPlan,
    wanted: Sequence[State],
    executor: Callable[[Sequence[str], Ended], None],
    console: Console,
) -> None:
    """Do all jobs, each at most once; those that other processes are at are waited for, and done if left."""
    tried: set[str] = set()
    waited = False
    while True:
        now = standings(directory, plan.jobs)
        todo = [name for name, standing in now.items() if standing.state in wanted and name not in tried]
        running = [name for name, standing in now.items() if standing.state == "running"]
        if todo:
            tried |= set(todo)
            in_use = _carry_out(directory, plan, todo, executor, console)
            tried -= in_use
            if in_use:
                time.sleep(SECONDS_BETWEEN_LOOKS)
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
    for run, failure in gather(directory).items():
        say(console, f"{run} is not put together: {failure}")


def _carry_out(
    directory: SweepDirectory,
    plan: StoredPlan,
    todo: Sequence[str],
    executor: Callable[[Sequence[str], Ended], None],
    console: Console,
) -> set[str]:
    """Have jobs done; those that other processes are at."""
    in_use: set[str] = set()
    with member_progress(console, "sweep", len(todo), things="jobs") as report:
        done = 0

        def ended(name: str, end: End) -> None:
            nonlocal done
            done += 1
            if end.in_use:
                in_use.add(name)
            say(console, f"{name} ({label(plan, name)}): {end.how or 'finished'}")
            report(done)

        report(0)
        executor(todo, ended)
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
    """Print the text as it is: without markup or highlights, and without breaking lines."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
