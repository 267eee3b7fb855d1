"""Where a run was made: the commit and its changes are those of git, in repositories made for the test."""

import hashlib
import json
import os
import platform
import subprocess
import sys

import pytest

from widesym.launch.runs.provenance import circumstances, git_commit, git_diff


@pytest.fixture
def source(tmp_path):
    """A tracked file, and `git` in its repository; nothing of the user's own configuration counts."""
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}

    def git(*arguments):
        who = ("-c", "user.name=a", "-c", "user.email=a@b.c")
        done = subprocess.run(["git", *who, *arguments], cwd=tmp_path, env=environment, capture_output=True, check=True)
        return done.stdout

    (tmp_path / "code.py").write_text("x = 1\n")
    git("init", "-q")
    git("add", "code.py")
    git("commit", "-q", "-m", "first")
    return tmp_path / "code.py", git


def test_a_clean_tree_is_its_commit(source):
    file, git = source
    assert git_commit(file) == git("rev-parse", "HEAD").decode().strip()
    assert git_diff(file) is None


def test_changes_are_known_by_the_digest_of_their_diff(source):
    file, git = source
    file.write_text("x = 2\n")
    commit = git("rev-parse", "HEAD").decode().strip()
    assert git_commit(file) == f"{commit}+changes"
    expected = hashlib.sha256(git("diff", "HEAD", "--binary")).hexdigest()[:12]
    assert git_diff(file) == expected
    file.write_text("x = 3\n")
    assert git_diff(file) != expected
    git("add", "code.py")  # staged or not, it is the same
    assert git_diff(file) == hashlib.sha256(git("diff", "HEAD", "--binary")).hexdigest()[:12]


def test_binary_changes_count(source):
    file, git = source
    (file.parent / "weights").write_bytes(bytes(range(256)))
    git("add", "weights")
    git("commit", "-q", "-m", "second")
    found = set()
    for byte in (1, 2):
        (file.parent / "weights").write_bytes(bytes([byte]) + bytes(range(255)))
        found.add(git_diff(file))
        assert git_diff(file) == hashlib.sha256(git("diff", "HEAD", "--binary")).hexdigest()[:12]
    assert len(found) == 2
    assert None not in found


def test_a_package_installed_within_a_repository_is_not_of_it(source):
    file, _ = source
    (file.parent / "installed.py").write_text("")
    assert git_commit(file.parent / "installed.py") is None
    assert git_diff(file.parent / "installed.py") is None


def test_circumstances_name_command_packages_and_machine(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["widesym", "train", "a b.yaml"])
    found = json.loads(json.dumps(circumstances()))
    assert found["command"] == ["widesym", "train", "a b.yaml"]
    assert {"python", "widesym", "jax", "zarr"} <= found["versions"].keys()
    assert found["hostname"] == platform.node()
    assert found["platform"] == platform.platform()
    assert {"git_commit", "git_diff"} <= found.keys()
