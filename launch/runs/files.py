"""Files written whole: a reader sees the old one or the new one, never a part."""

import contextlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

from widesym.launch.errors import RunDirectoryError


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file so that a reader sees the old one or the new one, never a part."""
    temporary = path.with_name(path.name + ".new")
    with temporary.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())  # else a machine that stops may keep the name, and nothing in it
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
