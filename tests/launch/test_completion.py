"""`widesym completion`: scripts that shells read, and what they suggest."""

import shutil
import subprocess
import sys

import pytest

from widesym.launch import cli
from widesym.launch.commands.completion import kept_script

ASK = """
source ./script
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
function=$(complete -p widesym); function=${function#*-F }
${function%% *} widesym
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A directory with the script for bash."""
    folder = tmp_path_factory.mktemp("completion")
    with pytest.MonkeyPatch.context() as patch, (folder / "script").open("w") as script:
        patch.setattr(cli, "configure_jax", lambda: None)
        patch.setattr(sys, "stdout", script)
        cli.main(["completion", "bash"])
    return folder


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "suggested"),
    [
        ("widesym tra", {"train"}),
        ("widesym train --rec", {"--records", "--record-steps"} | {
            f"--recipe.{name}" for name in ("learning-rate", "optimizer", "schedule", "loss", "batches", "augmentation")
        }),
        ("widesym train --dry", {"--dry-run"}),
        ("widesym analyze --sick ", {"refuse", "exclude"}),
        ("widesym kernel --precision ", {"float32", "float64"}),
        ("widesym data pre", {"prepare"}),
        ("widesym reproduce digits", {"digits-c4"}),
        ("widesym train conf", set()),
    ],
)  # fmt: skip
def test_bash_completes(folder, words, suggested):
    done = subprocess.run(["bash", "-c", ASK, "bash", *words.split(" ")], cwd=folder, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert set(done.stdout.split("\n")) - {"", "-h", "--help"} == suggested


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_files_where_no_option_fits(folder):
    done = subprocess.run(
        ["bash", "-c", "source ./script; complete -p widesym"], cwd=folder, capture_output=True, text=True
    )
    assert done.stdout.startswith("complete -o default -F ")


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize("command", ["train", "analyze", "reproduce ntk-drift", "kernel"])
def test_suggestions_are_options_alone(folder, command):
    """Not the rest of a description that has two lines."""
    words = f"widesym {command} --".split()
    done = subprocess.run(["bash", "-c", ASK, "bash", *words], cwd=folder, capture_output=True, text=True)
    suggested = done.stdout.split("\n")[:-1]
    assert len(suggested) > 3
    assert [line for line in suggested if not line.startswith("--") or " " in line] == []


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_scripts_that_are_kept_are_those_of_the_commands(shell):
    """If not: `make completion` writes them anew."""
    assert kept_script(shell) == cli.made_script(shell)


def test_zsh_has_a_script_of_its_own(command):
    code, text, error = command("completion", "zsh")
    assert (code, error) == (0, "")
    assert text.startswith("#compdef widesym")
    assert "completion_array || _files" in text


def test_a_missing_package_is_named(command, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    code, text, error = command("completion", "tcsh")
    assert (code, text) == (2, "")
    assert error == "widesym: completion for tcsh needs the package shtab: pip install shtab"


@pytest.mark.parametrize("shell", [["fsh"], []], ids=str)
def test_other_shells_are_refused(command, shell):
    code, text, error = command("completion", *shell)
    assert (code, text) == (2, "")
    assert "bash" in error
    assert "zsh" in error
