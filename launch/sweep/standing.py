"""How jobs stand: found out from locks and heartbeats, not guessed from times."""

import json
import socket
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from launch.heartbeat import Heartbeat, beating_now, read_heartbeat
from launch.run_directory import holder
from launch.sweep.directory import SweepDirectory

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
    found = {
        name: Standing("finished") if all(map(directory.is_finished, runs)) else of_directory(places[name])
        for name, runs in jobs.items()
    }
    elsewhere = {places[name] for name, standing in found.items() if is_elsewhere(standing)}
    beating = beating_now(sorted(elsewhere))
    for name, standing in found.items():
        if places[name] in beating:
            found[name] = standing._replace(state="running")
        elif name in queued and standing.state in ("waiting", "stale"):
            found[name] = standing._replace(state="queued")
    return found


def of_directory(path: Path) -> Standing:
    """How the run in a directory stands, as far as this host can see at once."""
    heartbeat = read_heartbeat(path)
    if (path / "finished.json").exists():
        return Standing("finished", heartbeat)
    if holder(path) is not None:
        return Standing("running", heartbeat)
    if (path / "failed.json").exists():
        return Standing("failed", heartbeat, failure_in(path))
    return Standing("stale" if (path / "config.json").exists() else "waiting", heartbeat)


def is_elsewhere(standing: Standing) -> bool:
    """Whether it is another host that would know."""
    heartbeat = standing.heartbeat
    return standing.state == "stale" and heartbeat is not None and heartbeat.host != socket.gethostname()


def failure_in(path: Path) -> str:
    """What a run has failed of."""
    try:
        return str(json.loads((path / "failed.json").read_text())["error"])
    except (OSError, ValueError, KeyError, TypeError):
        return "unknown: failed.json cannot be read"
