"""How the runs of sweeps, or any run directories, stand: a row for each."""

from pathlib import Path
from typing import Any, NamedTuple

from widesym.launch.errors import RunDirectoryError
from widesym.launch.lazily import loaded
from widesym.launch.runs.directory import runs_within
from widesym.launch.runs.failures import failure_in
from widesym.launch.sweep.changes import Changes, describe_changes
from widesym.launch.sweep.executors import QUEUES
from widesym.launch.sweep.folder import SweepFolder
from widesym.launch.sweep.labels import is_sweep, runs_of
from widesym.launch.sweep.sources import Place, Places, Records, places_of
from widesym.launch.sweep.states import JobState, State, job_states, state_of_directory, with_other_hosts

FIRST: tuple[State, ...] = ("failed", "stale", "running", "queued", "waiting", "finished")  # what people look for


class Row(NamedTuple):
    """A run, what sets it apart, the jobs that have its members, and where these are recorded."""

    run: str
    changes: Changes
    jobs: tuple[tuple[str, JobState], ...]
    places: Places

    @property
    def state(self) -> State:
        """That of the run: of its jobs, the one that people should hear of first."""
        states: list[State] = [job_state.state for _, job_state in self.jobs]
        return min(states or ["waiting"], key=FIRST.index)

    @property
    def job(self) -> tuple[str, JobState]:
        """The job that the state is of; without a name where there is none."""
        return next((each for each in self.jobs if each[1].state == self.state), ("", JobState("waiting")))

    def medians(self) -> dict[str, float]:
        """Of the members' last batches at the last record, by name; none where nothing is recorded that can be read."""
        try:
            records = Records(self.places)
            return records.members_at(max(records.steps)).medians() if records.steps else {}
        except RunDirectoryError:  # for analyses and the doctor to tell
            return {}


def rows_in(path: Path) -> list[Row]:
    """How the runs of a sweep stand, or else those of all run directories that are found."""
    if is_sweep(path):
        return rows_of(SweepFolder(path))
    places = runs_within(path)
    found = with_other_hosts({place: state_of_directory(place) for place in places})
    names = {place: str(place.relative_to(path)) if place != path else place.absolute().name for place in places}
    return [Row(names[place], {}, ((names[place], found[place]),), (Place(place),)) for place in places]


def rows_of(directory: SweepFolder) -> list[Row]:
    """How all runs of all plans stand, in their order."""
    plans = directory.read_plans()
    runs = runs_of(plans)
    jobs = {name: job for plan in plans for name, job in plan.jobs.items() if set(job) & set(runs)}
    queued = set().union(*(queue(directory) for queue in loaded(QUEUES).values()))
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
        rows.append(Row(run, changes, of_run, places_of(directory, run)))
    return rows


def as_json(row: Row) -> dict[str, Any]:
    """A row for programs: null for what is not known, or no longer is."""
    job, job_state = row.job
    beat, running = job_state.heartbeat, row.state == "running"
    medians = row.medians()
    return {
        "run": row.run,
        "label": describe_changes(row.changes),
        "changes": row.changes,
        "state": row.state,
        "job": job or None,
        "parts": {name: each.state for name, each in row.jobs},
        "step": beat and beat.step,
        "steps": beat and beat.steps,
        "member_steps_a_second": beat.rate if beat and running else None,
        "seconds_left": beat.seconds_left if beat and running else None,
        "loss": medians.get("loss"),
        "accuracy": medians.get("accuracy"),
        "process": beat and beat.process,
        "failure": job_state.failure or None,
    }
