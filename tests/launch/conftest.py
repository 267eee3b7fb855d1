"""What tests of the command share."""

import pytest
from rich.console import Console

from tests.support.figure_files import blank_figures
from tests.support.stored_runs import TRAIN, with_parameters
from widesym.launch import cli
from widesym.launch.kernels.ntk import ntk_of_run
from widesym.launch.runs.stored import StoredRun


@pytest.fixture(scope="session", autouse=True)
def figures_are_blank():
    """Those of comparisons, but within `drawn_figures`."""
    with blank_figures():
        yield


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Run `widesym` in this process, in an empty directory: its exit code, output and error output."""
    monkeypatch.setattr(cli, "configure_jax", lambda: None)  # JAX runs here already
    monkeypatch.setattr(cli, "compile_anew", lambda: None)
    monkeypatch.setattr("widesym.launch.commands.sweep.keep_off_devices", lambda: None)
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        try:
            code = cli.main(arguments) or 0
        except SystemExit as exit_:
            code = exit_.code
        printed = capsys.readouterr()
        return code, " ".join(printed.out.split()), " ".join(printed.err.replace("│", " ").split())

    return run


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A run directory whose parameters are stored at several times."""
    return with_parameters(tmp_path_factory.mktemp("ntk") / "run")


@pytest.fixture(scope="module")
def found(recorded, tmp_path_factory):
    """Its NTKs on five training inputs."""
    directory = tmp_path_factory.mktemp("found") / "ntk"
    return ntk_of_run(StoredRun(recorded), TRAIN, 5, directory, Console(quiet=True))


@pytest.fixture
def widesym(command, tmp_path):
    """`widesym train …`, with this text in run.yaml."""

    def run(text, *arguments):
        if text is not None:
            (tmp_path / "run.yaml").write_text(text)
        return command("train", *arguments)

    return run
