"""Run directories: one configuration, one process, whole files."""

import contextlib
import json
import math
import os
import platform
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from widesym.launch.config.differences import MOST, differences, first_differences
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import (
    RUN,
    SCHEMA,
    Contents,
    Holder,
    check_config,
    claim,
    holder,
    read_description,
    reading,
)
from widesym.launch.runs.files import write_json, write_text

CONFIG = {"members": 4, "recipe": {"rate": 0.1, "policy": {"group": "C4"}}, "steps": [0, 1], "note": None}


def test_differences_are_named_by_dotted_keys():
    asked = {"members": 5, "recipe": {"rate": 0.1, "policy": {"group": "C2"}}, "steps": [0, 2], "note": None}
    assert differences(CONFIG, asked) == [
        "members: 4 on disk, 5 asked for",
        "recipe.policy.group: 'C4' on disk, 'C2' asked for",
        "steps[1]: 1 on disk, 2 asked for",
    ]


@pytest.mark.parametrize(
    ("found", "asked", "expected"),
    [
        (CONFIG, CONFIG, []),
        ({"a": 1}, {}, ["a: 1 on disk, nothing asked for"]),
        ({}, {"a": {"b": 1}}, ["a: nothing on disk, {'b': 1} asked for"]),
        ({"a": [1, 2]}, {"a": [1]}, ["a: [1, 2] on disk, [1] asked for"]),
        ({"a": [{"b": 1}]}, {"a": [{"b": 2}]}, ["a[0].b: 1 on disk, 2 asked for"]),
        ({"a": {"b": 1}}, {"a": 1}, ["a: {'b': 1} on disk, 1 asked for"]),
    ],
    ids=["none", "missing", "new", "another length", "in a list", "another kind"],
)
def test_differences_between(found, asked, expected):
    assert differences(found, asked) == expected


def test_claim_writes_the_configuration_and_where_it_was_run(tmp_path):
    with claim(tmp_path / "deep" / "run", CONFIG):
        found = json.loads((tmp_path / "deep" / "run" / "config.json").read_text())
    assert found["config"] == CONFIG
    assert found["schema"] == SCHEMA == 3
    assert found["command"] == sys.argv
    assert found["versions"]["numpy"] == np.__version__
    assert found["device"]["count"] >= 1
    assert found["git_commit"] is None or len(found["git_commit"].removesuffix("+changes")) == 40


def test_a_directory_is_claimed_again_for_the_same_configuration(tmp_path):
    with claim(tmp_path, CONFIG):
        first = (tmp_path / "config.json").read_text()
    with claim(tmp_path, {**CONFIG, "steps": (0, 1)}):  # a tuple is the JSON list
        pass
    assert (tmp_path / "config.json").read_text() == first


def test_another_configuration_is_refused_with_keys_and_values(tmp_path):
    with claim(tmp_path, CONFIG):
        pass
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(RunDirectoryError, match=r"(?s)another configuration:\n  members: 4 on disk, 64 .*output, or"):
        claim(tmp_path, {**CONFIG, "members": 64}).__enter__()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("content", [b"{", b"{}", b"[1]", b"\xff\xfe", b'{"config": 5}'])
def test_what_is_no_configuration_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"config\.json is not a run's configuration"):
        check_config(tmp_path, CONFIG)


def test_checking_reads_only(tmp_path):
    check_config(tmp_path / "missing", CONFIG)
    assert not (tmp_path / "missing").exists()


def failing_in(path, contents=RUN, left=()):
    """Whether the claim stays of what fails after it has left these files."""
    with contextlib.suppress(KeyError), claim(path, CONFIG, contents):
        (path / "empty").mkdir(exist_ok=True)
        for name in left:
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_text("result")
        raise KeyError
    return (path / "config.json").exists()


def test_what_fails_before_it_leaves_anything_leaves_no_claim(tmp_path):
    assert not failing_in(tmp_path / "run")
    assert not failing_in(tmp_path / "nested", left=["part/.lock"])
    assert not failing_in(tmp_path / "aside", Contents(aside=("theory",)), ["theory/kernel"])
    assert failing_in(tmp_path / "aside", left=["theory/kernel"])
    assert failing_in(tmp_path / "begun", left=["part/log"])
    with claim(tmp_path / "run", {"members": 5}):
        pass
    with claim(tmp_path / "earlier", CONFIG):
        pass
    assert failing_in(tmp_path / "earlier")  # whose claim is not its own


def test_differences_take_little_space():
    """However large, many and nested the values are."""
    long = {"runs": {f"run{number}": {"architecture": "x" * 10_000, "data": {}} for number in range(100)}}
    lines = first_differences(long, {"runs": {"other": {"type": "a:Very", "long": "y" * 100}}, "theory": True})
    assert lines[0] == "runs.other: nothing on disk, a:Very(…) asked for"
    assert lines[1] == "runs.run0: {…} of 2 fields on disk, nothing asked for"
    assert lines[-1] == f"… and {102 - MOST} more"
    assert len(lines) == MOST + 1
    (line,) = first_differences({"steps": [*range(1000)]}, {"steps": [*range(1001)]})
    assert "998, 999] (1000 items) on disk, [0, 1, 2" in line
    assert len(line) < 200
    same = "a" * 50 + "b" + "a" * 50
    assert first_differences({"a": same}, {"a": same.replace("b", "c")}) == [
        f"a: {same!r} on disk, {same.replace('b', 'c')!r} asked for"
    ]


