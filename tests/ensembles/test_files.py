"""What a crash leaves behind of files and directories, and how damage is named."""

import pytest

from widesym.ensembles.files import SHOWN, readable, whole_directory, write_whole


class OddError(Exception):
    """Neither a ValueError nor an OSError, as libraries for stores have their own."""


def test_a_file_stays_as_it_was_while_another_is_written(tmp_path):
    path = tmp_path / "numbers"
    write_whole(path, lambda file: file.write(b"old"))

    def fail(file):
        file.write(b"new")
        assert path.read_bytes() == b"old"
        raise OddError

    with pytest.raises(OddError):
        write_whole(path, fail)
    assert path.read_bytes() == b"old"
    write_whole(path, lambda file: file.write(b"new"))
    assert [entry.name for entry in tmp_path.iterdir()] == ["numbers"]
    assert path.read_bytes() == b"new"


def test_a_directory_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "deep" / "store"
    (tmp_path / "deep" / ".store.new" / "junk").mkdir(parents=True)  # of a process that was killed

    def fail():
        with whole_directory(path) as new:
            (new / "half").touch()
            raise OddError

    with pytest.raises(OddError):
        fail()
    assert not list(path.parent.iterdir())
    with whole_directory(path) as new:
        assert not list(new.iterdir())
        (new / "all").touch()
        assert not path.exists()
    assert [entry.name for entry in path.parent.iterdir()] == ["store"]
    assert [entry.name for entry in path.iterdir()] == ["all"]


def test_a_directory_that_is_there_is_not_replaced(tmp_path):
    path = tmp_path / "store"
    path.mkdir()
    (path / "logits").touch()
    with pytest.raises(OSError, match="store"), whole_directory(path) as new:
        (new / "other").touch()
    assert [entry.relative_to(tmp_path).as_posix() for entry in tmp_path.rglob("*")] == ["store", "store/logits"]


def test_whatever_is_raised_on_reading_names_what_was_read():
    told = r"a/b cannot be read \(OddError: first\); remove it"
    with pytest.raises(KeyError, match=told), readable("a/b", KeyError, "remove it"):
        raise OddError("first\nsecond")
    with pytest.raises(ValueError, match=r"^a/b cannot be read \(OddError: \)$"), readable("a/b"):
        raise OddError
    with pytest.raises(ValueError, match="a/b") as found, readable("a/b"):
        raise OddError("x" * 10_000)
    assert len(str(found.value)) < SHOWN + 50
