"""Names that another program, or a library, would take as something else: they are taken as they are, or refused."""

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.support.small_configs import SMALL, created
from widesym.analysis.figures.contact_sheets import contact_sheet
from widesym.analysis.figures.regression import gram_by_class
from widesym.ensembles.data import DataError, Dataset, Splits
from widesym.ensembles.data.cache import cache_home
from widesym.launch.config.checks import check_output
from widesym.launch.errors import SlurmError
from widesym.launch.integrity.files import once_more
from widesym.launch.runs.progress import member_progress, training_progress
from widesym.launch.sweep.executors.slurm.array import SlurmOptions, check_folder
from widesym.launch.sweep.states import JobState
from widesym.launch.sweep.status import Row
from widesym.launch.sweep.status_table import StatusTable

ROOT = Path(__file__).parents[2]
SWEEP = "base:\n" + "\n".join("  " + line for line in SMALL.splitlines()) + "\nproduct: {seed: [0, 1]}\n"
MARKED = "a[red]b[/] :cat: {x} %s $y$"  # rich, rich, str.format, printf, matplotlib


@pytest.mark.parametrize("folder", ["50%aug", "runs/%j", "a\\b", "two\nlines", "a\tb", "\udcff"])
def test_folders_that_sbatch_cannot_be_told_are_refused(tmp_path, folder):
    """SLURM puts numbers in place of %a and the like, and submitit writes the folder into a script as text."""
    for path in (tmp_path / folder, tmp_path / folder / "below"):
        with pytest.raises(SlurmError, match=r"choose a folder without, also above it|choose another folder"):
            check_folder(path)
    check_folder(tmp_path / "a b-c_d.e~f,g=h(i)[j] 'k' é")


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
def test_a_sweep_on_slurm_in_such_a_folder_is_refused_before_anything_is_written(command, tmp_path, options):
    (tmp_path / "run.yaml").write_text(SWEEP)
    code, _, error = command("sweep", "run.yaml", "--executor", "slurm", "--output", "50%aug", *options)
    assert code == 2
    assert "50%aug has a '%', which SLURM puts job numbers and names in place of; choose a folder without" in error
    assert created(tmp_path) == set()


@pytest.mark.parametrize("field", ["name", "partition", "account", "qos"])
def test_lines_of_the_script_do_not_end_early(field):
    with pytest.raises(ValueError, match=f"slurm {field} is .*; it must be of characters that can stand in one line"):
        SlurmOptions(**{field: "a\nreboot"})
    with pytest.raises(ValueError, match="slurm sbatch is"):
        SlurmOptions(sbatch=("exclusive", "comment=a\nreboot"))
    assert SlurmOptions(**{field: "50%é [a]"}).parameters[{"name": "job_name"}.get(field, field)] == "50%é [a]"


def nobody(monkeypatch):
    """A process without HOME whose user the machine does not know, as in containers."""

    def unknown(user):
        raise KeyError(user)

    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("WIDESYM_CACHE", raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown)


def test_who_has_no_home_is_told_so(monkeypatch):
    nobody(monkeypatch)
    with pytest.raises(DataError, match=r"would be in ~/.cache/widesym, but there is no such home; set WIDESYM_CACHE"):
        cache_home()
    monkeypatch.setenv("WIDESYM_CACHE", "~ada-who-is-not-here/cache")
    with pytest.raises(DataError, match="~ada-who-is-not-here/cache, but there is no such home"):
        cache_home()
    monkeypatch.setenv("WIDESYM_CACHE", "/somewhere")
    assert cache_home() == Path("/somewhere")


def test_who_has_no_home_can_train(tmp_path):
    """Nothing is kept, and no folder named ~ appears."""
    script = """if True:
        import pwd, sys
        def unknown(user): raise KeyError(user)
        pwd.getpwuid = unknown
        from widesym.launch.cli import main
        main(sys.argv[1:])
    """
    (tmp_path / "run.yaml").write_text(SMALL)
    environment = {name: value for name, value in os.environ.items() if name not in ("HOME", "WIDESYM_CACHE")}
    environment |= {"PYTHONPATH": str(ROOT), "MPLCONFIGDIR": str(tmp_path / "cache")}

    command = [sys.executable, "-c", script, "train", "run.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert created(tmp_path) == {"runs"}


def test_who_has_no_home_hears_of_it_where_the_cache_matters(command, monkeypatch, tmp_path):
    nobody(monkeypatch)
    told = "the cache would be in ~/.cache/widesym, but there is no such home; set WIDESYM_CACHE to a folder"
    code, _, error = command("data", "verify")
    assert (code, error) == (2, f"widesym: {told}")
    code, text, _ = command("doctor")
    assert code in (0, 1)
    assert told in text
    assert created(tmp_path) == set()


@pytest.mark.parametrize("arguments", [("train", "run.yaml"), ("sweep", "run.yaml"), ("reproduce", "digits-c4")])
def test_a_home_that_no_shell_has_put_in_place_is_no_folder(command, tmp_path, arguments):
    """Shells leave --output=~/runs as it is."""
    (tmp_path / "run.yaml").write_text(SWEEP if arguments[0] == "sweep" else SMALL)
    code, _, error = command(*arguments, "--output=~/runs")
    assert code == 2
    assert "--output is ~/runs, in which no shell has put a home in place of ~" in error
    assert created(tmp_path) == set()
    (tmp_path / "~kept").mkdir()
    check_output(Path("~kept"))


def test_names_on_a_terminal_are_as_they_are():
    """Rich would take some for styles and pictures; what is live, and what is a line."""
    for terminal in (True, False):
        file = io.StringIO()
        console = Console(file=file, force_terminal=terminal, width=200, emoji=False, color_system=None)
        with member_progress(console, MARKED, 2) as report:
            report(2)
        with training_progress(console, MARKED, 2, 3):
            pass
        console.print(
            StatusTable([Row(MARKED, {"data": MARKED}, ((MARKED, JobState("failed", failure=MARKED)),), ())], 9)
        )
        assert file.getvalue().count(MARKED) >= (3 if terminal else 2)


def test_commands_to_go_on_with_can_be_pasted():
    path = Path("my runs/it's $HOME")
    command = once_more(path).partition("once more: ")[2]
    assert shlex.split(command) == ["widesym", "train", str(path / "config.json"), "--output", "ANOTHER"]


def test_a_terminal_without_a_sign_shows_its_number(command, monkeypatch):
    """As with LANG=C and PYTHONIOENCODING=ascii, and for names of files that are no text."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    command("data", "list")
    print("\udcff")
    sys.stdout.flush()
    assert b"8\\xd78" in raw.getvalue()
    assert raw.getvalue().endswith(b"\\udcff\n")


def test_names_in_figures_are_no_mathematics():
    """Of classes, which are names of people's folders."""
    names, labels = ("$\\bad{$", "a_$1", "_c"), np.array([0, 1, 2])
    figure = gram_by_class(np.eye(3), labels, names, "title")
    figure.savefig(io.BytesIO(), format="png")
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()] == [r"\$\bad{\$", r"a_\$1", " _c"]
    atoms = Dataset("atoms", np.ones((3, 2, 4, 3, 1), np.float32), labels, names, "here")
    contact_sheet("atoms", Splits(atoms, atoms), {}).savefig(io.BytesIO(), format="png")
