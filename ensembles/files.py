"""Files that several processes share, or that a crash may catch: written whole, locked, and named where damaged."""

import contextlib
import fcntl
import filecmp
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

SHOWN = 300  # characters of a library's message, which may hold the whole state of a reader


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file so that a reader sees the old one or the new one, never a part."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        write(file)
        file.flush()
        os.fsync(file.fileno())  # else a machine that stops may keep the name, and nothing in it
    os.replace(new, path)


def share(path: Path, common: Path) -> None:
    """Make the file `path` a hard link to `common`, which is made one of `path` where it is missing or holds other
    bytes. Where file systems have no such links, or no more of them, `path` stays the copy that it is.
    """
    with contextlib.suppress(OSError):
        if common.exists() and not filecmp.cmp(path, common, shallow=False):  # damaged
            _link(path, common)
        with contextlib.suppress(FileExistsError):
            os.link(path, common)
        if not path.samefile(common):
            _link(common, path)


def _link(path: Path, to: Path) -> None:
    """Put a link to `path` in the place of the file `to`."""
    new = to.with_name(f"{to.name}.{os.getpid()}.new")
    new.unlink(missing_ok=True)
    os.link(path, new)
    os.replace(new, to)


@contextlib.contextmanager
def whole_directory(path: Path) -> Iterator[Path]:
    """A new, empty directory to be filled, hidden beside `path`, whose name it takes at the end of the block.

    Where the block raises it is removed. What already stands at `path` is not replaced: raises OSError then.
    """
    new = path.with_name(f".{path.name}.new")
    shutil.rmtree(new, ignore_errors=True)  # of a process that was killed
    try:
        new.mkdir(parents=True)
        yield new
        os.replace(new, path)
    finally:
        shutil.rmtree(new, ignore_errors=True)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, made if missing, after waiting for whoever holds it.

    The system releases a lock when its holder ends, however that ends.
    """
    with path.open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_to_lock(file: IO[str], kind: int) -> bool:
    """Whether a lock, fcntl.LOCK_EX or LOCK_SH, could be had at once; it is held until the file is closed."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@contextlib.contextmanager
def readable(what: object, error: Callable[[str], Exception] = ValueError, remedy: str = "") -> Iterator[None]:
    """Raise `error` with a message that names `what` (a path) and says the `remedy` where the block raises anything:
    zarr, orbax, tensorstore, xarray and SciPy raise errors of many kinds for damaged files.
    """
    try:
        yield
    except Exception as found:
        raise error(f"{what} cannot be read ({first_line(found)}){remedy and '; '}{remedy}") from None


def first_line(error: Exception) -> str:
    """An error's kind, and what it says as far as one line goes."""
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"[:SHOWN]
