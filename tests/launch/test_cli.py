"""The command's arguments: what it refuses, with exit code 2, a message and nothing written."""

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from widesym.launch import cli
from widesym.launch.recipes import RECIPES
from widesym.models.zoo import MODELS

ROOT = Path(__file__).parents[2]
COMMANDS = (
    "train, sweep, status, results, work, kernel, ntk, analyze, plot, report, models, doctor, data, reproduce, "
    "completion"
)
NAMES = ", ".join(RECIPES)


@pytest.mark.parametrize(
    ("cache", "folder"), [("", "me/.cache/widesym"), ("~/here", "me/here"), (None, "me/.cache/widesym")]
)
def test_compiled_programs_are_kept_where_data_are(monkeypatch, cache, folder):
    settings = {}
    monkeypatch.setattr(jax.config, "update", settings.__setitem__)
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("WIDESYM_CACHE", cache) if cache is not None else monkeypatch.delenv(
        "WIDESYM_CACHE", raising=False
    )
    cli.configure_jax()
    assert settings["jax_compilation_cache_dir"] == f"/home/{folder}/compiled"


def options(text):
    return ["reproduce", "digits-c4", *text.split()]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["reproduce", "nope"], f"unknown recipe 'nope'; the recipes are: {NAMES}"),
        (["reproduce"], f"no recipe named; the recipes are: {NAMES}"),
        (["trian"], f"unknown command 'trian'; the commands are: {COMMANDS}"),
        (["models", "--width", "1"], "--width is 1; it must be between 2 and 65536"),
        (["models", "gcnn"], "gcnn"),
        (options("--colour red"), "Unrecognized options: --colour"),
        (options("--members 4"), "--members is 4; it must be between 5 and 100000"),
        (options("--members many"), "--members"),
        (options("--width 3"), "--width is 3; it must be even"),
        (options("--width 0"), "--width is 0; it must be between 2 and 4096"),
        (options("--steps 0"), "--steps is 0; it must be between 1"),
        (options("--records 1"), "--records is 1; it must be between 2"),
        (options("--train 1001"), "--train is 1001; it must be between 1 and 1000"),
        (options("--samples 0"), "--samples is 0; it must be between 1 and 512"),
        (options("--seed -1"), "--seed is -1; it must be between 0"),
        (options("--rate 2"), "--rate is 2.0; descent converges for fractions between 0 and 1"),
        (options("--rate .nan"), "--rate is nan"),
        (options("--ood nois"), "Expected one of ('noise', 'letters', 'ising')"),
        (options("--ood noise noise"), "names no set, or one twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_exits_with_2_and_writes_nothing(command, tmp_path, arguments, message):
    code, _, error = command(*arguments)
    assert code == 2
    assert message in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("output", ["taken", "taken/deep/runs"])
def test_output_that_cannot_be_a_directory_is_refused(command, tmp_path, output):
    (tmp_path / "taken").write_text("mine")
    code, _, error = command(*options(f"--output {output}"))
    assert code == 2
    assert f"--output is {output}, but" in error
    assert (tmp_path / "taken").read_text() == "mine"


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["reproduce", "--help"]], ids=" ".join)
def test_usage_names_the_recipes(command, arguments):
    code, text, _ = command(*arguments)
    assert code == 0
    assert "usage: widesym reproduce NAME" in text
    assert "digits-c4" in text


def test_help_of_a_recipe_names_its_options(command):
    code, text, _ = command(*options("--help"))
    assert code == 0
    for option in ("--members", "--width", "--steps", "--train", "--samples", "--ood", "--rate", "--seed", "--output"):
        assert option in text


def test_models_are_listed(command):
    code, text, _ = command("models")
    assert code == 0
    for row in ("mlp 8×8×1 512 300,032 none yes", "mnist-c4-gcnn 28×28×1 4 146,724 C4 no (MaxPool)"):
        assert row in text
    assert all(model.name in text for model in MODELS)


def test_models_at_a_width(command):
    code, text, _ = command("models", "--width", "8")
    assert code == 0
    assert "mlp 8×8×1 8 656 none yes" in text  # 64·8 + 8·8 + 8·10
    assert "300,032" not in text


def test_version(command):
    assert command("--version")[:2] == (0, importlib.metadata.version("widesym"))


def test_the_installed_command_is_this_one(tmp_path):
    """As users run it: configured JAX, exit code and message of the process."""
    command = Path(sys.executable).with_name("widesym")
    done = subprocess.run([command, "reproduce", "nope"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == f"widesym: unknown recipe 'nope'; the recipes are: {NAMES}\n"
