"""Files written whole: a reader sees the old one or the new one, never a part."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from widesym.ensembles.files import write_whole
from widesym.launch.errors import RunDirectoryError


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
