"""How jobs stand: found out from locks and heartbeats, not guessed from times."""

import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from widesym.launch.runs.directory import holder
from widesym.launch.runs.failures import failure_in
from widesym.launch.runs.heartbeat import Heartbeat, beating_now, read_heartbeat
from widesym.launch.runs.paths import RunPaths
from widesym.launch.sweep.folder import SweepFolder

State = Literal["waiting", "queued", "running", "stale", "failed", "finished"]


class JobState(NamedTuple):
    """A job's state; who works on it, or did last, and how far that is; what it failed of."""

    state: State
    heartbeat: Heartbeat | None = None
    failure: str = ""


def job_states(
    directory: SweepFolder, jobs: Mapping[str, Sequence[str]], queued: Collection[str] = ()
) -> dict[str, JobState]:
    """How each job stands, by name; `jobs` are their runs, and `queued` those that a cluster has taken.

    A job is running where a process holds its directory's lock or, where locks of other hosts cannot be seen, while its
    heart is seen to beat, for which other hosts' jobs are watched for some seconds. What was begun, and neither ended
    nor is running, is stale: started again, it goes on from its last checkpoint.
    """
    places = {name: directory.workplace(name, runs) for name, runs in jobs.items()}
    done = {name: state_of_runs(directory, name, runs) for name, runs in jobs.items()}
    open_ = with_other_hosts({places[name]: state_of_directory(places[name]) for name in jobs if done[name] is None})
    found = {name: done[name] or open_[places[name]] for name in jobs}
    for name, job_state in found.items():
        if name in queued and job_state.state in ("waiting", "stale", "failed"):
            found[name] = job_state._replace(state="queued")
    return found


def with_other_hosts(found: dict[Path, JobState]) -> dict[Path, JobState]:
    """How run directories stand, after a look at other hosts' hearts where that is needed."""
    beating = beating_now([path for path, job_state in found.items() if is_elsewhere(job_state)])
    return {path: each._replace(state="running") if path in beating else each for path, each in found.items()}


def state_of_runs(directory: SweepFolder, job: str, runs: Sequence[str]) -> JobState | None:
    """How a job stands that has nothing left to do for its runs; None where it has."""
    unfinished = [run for run in runs if not directory.is_finished(run)]
    if not unfinished:
        return JobState("finished")
    failures = [failure for run in unfinished if (failure := failure_in(directory.run(run)))]
    # Of runs that it was put together to, and failed then; a whole run's own failure may be about to be mended.
    return JobState("failed", failure=failures[0]) if job not in runs and len(failures) == len(unfinished) else None


def state_of_directory(path: Path) -> JobState:
    """How the run in a directory stands, as far as this host can see at once."""
    heartbeat = read_heartbeat(path)
    if RunPaths(path).finished.exists():
        return JobState("finished", heartbeat)
    if holder(path) is not None:
        return JobState("running", heartbeat)
    if failure := failure_in(path):
        return JobState("failed", heartbeat, failure)
    return JobState("stale" if RunPaths(path).config.exists() else "waiting", heartbeat)


def is_elsewhere(job_state: JobState) -> bool:
    """Whether it is another host that would know."""
    heartbeat = job_state.heartbeat
    return job_state.state == "stale" and heartbeat is not None and heartbeat.host != socket.gethostname()
