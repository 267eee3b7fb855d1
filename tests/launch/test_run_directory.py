"""Run directories: one configuration, one process, whole files."""

import json
import math

import numpy as np
import pytest

from launch.run_directory import (
    RunDirectoryError,
    check_config,
    circumstances,
    claim,
    differences,
    write_json,
    write_text,
)

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
        ({"a": 1}, {}, ["a: 1 on disk, None asked for"]),
        ({}, {"a": {"b": 1}}, ["a: None on disk, {'b': 1} asked for"]),
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


@pytest.mark.parametrize("content", [b"{", b"{}", b"[1]", b"\xff\xfe"])
def test_what_is_no_configuration_is_refused(tmp_path, content):
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(RunDirectoryError, match=r"config\.json is not a run's configuration"):
        check_config(tmp_path, CONFIG)


def test_checking_reads_only(tmp_path):
    check_config(tmp_path / "missing", CONFIG)
    assert not (tmp_path / "missing").exists()


def test_a_directory_is_held_by_one_at_a_time(tmp_path):
    """flock holds between open files, in one process as between two (test_interruption.py has two)."""
    with claim(tmp_path, CONFIG), pytest.raises(RunDirectoryError, match="in use by another process"):
        claim(tmp_path, CONFIG).__enter__()
    with claim(tmp_path, CONFIG):  # given back
        pass


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


def test_circumstances_name_the_packages():
    assert {"python", "widesym", "jax", "zarr"} <= circumstances()["versions"].keys()
