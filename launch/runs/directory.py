"""Run directories: one configuration each, one process at a time, every file written whole."""

import contextlib
import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, Any, NamedTuple

from widesym.ensembles.files import open_regular, open_without_link, read_text, try_to_lock
from widesym.launch.config.differences import first_differences
from widesym.launch.errors import InUseError, RunDirectoryError
from widesym.launch.runs.files import write_json
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.provenance import circumstances

SCHEMA = (
    3  # of config.json and what stands beside it; it grows when its meaning changes (launch/integrity/old_gradients.py)
)
RANDOMNESS_SCHEMA = 3  # from which on runs say their randomness; before that they all were "shared"
LONGEST_SIGNATURE = 2**12  # bytes
RUN_FIELDS = {"architecture", "recipe", "members", "seed", "data"}  # what a configuration of one ensemble has
STORES = ("checkpoints", "data", "tensorboard")  # folders of a run that hold no runs, beside those named *.zarr
TRIES = (0.0, 0.01, 0.1)  # seconds before each try to claim a directory: a look at who holds it takes a moment


class Contents(NamedTuple):
    """What a directory is claimed for: how it is called, what people can do where it holds another, and names in it of
    what is of use whatever it holds, and not a result by itself.
    """

    name: str = "a run of another configuration"
    remedy: str = "ask for what it holds, choose another output, or remove the directory"
    aside: tuple[str, ...] = ()


RUN = Contents()


class Holder(NamedTuple):
    """The process that writes a directory, and since when; None for what it has not said, as older versions do not."""

    host: str | None
    pid: int | None
    since: str | None = None

    def __str__(self) -> str:
        if self.pid is None:
            return "a process that has not left its name"
        return f"process {self.pid} on {self.host} (since {self.since})"


@contextlib.contextmanager
def claim(path: Path, config: dict[str, Any], contents: Contents = RUN) -> Iterator[None]:
    """Hold `path` as the directory of `config` (plain JSON values), made if missing.

    What fails within before it has left anything leaves no claim, which would be in the way of the next.

    Raises RunDirectoryError where it belongs to another configuration, naming the keys that differ, where it was made
    by a newer version, and where another process holds it, naming that one.
    """
    check_config(path, config, contents)
    path.mkdir(parents=True, exist_ok=True)
    with open_without_link(path / ".lock", "a+") as lock:  # "w" would wipe the name of who holds it
        if not _locked(lock):
            by = holder(path)
            how = f"it is being written by {by}" if by else "it is being read"
            raise InUseError(f"{path} is in use by another process: {how}; wait for it or choose another output")
        _sign(lock)
        check_config(path, config, contents)  # again: another process may have come and gone before the lock
        is_new = not RunPaths(path).config.exists()
        if is_new:
            write_json(RunPaths(path).config, {"schema": SCHEMA, "config": config, **circumstances()})
        try:
            yield
        except BaseException:
            if is_new and _is_without_results(path, contents):
                RunPaths(path).config.unlink(missing_ok=True)
            raise
        finally:
            lock.truncate(0)


