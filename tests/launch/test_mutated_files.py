"""`widesym train` with files in which anything may be wrong: the field is named, and nothing is written."""

import contextlib
import io

import pytest
from hypothesis import given, settings

from tests.support.mutated_files import FILE, MUTANTS
from widesym.launch import cli
from widesym.launch.commands import train


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty directory to work in, where no time is spent on trials."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "configure_jax", lambda: None)
        patch.setattr(cli, "compile_anew", lambda: None)
        patch.setattr(train, "predicted_time", lambda run: "a while")
        folder = tmp_path_factory.mktemp("mutants")
        patch.chdir(folder)
        yield folder


def asked(*arguments):
    """Exit code, output and error output of `widesym train`."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            cli.main(["train", FILE, *arguments])
        except SystemExit as exit_:
            code = exit_.code
    return code, out.getvalue(), err.getvalue()


@settings(max_examples=200)
@given(mutant=MUTANTS)
def test_what_is_wrong_is_named_and_nothing_is_written(folder, mutant):
    """Whatever is refused is refused with the same words when it is only looked at."""
    content, names = mutant
    (folder / FILE).write_bytes(content)
    code, printed, error = asked("--dry-run")
    if code == 0:  # another file, but a right one
        assert "member-steps" in printed
        assert error == ""
    else:
        assert asked() == (code, printed, error) == (2, "", error)
        assert error.startswith("widesym: run.yaml")
        assert any(name in error for name in names)
    assert [path.name for path in folder.iterdir()] == [FILE]
