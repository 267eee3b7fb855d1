"""How jobs stand: found out from locks and heartbeats, not guessed from times."""

import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from widesym.launch.runs.directory import holder
from widesym.launch.runs.failures import failure_in
from widesym.launch.runs.heartbeat import Heartbeat, beating_now, read_heartbeat
from widesym.launch.sweep.directory import SweepDirectory

State = Literal["waiting", "queued", "running", "stale", "failed", "finished"]


class Standing(NamedTuple):
    """A job's state; who works on it, or did last, and how far that is; what it failed of."""

    state: State
    heartbeat: Heartbeat | None = None
    failure: str = ""


def standings(
    directory: SweepDirectory, jobs: Mapping[str, Sequence[str]], queued: Collection[str] = ()
) -> dict[str, Standing]:
    """How each job stands, by name; `jobs` are their runs, and `queued` those that a cluster has taken.

    A job is running where a process holds its directory's lock or, where locks of other hosts cannot be seen, while its
    heart is seen to beat, for which other hosts' jobs are watched for some seconds. What was begun, and neither ended
    nor is running, is stale: started again, it goes on from its last checkpoint.
    """
    places = {name: directory.workplace(name, runs) for name, runs in jobs.items()}
    done = {name: of_runs(directory, name, runs) for name, runs in jobs.items()}
    open_ = settled({places[name]: of_directory(places[name]) for name in jobs if done[name] is None})
    found = {name: done[name] or open_[places[name]] for name in jobs}
    for name, standing in found.items():
        if name in queued and standing.state in ("waiting", "stale", "failed"):
            found[name] = standing._replace(state="queued")
    return found


def settled(found: dict[Path, Standing]) -> dict[Path, Standing]:
    """How run directories stand, after a look at other hosts' hearts where that is needed."""
    beating = beating_now([path for path, standing in found.items() if is_elsewhere(standing)])
    return {path: each._replace(state="running") if path in beating else each for path, each in found.items()}


def of_runs(directory: SweepDirectory, job: str, runs: Sequence[str]) -> Standing | None:
    """How a job stands that has nothing left to do for its runs; None where it has."""
    unfinished = [run for run in runs if not directory.is_finished(run)]
    if not unfinished:
        return Standing("finished")
    failures = [failure for run in unfinished if (failure := failure_in(directory.run(run)))]
    # Of runs that it was put together to, and failed then; a whole run's own failure may be about to be mended.
    return Standing("failed", failure=failures[0]) if job not in runs and len(failures) == len(unfinished) else None


def of_directory(path: Path) -> Standing:
    """How the run in a directory stands, as far as this host can see at once."""
    heartbeat = read_heartbeat(path)
    if (path / "finished.json").exists():
        return Standing("finished", heartbeat)
    if holder(path) is not None:
        return Standing("running", heartbeat)
    if failure := failure_in(path):
        return Standing("failed", heartbeat, failure)
    return Standing("stale" if (path / "config.json").exists() else "waiting", heartbeat)


def is_elsewhere(standing: Standing) -> bool:
    """Whether it is another host that would know."""
    heartbeat = standing.heartbeat
    return standing.state == "stale" and heartbeat is not None and heartbeat.host != socket.gethostname()
