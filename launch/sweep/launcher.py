"""A sweep's jobs given to whoever carries them out on this machine, and how that went."""

import time
from collections.abc import Callable, Sequence

from rich.console import Console

from widesym.launch.runs.progress import member_progress
from widesym.launch.sweep.config import describe_changes
from widesym.launch.sweep.directory import StoredPlan, SweepDirectory
from widesym.launch.sweep.executors.pool import End, Ended
from widesym.launch.sweep.gather import gather
from widesym.launch.sweep.states import JobState, State, job_states

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
        now = job_states(directory, plan.jobs)
        todo = [name for name, job_state in now.items() if job_state.state in wanted and name not in tried]
        running = [name for name, job_state in now.items() if job_state.state == "running"]
        if todo:
            tried |= set(todo)
            in_use = _carry_out(directory, plan, todo, executor, console)
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
            print_plain(console, f"{name} ({label(plan, name)}): {end.how or 'finished'}")
            report(done)

        report(0)
        executor(todo, ended)
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


def print_plain(console: Console, text: str) -> None:
    """Print the text as it is: without markup or highlights, and without breaking lines."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
