"""The cache of named sets: what goes in comes out, once, whole, or with a word on what is wrong."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.raw_sets import molecules, raw
from widesym.ensembles.data import DataError
from widesym.ensembles.data.cache import cached, entries, entry_of, folder

SOURCE = {"from": "made up", "version": 3}


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path))
    return tmp_path / "data"


def unexpected():
    raise AssertionError("made a second time")


@pytest.mark.parametrize("made", [raw, molecules])
def test_a_set_is_made_once_and_read_as_it_was(made):
    expected = made()
    for make in (made, unexpected):
        found = cached("shapes", SOURCE, make)
        assert (found.name, found.provenance, found.classes) == (expected.name, expected.provenance, expected.classes)
        assert (found.quantities, found.versions) == (expected.quantities, expected.versions)
        assert found.parts.keys() == expected.parts.keys()
        for split in expected.parts:
            for array, original in zip(found.parts[split], expected.parts[split], strict=True):
                np.testing.assert_array_equal(array, original)
                assert original is None or (array.dtype, type(array)) == (original.dtype, np.ndarray)  # no memory map


def test_entries_are_named_listed_and_sized(cache):
    assert entries() == []
    cached("emnist/../balanced", SOURCE, raw)
    cached("zoo", SOURCE, molecules)
    cached("zoo", SOURCE | {"version": 4}, molecules)
    names = [entry.path.name for entry in entries()]
    assert [re.sub("-[0-9a-f]{12}$", "", name) for name in names] == ["emnist-balanced", "zoo", "zoo"]
    assert {entry.path.parent for entry in entries()} == {cache} == {folder()}
    first = entries()[0]
    assert first == entry_of("emnist/../balanced", SOURCE)
    assert first.facts["source"] == SOURCE
    pixels = 40 * 4 * 4 * 2
    assert pixels < first.size < pixels + 40 * 8 + 4 * 128 + 2000  # bytes as bytes; labels, four headers, JSON
    for entry in entries():
        entry.verify()


def test_names_of_any_length_fit_the_file_system():
    assert not entry_of("é" * 300 + "x" * 300, SOURCE).path.exists()
    cached("x" * 300, SOURCE, raw)
    cached("x" * 300, SOURCE, unexpected)


def test_the_home_has_a_cache_by_default(monkeypatch):
    monkeypatch.delenv("WIDESYM_CACHE")
    monkeypatch.setenv("HOME", "/home/me")
    assert folder() == Path("/home/me/.cache/widesym/data")
    monkeypatch.setenv("WIDESYM_CACHE", "~/here")
    assert folder() == Path("/home/me/here/data")


def damaged(entry, file, change):
    path = entry.path / file
    path.write_bytes(change(path.read_bytes()))
    return path


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("train.inputs.npy", lambda content: content[:-1], r"has 1087 bytes, expected 1088"),
        (
            "test.labels.npy",
            lambda content: content[:-8] + b"\1" * 8,
            r"has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}",
        ),
        ("entry.json", lambda content: content[:50], r"does not describe a cached set \(JSONDecodeError.*\)"),
        ("entry.json", lambda content: b"[]", r"does not describe a cached set \(TypeError\(.*\)\)"),
        (
            "entry.json",
            lambda content: b'{"format": 1, "name": "x"}',
            r".* \(ValueError\('it lacks classes, files, .*\)",
        ),
        ("entry.json", lambda content: b"{}", r"does not describe a cached set \(KeyError\('format'\)\)"),
        ("entry.json", lambda content: content.replace(b'"format": 1', b'"format": 9'), "has format 9; .* format 1"),
    ],
)
def test_damage_is_named_with_what_to_do(file, change, message):
    cached("shapes", SOURCE, raw)
    entry = entry_of("shapes", SOURCE)
    path = damaged(entry, file, change)
    with pytest.raises(DataError, match=f"{path} {message}; remove {entry.path} and prepare the set again"):
        cached("shapes", SOURCE, unexpected)


@pytest.mark.parametrize("file", ["train.labels.npy", "entry.json"])
def test_a_missing_file_is_named(file):
    cached("shapes", SOURCE, raw)
    entry = entry_of("shapes", SOURCE)
    (entry.path / file).unlink()
    with pytest.raises(DataError, match=rf"{entry.path / file} .*; remove {entry.path} and"):
        entry.read()


def test_nothing_is_kept_of_a_set_that_fails(cache):
    def fail():
        raise RuntimeError("no network")

    with pytest.raises(RuntimeError, match="no network"):
        cached("shapes", SOURCE, fail)
    with pytest.raises(DataError, match="labels run from 0 to 2, but there are 1 classes"):
        cached("shapes", SOURCE, lambda: raw(classes=("a",)))
    assert entries() == []
    assert [path.name[-5:] for path in cache.iterdir()] == [".lock"]
    cached("shapes", SOURCE, raw)


@pytest.mark.parametrize("wrong", ["file", "read-only"])
def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch, wrong):
    if wrong == "file":
        (tmp_path / "data").write_text("in the way")
    else:
        monkeypatch.setattr(Path, "mkdir", lambda *_, **__: (_ for _ in ()).throw(OSError(30, "Read-only file system")))
    with pytest.raises(
        DataError, match=f"{tmp_path}/data cannot be written to .*; set WIDESYM_CACHE to a folder with room"
    ):
        cached("shapes", SOURCE, raw)


def test_a_full_disk_is_named_and_left_clean(cache, monkeypatch):
    def full(file, array, **_):
        file.write_bytes(b"a part")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match=r"shapes-\w+ cannot be written to \(No space left on device\)"):
        cached("shapes", SOURCE, raw)
    assert [path.name[-5:] for path in cache.iterdir()] == [".lock"]


# In each cache three processes, forked so that JAX is imported once, ask for the same set.
PROCESSES = """
import json, os, signal, sys, time
import numpy as np
from pathlib import Path
from widesym.ensembles.data.cache import cached
from test_data_cache import SOURCE, raw

