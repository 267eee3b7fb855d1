"""Directories that others can write to: planted links and pipes, several writers at once, what the killed have left."""

import errno
import fcntl
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from widesym.ensembles.files import (
    locked,
    open_regular,
    open_without_link,
    try_to_lock,
    whole_directory,
    write_whole,
)


def names(folder):
    return sorted(entry.name for entry in folder.iterdir())


@pytest.fixture
def secret(tmp_path):
    """A file of somebody's, to which nothing must be written."""
    path = tmp_path / "elsewhere" / "secret"
    path.parent.mkdir()
    path.write_text("mine")
    yield path
    assert path.read_text() == "mine"
    assert names(path.parent) == ["secret"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    return tmp_path / "run"


@pytest.mark.parametrize("name", ["metrics.csv", "report.html", "health.json"])
def test_a_planted_link_is_not_written_through(folder, secret, name):
    """Beside the file, in its place, and one that leads to nothing yet."""
    (folder / f"{name}.new").symlink_to(secret)
    (folder / f"{name}.1.new").symlink_to(secret.parent / "not yet")
    (folder / name).symlink_to(secret)
    write_whole(folder / name, lambda file: file.write(b"ours"))
    assert (folder / name).read_text() == "ours"
    assert not (folder / name).is_symlink()
    assert names(folder) == [name, f"{name}.1.new", f"{name}.new"]


def test_a_planted_link_is_no_directory_to_fill(folder, secret):
    (folder / ".store.new").symlink_to(secret.parent)
    with whole_directory(folder / "store") as new:
        (new / "chunk").write_text("ours")
    assert names(folder) == [".store.new", "store"]
    assert names(folder / "store") == ["chunk"]


@pytest.mark.parametrize("to", ["secret", "not yet"])
def test_a_planted_link_is_no_lock(folder, secret, to):
    (folder / ".lock").symlink_to(secret.parent / to)
    with pytest.raises(OSError, match="it is a link, and nothing is written through links"), locked(folder / ".lock"):
        pass


def test_pipes_never_hang(folder):
    for name in (".lock", "metrics.csv.new", "config.json"):
        os.mkfifo(folder / name)
    write_whole(folder / "metrics.csv", lambda file: file.write(b"ours"))
    assert (folder / "metrics.csv").read_bytes() == b"ours"
    with pytest.raises(OSError, match="it is no regular file"):
        open_regular(folder / "config.json")
    with pytest.raises(OSError, match=r"no regular file|No such device"):  # without a reader it cannot be opened
        open_without_link(folder / ".lock", "a")
    with pytest.raises(OSError, match="it is no regular file"):
        open_without_link(folder / ".lock", "a+")


def test_what_a_killed_process_has_left_is_removed(folder):
    (folder / "numbers.new").write_text("half")
    (folder / ".store.new" / "junk").mkdir(parents=True)
    write_whole(folder / "numbers", lambda file: file.write(b"whole"))
    with whole_directory(folder / "store") as new:
        assert names(new) == []
    assert names(folder) == ["numbers", "store"]


def test_what_another_process_is_writing_is_left_alone(folder):
    """Locks are of open files, so that this process is another to itself."""

    def fill(file):
        file.write(b"outer")
        write_whole(folder / "numbers", lambda inner: inner.write(b"inner"))
        assert (folder / "numbers").read_bytes() == b"inner"

    write_whole(folder / "numbers", fill)
    assert (folder / "numbers").read_bytes() == b"outer"
    with whole_directory(folder / "outer") as outer:
        (outer / "chunk").touch()
        with whole_directory(folder / "outer") as second:
            assert second != outer
        assert names(outer) == ["chunk"]
    assert names(folder) == ["numbers", "outer"]


def test_many_writers_of_one_file_leave_one_whole(folder):
    """With one temporary name for all, 18 of 144 such calls failed."""

    def write(number):
        write_whole(folder / "summary.json", lambda file: file.write(str(number).encode() * 10_000))

    with ThreadPoolExecutor(12) as threads:
        list(threads.map(write, range(144)))
    text = (folder / "summary.json").read_text()
    assert any(text == str(number) * 10_000 for number in range(144))
    assert names(folder) == ["summary.json"]


def test_many_makers_of_one_directory_leave_one_whole(folder):
    def make(number):
        try:
            with whole_directory(folder / "store") as new:
                for part in range(5):
                    (new / str(part)).write_text(str(number))
        except OSError as error:
            return error.errno
        return 0

    with ThreadPoolExecutor(12) as threads:
        ends = list(threads.map(make, range(48)))
    assert ends.count(0) == 1
    assert set(ends) <= {0, errno.ENOTEMPTY, errno.EEXIST}
    assert len({file.read_text() for file in (folder / "store").iterdir()}) == 1
    assert names(folder / "store") == [str(part) for part in range(5)]
    assert names(folder) == ["store"]


def test_a_lock_that_is_held_is_waited_for(folder):
    with locked(folder / ".lock"), open_without_link(folder / ".lock", "a") as other:
        assert not try_to_lock(other, fcntl.LOCK_EX)
    with open_without_link(folder / ".lock", "a") as other:
        assert try_to_lock(other, fcntl.LOCK_EX)
