"""What tests of the command share."""

import pytest

from launch import cli


@pytest.fixture
def command(monkeypatch, tmp_path, capsys):
    """Run `widesym` in this process, in an empty directory: its exit code, output and error output."""
    monkeypatch.setattr(cli, "configure_jax", lambda: None)  # JAX runs here already
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