def die(*_, **__):
    os.kill(os.getpid(), signal.SIGKILL)

def ask(cache, how):
    os.environ["WIDESYM_CACHE"] = str(cache)
    if how == "killed writing":
        save = np.save
        np.save = lambda *args, **kwargs: die(save(*args, **kwargs))

    def make():
        with (cache / "log").open("a") as file:
            file.write("made\\n")
        return die() if how == "killed making" else time.sleep(0.3) or raw()

    cached("shapes", SOURCE, make)

def processes(cache, how):
    cache.mkdir()
    children = []
    for _ in range(3):
        child = os.fork()
        if not child:
            ask(cache, how)
            os._exit(0)
        children.append(child)
    return [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]

print(json.dumps({how: processes(Path(sys.argv[1], how), how) for how in sys.argv[2:]}))
"""


def test_processes_at_once_make_a_set_once_and_leave_nothing_half_written_if_killed(tmp_path, monkeypatch):
    ways = "well", "killed making", "killed writing"
    environment = os.environ | {
        "JAX_PLATFORMS": "cpu",
        "PYTHONPATH": f"{Path(__file__).parents[2]}:{Path(__file__).parent}",
    }
    command = [sys.executable, "-W", "ignore", "-c", PROCESSES, str(tmp_path), *ways]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    # Who waits takes over from who is killed.
    assert json.loads(done.stdout) == dict(
        zip(ways, ([0] * 3, [-signal.SIGKILL] * 3, [-signal.SIGKILL] * 3), strict=True)
    )
    for how, made in zip(ways, (1, 3, 3), strict=True):
        monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / how))
        assert len((tmp_path / how / "log").read_text().splitlines()) == made
        assert len(entries()) == (how == "well")
        left = [path for path in folder().iterdir() if path.name.endswith(".new")]
        assert len(left) == (how == "killed writing")
        for make in (unexpected if how == "well" else raw, unexpected):
            np.testing.assert_array_equal(cached("shapes", SOURCE, make).train.inputs, raw().train.inputs)
        assert len(list(folder().iterdir())) == 2  # the entry and its lock