def _is_without_results(path: Path, contents: Contents) -> bool:
    """Whether nothing is in the directory but its claim, and empty folders."""
    beside = [each for each in path.iterdir() if each.name not in (".lock", "config.json", *contents.aside)]
    return not any(each.is_file() and each.name != ".lock" for entry in beside for each in (entry, *entry.rglob("*")))


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Hold `path` for reading, beside other readers; raises RunDirectoryError while a process writes it, naming it."""
    with reading_records(path) as writer:
        if writer:
            raise RunDirectoryError(f"{path} is still being written by another process: {writer}; wait for its end")
        yield


@contextlib.contextmanager
def reading_records(path: Path) -> Iterator[Holder | None]:
    """Hold `path` for reading, beside other readers, unless a process writes it, which is yielded and goes on: records
    that it has made stay as they are.
    """
    with contextlib.ExitStack() as held:
        try:
            lock = held.enter_context(open_regular(path / ".lock"))
        except FileNotFoundError:  # a copy, which nobody writes
            lock = None
        yield None if lock is None or try_to_lock(lock, fcntl.LOCK_SH) else _signature(lock)


def holder(path: Path) -> Holder | None:
    """Who writes the directory `path` now, None if nobody does.

    The lock itself is asked: a process that was killed leaves its name in the file, but no lock.
    """
    try:
        with open_regular(path / ".lock") as lock:
            return None if try_to_lock(lock, fcntl.LOCK_SH) else _signature(lock)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _locked(lock: IO[Any]) -> bool:
    """Whether the lock could be had, after some tries; it is held until the file is closed."""
    for pause in TRIES:
        time.sleep(pause)
        if try_to_lock(lock, fcntl.LOCK_EX):
            return True
    return False


def _sign(lock: IO[str]) -> None:
    """Write who holds the lock into its file, instead of whoever held it before."""
    since = datetime.now().astimezone().isoformat(timespec="seconds")
    lock.truncate(0)
    lock.write(json.dumps(Holder(platform.node(), os.getpid(), since)._asdict()) + "\n")
    lock.flush()


def _signature(lock: IO[Any]) -> Holder:
    """Who has signed the file of a lock that is held."""
    try:
        return Holder(**json.loads(lock.read(LONGEST_SIGNATURE)))
    except (ValueError, TypeError):  # an older version, which does not sign, or one that is about to
        return Holder(None, None)


def check_config(path: Path, config: dict[str, Any], contents: Contents = RUN) -> None:
    """Raise RunDirectoryError if `path` is of another configuration, or of a newer version; reads only."""
    try:
        found = read_description(path)["config"]
    except FileNotFoundError:
        return
    differing = first_differences(_without_provenance(found), _without_provenance(json.loads(json.dumps(config))))
    if differing:
        lines = "\n  ".join(differing)
        raise RunDirectoryError(f"{path} holds {contents.name}:\n  {lines}\n{contents.remedy}")


def _without_provenance(config: Any) -> Any:
    """The configuration with data as they are, wherever they were found: another path is not another run."""
    data = config.get("data") if isinstance(config, dict) else None
    if not isinstance(data, dict) or not all(isinstance(each, dict) for each in data.values()):
        return config
    bare = {name: {key: each[key] for key in each if key != "provenance"} for name, each in data.items()}
    return {**config, "data": bare}


def read_description(path: Path) -> dict[str, Any]:
    """All of config.json in `path`: its `config`, its `schema`, and the circumstances it was made in. What older
    versions could not say of a run is said.

    Raises FileNotFoundError, and RunDirectoryError for a file that is none of ours or of a schema that is not known.
    """
    file = RunPaths(path).config
    try:
        found = json.loads(read_text(file))
        if not isinstance(found["config"], dict):
            raise TypeError(f"config is {found['config']!r}, not fields with values")
    except (ValueError, KeyError, TypeError, RecursionError) as error:  # not JSON, not text, not ours
        raise RunDirectoryError(
            f"{file} is not a run's configuration ({type(error).__name__}: {error}); take it from a copy"
        ) from None
    check_schema(file, found)
    if found.get("schema", 1) < RANDOMNESS_SCHEMA and set(found["config"]) >= RUN_FIELDS:
        found["config"] = {"randomness": "shared", **found["config"]}
    return found


def check_schema(file: Path, description: dict[str, Any]) -> None:
    """Raise RunDirectoryError for the contents of a config.json that this version cannot read; those without a schema
    are of the first.
    """
    schema = description.get("schema", 1)
    if type(schema) is not int or schema < 1:
        raise RunDirectoryError(f"{file} has schema {schema!r}; it must be 1 to {SCHEMA}: take the file from a copy")
    if schema > SCHEMA:
        raise RunDirectoryError(
            f"{file} was made by a newer widesym (schema {schema}, this one reads up to {SCHEMA}); upgrade widesym, or "
            "use another directory"
        )


def runs_within(directory: Path) -> list[Path]:
    """Run directories in a directory, itself perhaps among them: with a store, or with config.json and checkpoints.

    Raises RunDirectoryError where there are none.
    """
    if not directory.is_dir():
        raise RunDirectoryError(f"there is no directory {directory}; name a run directory, or one that holds some")
    found = []
    for path, folders, files in os.walk(directory):
        if "logits.zarr" in folders or ("config.json" in files and "checkpoints" in folders):
            found.append(Path(path))
            folders[:] = [name for name in folders if name not in STORES]
        folders[:] = sorted(name for name in folders if not name.endswith((".zarr", ".new")))
    if not found:
        raise RunDirectoryError(
            f"{directory} holds no runs: nothing in it has logits.zarr, or config.json and checkpoints; name a run "
            "directory, or one that holds some"
        )
    return found
