"""How the runs of sweeps, or any run directories, stand: a row for each, and the table of them."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rich.console import Group
from rich.markup import escape

from widesym.launch.console import table_of
from widesym.launch.lazily import loaded
from widesym.launch.runs.directory import runs_within
from widesym.launch.runs.failures import failure_in
from widesym.launch.sweep.config import Changes, describe_changes
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.executors import EXECUTORS
from widesym.launch.sweep.states import JobState, State, job_states, state_of_directory, with_other_hosts

COLUMNS = ("run", "what", "state", "steps", "member-\nsteps/s", "left", "where, or why")
NUMBERS = COLUMNS[3:6]
DIGEST = 12  # digits of a run's name, which are not broken; longer names are paths
ALWAYS = COLUMNS[:3]
FIRST: tuple[State, ...] = ("failed", "stale", "running", "queued", "waiting", "finished")  # what people look for
COLOURS = {"failed": "red", "stale": "yellow", "running": "cyan", "queued": "blue", "finished": "green"}


class Row(NamedTuple):
    """A run, what sets it apart, and the jobs that have its members."""

    run: str
    changes: Changes
    jobs: tuple[tuple[str, JobState], ...]

    @property
    def state(self) -> State:
        """That of the run: of its jobs, the one that people should hear of first."""
        states: list[State] = [job_state.state for _, job_state in self.jobs]
        return min(states or ["waiting"], key=FIRST.index)


def rows_in(path: Path) -> list[Row]:
    """How the runs of a sweep stand, or else those of all run directories that are found."""
    if (path / "plans").is_dir():
        return rows_of(SweepDirectory(path))
    places = runs_within(path)
    found = with_other_hosts({place: state_of_directory(place) for place in places})
    names = {place: str(place.relative_to(path)) if place != path else place.absolute().name for place in places}
    return [Row(names[place], {}, ((names[place], found[place]),)) for place in places]


def rows_of(directory: SweepDirectory) -> list[Row]:
    """How all runs of all plans stand, in their order."""
    plans = directory.read_plans()
    runs = {name: changes for plan in plans for name, changes in plan.runs.items()}
    jobs = {name: job for plan in plans for name, job in plan.jobs.items() if set(job) & set(runs)}
    queued = set().union(*(executor.queued(directory) for executor in loaded(EXECUTORS).values()))
    found = job_states(directory, jobs, queued)
    rows = []
    for run, changes in runs.items():
        of_run = tuple((name, found[name]) for name, job in jobs.items() if run in job)
        if directory.is_finished(run):
            of_run = ((run, JobState("finished")),)
        elif of_run and all(job_state.state == "finished" for _, job_state in of_run):
            of_run = ((run, JobState("stale", failure="trained, and not put together: start the sweep again")),)
        elif failure := failure_in(directory.run(run)) if not any(run == name for name, _ in of_run) else None:
            of_run = ((run, JobState("failed", failure=failure)),)
        rows.append(Row(run, changes, of_run))
    return rows


def status_table(rows: Sequence[Row], most: int) -> Group:
    """The table, of the rows that people look for first where there is no room for all, and how many there are."""
    chosen = sorted(rows, key=lambda row: FIRST.index(row.state))[:most] if len(rows) > most else rows
    filled = [cells(row) for row in chosen]
    used = [at for at, header in enumerate(COLUMNS) if header in ALWAYS or any(row[at] for row in filled)]
    table = table_of(*(COLUMNS[at] for at in used), numbers=NUMBERS)
    table.columns[0].no_wrap = all(len(row.run) <= DIGEST for row in chosen)
    for row in filled:
        table.add_row(*(row[at] for at in used))
    hidden = f"; {len(rows) - len(chosen)} rows not shown" if len(rows) > len(chosen) else ""
    return Group(table, "\n" + count_states(rows) + hidden)


def cells(row: Row) -> tuple[str, ...]:
    """A row of the table."""
    job, job_state = next(((job, each) for job, each in row.jobs if each.state == row.state), ("", JobState("waiting")))
    colour = COLOURS.get(row.state)
    state = f"[{colour}]{row.state}[/]" if colour else row.state
    if len(row.jobs) > 1:
        done = sum(each.state == "finished" for _, each in row.jobs)
        state += f" ({done} of {len(row.jobs)} parts finished)"
    elif job not in ("", row.run):
        state += f" (in {escape(job)})"
    beat = job_state.heartbeat
    if beat is None or row.state in ("finished", "waiting", "queued"):
        return escape(row.run), escape(describe_changes(row.changes)), state, "", "", "", escape(job_state.failure)
    running = row.state == "running"
    left = f"{beat.seconds_left:.0f} s" if running and beat.seconds_left is not None else ""
    return (
        escape(row.run),
        escape(describe_changes(row.changes)),
        state,
        f"{beat.step}/{beat.steps}",
        f"{beat.rate:.0f}" if running else "",
        left,
        escape(job_state.failure or beat.process),
    )


def count_states(rows: Sequence[Row]) -> str:
    """How many there are of each state."""
    counts = Counter(row.state for row in rows)
    return f"{len(rows)} runs: " + ", ".join(f"{counts[state]} {state}" for state in reversed(FIRST) if counts[state])
