"""An analysis directory as one HTML file, to be read anywhere and sent to anyone: page.html, filled by Jinja."""

import base64
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from widesym.launch.analyses.directory import (
    STATUSES,
    Finding,
    figure_names,
    read_agreements,
    read_captions,
    read_config,
    read_figure,
    read_findings,
    read_first_rows,
    read_runs,
)

Cell = str | int | float

OPEN_ROWS = 12  # of a table that is not folded
SHORT = 60  # characters of a value that stands in a table's row


@dataclass(frozen=True)
class RunRows:
    """Short values of runs as a table, a row each, and the long ones by run: (field, text) of those that have some."""

    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    longer: Sequence[tuple[str, Sequence[tuple[str, str]]]]


@dataclass(frozen=True)
class TableRows:
    """The first rows of a table, with numbers where its texts are numbers, and how many rows it has."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    total: int


def render(directory: Path) -> str:
    """The report of an analysis directory as one HTML document, which fetches nothing and runs nothing.

    Parts that are missing are said to be. Raises RunDirectoryError for a directory that no analysis made, and for
    files in it that are damaged, by name.
    """
    config, captions = read_config(directory), read_captions(directory)
    findings, runs, names = read_findings(directory), read_runs(directory), figure_names(directory, captions)
    page = _environment().get_template("page.html")
    filled = page.render(
        title=_title(config, directory),
        findings=findings,
        counted=_counted(findings or []),
        agreements=read_agreements(directory),
        runs=None if runs is None else _run_rows(runs),
        figures=[read_figure(directory, name, captions.get(name, "")) for name in names],
        figures_missing=[name for name in captions if name not in names],
        tables=[_table_rows(path) for path in sorted((directory / "tables").glob("*.csv"))],
        open_rows=OPEN_ROWS,
        asked=json.dumps(config["config"], indent=2, ensure_ascii=False),
        versions=_versions(config.get("versions")),
        git_commit=_said(config.get("git_commit")),
        device=_said(config.get("device")),
    )
    return filled.encode("utf-8", "replace").decode()  # lone surrogates, which JSON can hold and UTF-8 cannot


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"short": _short, "base64": lambda content: base64.b64encode(content).decode()}
    return environment


def _title(config: Mapping[str, Any], directory: Path) -> str:
    asked = config["config"]
    name = asked.get("name") if isinstance(asked, dict) else None
    return name if isinstance(name, str) and name else directory.resolve().name


def _counted(findings: Sequence[Finding]) -> str:
    """How many there are of each status, the worst first."""
    counts = Counter(each.status for each in findings)
    return ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]) or "no checks"


def _run_rows(runs: Sequence[Mapping[str, Any]]) -> RunRows:
    """Fields that are long in some run are left out of the table, and stand below it."""
    names = list(dict.fromkeys(name for run in runs for name in run))
    long = [name for name in names if any(_is_long(run.get(name, "")) for run in runs)]
    short = [name for name in names if name not in long]
    longer = [
        (str(run.get("name", f"run {number}")), [(_heading(name), _text(run[name])) for name in long if name in run])
        for number, run in enumerate(runs, 1)
    ]
    return RunRows(
        header=[_heading(name) for name in short],
        rows=[[_cell(run.get(name)) for name in short] for run in runs] if short else [],
        longer=[(name, fields) for name, fields in longer if fields],
    )


def _table_rows(path: Path) -> TableRows:
    table = read_first_rows(path)
    rows = [[_number(text) for text in row] for row in table.rows]
    return TableRows(table.name, table.header, rows, table.total)


def _versions(found: Any) -> list[tuple[str, str]]:
    return [(str(name), str(version)) for name, version in found.items()] if isinstance(found, dict) else []


def _said(value: Any) -> str:
    return _text(value) if value else "not recorded"


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _number(text: str) -> Cell:
    """The number that a text is, if it is one and no more is lost than digits after the fourth."""
    if re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*)?(e[+-]?\d+)?|nan|-?inf", text, re.IGNORECASE) else text


def _short(value: Cell) -> str:
    """A cell's text: numbers with fractions to four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _cell(value: Any) -> Cell:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)


def _is_long(value: Any) -> bool:
    text = _text(value)
    return len(text) > SHORT or "\n" in text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