def test_classes_are_the_same_with_and_without_their_module():
    """Earlier versions named none, and a script has none."""
    old, script, new = ({"layers": [{"type": name}]} for name in ("Softplus", "__main__:Softplus", "mine:Softplus"))
    for one, other in ((old, new), (script, new), (old, script)):
        assert differences(one, other) == differences(other, one) == []
    other = {"layers": [{"type": "theirs:Softplus"}]}
    assert differences(new, other) == ["layers[0].type: 'mine:Softplus' on disk, 'theirs:Softplus' asked for"]
    assert differences(old, {"layers": [{"type": "mine:Softmax"}]})
    assert differences({"name": "Softplus"}, {"name": "mine:Softplus"})


def test_a_directory_is_held_by_one_at_a_time(tmp_path):
    """flock holds between open files, in one process as between two."""
    with claim(tmp_path, CONFIG), pytest.raises(RunDirectoryError, match="in use by another process"):
        claim(tmp_path, CONFIG).__enter__()
    with claim(tmp_path, CONFIG):  # given back
        pass


@pytest.fixture
def other(tmp_path):
    """A process that holds the directory `run` until it is killed."""
    code = (
        "import sys, time; from pathlib import Path; from widesym.launch.runs import directory as d\n"
        "d.circumstances = dict\n"  # JAX need not start its devices
        "with d.claim(Path(sys.argv[1]), {'members': 4}): print('held', flush=True); time.sleep(600)"
    )
    root = Path(__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-c", code, tmp_path / "run"]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.kill()


def test_another_process_is_named_and_a_killed_one_holds_nothing(tmp_path, other):
    run, before = tmp_path / "run", datetime.now(UTC)
    found = holder(run)
    assert found[:2] == (platform.node(), other.pid)
    assert timedelta(0) <= before - datetime.fromisoformat(found.since) < timedelta(minutes=5)
    assert json.loads((run / ".lock").read_text()) == found._asdict()
    named = rf"process {other.pid} on {platform.node()} \(since {found.since}\)".replace("+", r"\+")
    for _ in range(2):  # refused, one leaves the other's name as it is
        with pytest.raises(
            RunDirectoryError, match=f"run is in use by another process: it is being written by {named};"
        ):
            claim(run, {"members": 4}).__enter__()
    with pytest.raises(RunDirectoryError, match=f"run is still being written by another process: {named}; wait"):
        reading(run).__enter__()
    other.kill()
    other.wait()
    assert json.loads((run / ".lock").read_text())["pid"] == other.pid  # what is written there is not believed
    assert holder(run) is None
    with reading(run), reading(run):
        assert holder(run) is None  # who reads does not write
    with claim(run, {"members": 4}):
        assert holder(run)[:2] == (platform.node(), os.getpid())
    assert holder(run) is None
    assert (run / ".lock").read_text() == ""


def test_readers_keep_writers_out(tmp_path):
    with claim(tmp_path, CONFIG):
        pass
    with reading(tmp_path), pytest.raises(RunDirectoryError, match="in use by another process: it is being read; wait"):
        claim(tmp_path, CONFIG).__enter__()


def test_a_look_at_the_holder_keeps_nobody_out(tmp_path, monkeypatch):
    """It holds the lock for a moment, for which claims wait."""
    with claim(tmp_path, CONFIG):
        pass
    look = reading(tmp_path)
    look.__enter__()

    def sleep(seconds):
        if seconds > 0:
            look.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", sleep)
    with claim(tmp_path, CONFIG):
        pass


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"host": "a"}', '{"host": "a", "pid": 1, "more": 2}'])
def test_a_holder_of_another_version_goes_without_name(tmp_path, text):
    with claim(tmp_path, CONFIG):
        (tmp_path / ".lock").write_text(text)
        assert holder(tmp_path) == Holder(None, None)
        with pytest.raises(RunDirectoryError, match="being written by a process that has not left its name; wait"):
            claim(tmp_path, CONFIG).__enter__()


def test_nobody_holds_what_is_not_there(tmp_path):
    assert holder(tmp_path) is None
    assert holder(tmp_path / "none") is None
    assert list(tmp_path.iterdir()) == []


def test_directories_without_a_schema_are_of_the_first(tmp_path):
    """They are read and claimed as they are."""
    write_json(tmp_path / "config.json", {"config": CONFIG, "git_commit": None})
    before = (tmp_path / "config.json").read_text()
    assert read_description(tmp_path)["config"] == CONFIG
    with claim(tmp_path, CONFIG):
        pass
    assert (tmp_path / "config.json").read_text() == before


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path):
    write_json(tmp_path / "config.json", {"schema": SCHEMA + 1, "config": CONFIG})
    said = r"config.json was made by a newer widesym \(schema 4, this one reads up to 3\); upgrade"
    with pytest.raises(RunDirectoryError, match=said):
        claim(tmp_path, CONFIG).__enter__()
    with pytest.raises(RunDirectoryError, match=said):
        read_description(tmp_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.parametrize("schema", [0, "2", True, None, 1.5])
def test_a_schema_that_is_none_is_refused(tmp_path, schema):
    write_json(tmp_path / "config.json", {"schema": schema, "config": CONFIG})
    with pytest.raises(RunDirectoryError, match=r"config.json has schema .*; it must be 1 to 3"):
        read_description(tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_json_without_meaning_is_refused_and_the_old_file_stays(tmp_path, value):
    path = tmp_path / "summary.json"
    write_json(path, {"a": 1.5})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"a": [value]})
    assert json.loads(path.read_text()) == {"a": 1.5}
    assert [entry.name for entry in tmp_path.iterdir()] == ["summary.json"]


def test_a_file_is_replaced_not_written_over(tmp_path):
    """A reader that has the old file open reads it to its end."""
    path = tmp_path / "metrics.csv"
    write_text(path, "old and long")
    with path.open() as reader:
        write_text(path, "new")
        assert reader.read() == "old and long"
    assert path.read_text() == "new"
    assert [entry.name for entry in tmp_path.iterdir()] == ["metrics.csv"]
