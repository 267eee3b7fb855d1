"""Run directories: one configuration each, one process at a time, every file written whole."""

import contextlib
import fcntl
import importlib.metadata
import json
import os
import platform
import subprocess
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import jax

PACKAGES = ("widesym", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "xarray", "zarr")


class RunDirectoryError(ValueError):
    """A run directory that cannot be used: another configuration's, or another process's."""


class InUseError(RunDirectoryError):
    """Another process writes it."""


def holder(path: Path):
    try:
        with (path / ".lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return path
    return None


@contextlib.contextmanager
def claim(path: Path, config: dict[str, Any]) -> Iterator[None]:
    """Hold `path` as the run directory of `config` (plain JSON values), made if missing.

    Raises RunDirectoryError where it belongs to another configuration, naming the keys that differ, or is held by
    another process.
    """
    check_config(path, config)
    path.mkdir(parents=True, exist_ok=True)
    with (path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(f"{path} is in use by another process; wait for it or choose another output") from None
        check_config(path, config)  # again: another process may have come and gone before the lock
        if not (path / "config.json").exists():
            write_json(path / "config.json", {"config": config, **circumstances()})
        yield


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Hold `path` for reading, beside other readers; raises RunDirectoryError while a process writes it."""
    with contextlib.ExitStack() as held:
        try:
            lock = held.enter_context((path / ".lock").open())
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:  # a copy, which nobody writes
            pass
        except BlockingIOError:
            raise RunDirectoryError(f"{path} is still being written by another process; wait for its end") from None
        yield


def check_config(path: Path, config: dict[str, Any]) -> None:
    """Raise RunDirectoryError if `path` holds a run of another configuration; reads only."""
    try:
        found = json.loads((path / "config.json").read_text())["config"]
    except FileNotFoundError:
        return
    except (ValueError, KeyError, TypeError) as error:  # not JSON, not text, not ours
        raise RunDirectoryError(f"{path / 'config.json'} is not a run's configuration ({error})") from None
    differing = differences(found, json.loads(json.dumps(config)))
    if differing:
        raise RunDirectoryError(
            f"{path} holds a run of another configuration:\n  "
            + "\n  ".join(differing)
            + "\nask for what it holds, choose another output, or remove the directory"
        )


def differences(found: Any, asked: Any, key: str = "") -> list[str]:
    """Where two JSON values differ, a line each: the dotted key, what is on disk and what was asked."""
    if isinstance(found, dict) and isinstance(asked, dict):
        keys = sorted(found.keys() | asked.keys())
        return [
            line for name in keys for line in differences(found.get(name), asked.get(name), f"{key}.{name}".lstrip("."))
        ]
    if isinstance(found, list) and isinstance(asked, list) and len(found) == len(asked):
        return [
            line for i, pair in enumerate(zip(found, asked, strict=True)) for line in differences(*pair, f"{key}[{i}]")
        ]
    return [] if found == asked else [f"{key}: {found!r} on disk, {asked!r} asked for"]


def circumstances() -> dict[str, Any]:
    """Where a run was made: versions, git commit, device."""
    device = jax.devices()[0]
    return {
        "versions": {"python": platform.python_version()}
        | {name: importlib.metadata.version(name) for name in PACKAGES},
        "git_commit": git_commit(),
        "device": {"platform": device.platform, "kind": device.device_kind, "count": jax.device_count()},
    }


def git_commit() -> str | None:
    """The commit of the source tree, with "+changes" if files differ from it; None where git does not track it."""

    def git(*arguments: str) -> str:
        command = ["git", "-C", str(Path(__file__).parent), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        git("ls-files", "--error-unmatch", Path(__file__).name)  # not some repository around an installed package
        return git("rev-parse", "HEAD") + ("+changes" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file so that a reader sees the old one or the new one, never a part."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        write(file)
    os.replace(temporary, path)


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """Raise RunDirectoryError, which says what to do, where arrays cannot be read from `path`."""
    try:
        yield
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise RunDirectoryError(f"{path} is damaged ({error}); remove it, and it is computed again") from None


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader sees the old one or the new one, never a part."""
    write_whole(path, lambda file: file.write(text.encode()))


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one; NaN is refused."""
    write_text(path, json.dumps(value, indent=2, allow_nan=False) + "\n")
