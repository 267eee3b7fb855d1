"""Files that several processes share, or that a crash may catch: written whole, locked, and named where damaged."""

import contextlib
import errno
import fcntl
import filecmp
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, Literal

MOST_READ = 2**27  # bytes of JSON; the largest of ours, of sweeps of 100,000 runs, have some 50 MB
NO_LINK = os.O_NOFOLLOW | os.O_CLOEXEC
MOST_AT_ONCE = 1000  # processes that write a file of one name
SHOWN = 300  # characters of a library's message, which may hold the whole state of a reader


def open_regular(path: Path) -> IO[bytes]:
    """Open a file for reading; raises OSError for what is none: pipes would have it wait, and devices never end."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    kind = os.fstat(descriptor).st_mode
    if stat.S_ISREG(kind):
        return os.fdopen(descriptor, "rb")
    os.close(descriptor)
    if stat.S_ISDIR(kind):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    raise OSError(errno.EINVAL, "it is no regular file", str(path))


def read_whole(path: Path, most: int = MOST_READ) -> bytes:
    """What a file holds; raises OSError for what is none, and for one of more than `most` bytes."""
    with open_regular(path) as file:
        content = file.read(min(most, os.fstat(file.fileno()).st_size) + 1)  # for which memory is taken
    if len(content) > most:
        raise OSError(
            errno.EFBIG, f"it has more than {most} bytes, which is the most that is read of such a file", str(path)
        )
    return content


def read_text(path: Path) -> str:
    """The text in a file; raises OSError as `read_whole`, and ValueError where it is no UTF-8."""
    return read_whole(path).decode()


def write_whole(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Have `write` fill a file so that a reader sees the old one or the new one, never a part.

    Several processes may do so at once: the last one wins. Nothing is written through a link.
    """
    new, descriptor = _claimed(path.with_name(f"{path.name}.new"), _new_file, Path.unlink)
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())  # else a machine that stops may keep the name, and nothing in it
            os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


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
    path.parent.mkdir(parents=True, exist_ok=True)
    new, descriptor = _claimed(path.with_name(f".{path.name}.new"), _new_directory, shutil.rmtree)
    try:
        yield new
        os.replace(new, path)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise
    finally:
        os.close(descriptor)


def _claimed(path: Path, make: Callable[[Path], int], remove: Callable[[Path], object]) -> tuple[Path, int]:
    """The first of the names NAME.new, NAME.1.new, … at which nothing stands, with what `make` makes there, open.

    It is locked as long as it is open. So what is not is of a process that was killed, and is removed; what is locked
    is another's, and what is a link or a pipe is nobody's.
    """
    for number in range(MOST_AT_ONCE):
        name = path if number == 0 else path.with_name(f"{path.stem}.{number}.new")
        _remove_left(name, remove)
        with contextlib.suppress(FileExistsError):
            descriptor = make(name)
            if _is_ours(name, descriptor):
                return name, descriptor
            os.close(descriptor)
    raise FileExistsError(errno.EEXIST, f"{MOST_AT_ONCE} such files are there already; remove them", str(path))


def _new_file(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | NO_LINK, 0o666)


def _new_directory(path: Path) -> int:
    path.mkdir()
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | NO_LINK)
    except FileNotFoundError:  # another has taken it for left behind
        raise FileExistsError(errno.EEXIST, "it was removed", str(path)) from None


def _is_ours(path: Path, descriptor: int) -> bool:
    """Whether it could be locked, and still stands where it was made: another may have taken it for left behind."""
    with contextlib.suppress(OSError):  # of file systems without such locks, where nothing is taken for that
        if not try_to_lock(descriptor, fcntl.LOCK_EX):
            return False
    return _is_at(path, descriptor)


def _remove_left(path: Path, remove: Callable[[Path], object]) -> None:
    """Remove what a process has left that was killed: a file or a directory that nobody holds."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY | NO_LINK | os.O_NONBLOCK)
        try:
            kind = os.fstat(descriptor).st_mode
            is_left = stat.S_ISREG(kind) or stat.S_ISDIR(kind)
            if is_left and try_to_lock(descriptor, fcntl.LOCK_EX) and _is_at(path, descriptor):
                remove(path)
        finally:
            os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def open_without_link(path: Path, mode: Literal["a", "a+", "ab"]) -> IO[Any]:
    """Open a file to be added to, made if missing; raises OSError for a link and for what is no file, such as pipes."""
    access = os.O_RDWR if "+" in mode else os.O_WRONLY
    try:
        descriptor = os.open(path, access | os.O_CREAT | os.O_APPEND | NO_LINK | os.O_NONBLOCK, 0o666)
    except OSError as error:
        if path.is_symlink():
            raise OSError(errno.ELOOP, "it is a link, and nothing is written through links", str(path)) from None
        raise error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file", str(path))
    return os.fdopen(descriptor, mode)


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path`, made if missing, after waiting for whoever holds it; raises OSError for a link.

    The system releases a lock when its holder ends, however that ends.
    """
    with open_without_link(path, "a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def try_to_lock(file: IO[Any] | int, kind: int) -> bool:
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
