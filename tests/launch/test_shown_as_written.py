"""Names, files and heartbeats that would steer a terminal, style a table or be computed: shown as they are written."""

import csv
import io
import json

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from tests.support.small_configs import SMALL
from widesym.launch.analyses.files import write_tables
from widesym.launch.console import literal, of_spreadsheet, print_plain, printable, table_of
from widesym.launch.runs.heartbeat import Heartbeat, read_heartbeat
from widesym.launch.runs.metrics import add_rows, read_metrics
from widesym.launch.runs.progress import gram_progress

CLEAR = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"  # clears the screen, names the window, turns red, writes backwards
WRITTEN = r"\x1b[2J\x1b]0;owned\x07\x9b31m\u202e"


def console():
    return Console(file=io.StringIO(), force_terminal=True, color_system=None, width=120, emoji=False)


def test_nothing_steers_the_terminal():
    assert printable(f"a{CLEAR}\tb\nc\r") == f"a{WRITTEN}\tb\nc\\r"
    assert printable("Ünïcödé 象 [b]x[/]") == "Ünïcödé 象 [b]x[/]"
    plain = console()
    print_plain(plain, f"run {CLEAR}: [red]finished[/] :smile:")
    assert plain.file.getvalue() == f"run {WRITTEN}: [red]finished[/] :smile:\n"


def test_cells_and_heads_of_tables_are_no_markup():
    shown, text = console(), f"[red]x[/] {CLEAR} [/nothing]"
    table = table_of(text, numbers=())
    table.add_row(literal(text))
    shown.print(table)
    lines = [line.strip() for line in shown.file.getvalue().splitlines() if "x" in line]
    assert lines == [f"[red]x[/] {WRITTEN} [/nothing]"] * 2


def test_what_is_refused_is_told_as_it_is_written(widesym):
    """By the command itself, of a field and of a file."""
    code, _, error = widesym(SMALL.replace("digits", '"\\e[2Jdigits"'), "run.yaml")
    assert code == 2
    assert "\x1b" not in error
    assert r"\x1b[2Jdigits" in error
    code, _, error = widesym(None, "\x1b[2Jrun.yaml")
    assert code == 2
    assert "\x1b" not in error


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1+cmd", "'+1+cmd"),
        ("-1+cmd", "'-1+cmd"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("-1.5e-3", "-1.5e-3"),
        ("-inf", "-inf"),
        ("a=1", "a=1"),
        (-0.5, -0.5),
    ],
)
def test_what_a_spreadsheet_would_compute_is_text(value, cell):
    assert of_spreadsheet(value) == cell
    assert of_spreadsheet(cell) == cell


def test_files_for_spreadsheets_hold_no_formulas(tmp_path):
    """A table of an analysis, and metrics.csv, whose columns are named after sets, over several records."""
    values = {"divergence": (("run",), np.array([-0.5, 2.0]))}
    write_tables(tmp_path, {"found": xr.Dataset(values, {"run": ["=cmd|' /C calc'!A0", "-plain"]})})
    rows = list(csv.reader((tmp_path / "tables" / "found.csv").read_text().splitlines()))
    assert rows == [["run", "divergence"], ["'=cmd|' /C calc'!A0", "-0.5"], ["'-plain", "2.0"]]
    for step in (0, 4):
        add_rows(tmp_path / "metrics.csv", [{"step": step, "=set_rmse": -0.25}])
    assert read_metrics(tmp_path / "metrics.csv") == [{"step": str(n), "'=set_rmse": "-0.25"} for n in (0, 4)]


@pytest.mark.parametrize(
    "change", [{"step": "[red]1[/]"}, {"host": 3}, {"rate": float("nan")}, {"beat": True}, {"pid": None}]
)
def test_a_heartbeat_that_is_none_of_ours_is_none(tmp_path, change):
    beat = Heartbeat("host", 3, 1, 2, 10, 4, 1.5)
    for content, expected in ((beat._asdict(), beat), (beat._asdict() | change, None)):
        (tmp_path / "heartbeat.json").write_text(json.dumps(content))
        assert read_heartbeat(tmp_path) == expected


def test_bars_are_named_as_it_is_written():
    shown = console()
    with gram_progress(shown, f"[red]x[/]{CLEAR}"):
        pass
    text = shown.file.getvalue()
    assert "[red]x[/]" in text
    assert "\x1b[2J" not in text
    assert "\x07" not in text
