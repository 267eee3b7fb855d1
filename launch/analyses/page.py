"""An analysis directory as one HTML file, to be read anywhere and sent to anyone."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from widesym.launch.analyses.directory import (
    STATUSES,
    HealthCheck,
    Table,
    Verdict,
    figure_names,
    read_agreement,
    read_captions,
    read_config,
    read_figure,
    read_health,
    read_runs,
    read_table,
)
from widesym.launch.analyses.page_parts import Cell, element, escape, folded, missing, page, picture, section, table

OPEN_ROWS = 12  # of a table that is not folded
SOUND, AGREE = "Are the data sound?", "Do they agree?"
SHORT = 60  # characters of a value that stands in a table's row


def render(directory: Path) -> str:
    """The report of an analysis directory as one HTML document, which fetches nothing and runs nothing.

    Parts that are missing are said to be. Raises RunDirectoryError for a directory that no analysis made, and for
    files in it that are damaged, by name.
    """
    config = read_config(directory)
    return page(
        _title(config, directory),
        health_section(read_health(directory)),
        agreement_section(read_agreement(directory)),
        runs_section(read_runs(directory)),
        figures_section(directory),
        tables_section(directory),
        config_section(config),
    )


def health_section(checks: Sequence[HealthCheck] | None) -> str:
    """Whether the data are sound: what was checked, problems first."""
    if checks is None:
        return section(SOUND, missing("No checks were recorded: there is no health.json."))
    counts = Counter(check.status for check in checks)
    total = ", ".join(f"{counts[status]} {status}" for status in STATUSES if counts[status]) or "no checks"
    lines = [
        element(
            "li",
            element("strong", escape(f"{check.status}: {check.what}")),
            " ",
            escape(check.detail),
            class_=check.status,
        )
        for check in checks
    ]
    about = element("p", escape(f"{total}. This is of the data alone: whether they agree is said below."))
    return section(SOUND, about, element("ul", *lines, class_="health"))


def agreement_section(verdicts: Sequence[Verdict] | None) -> str:
    """Whether runs agree with each other and with theory, and by how much; differences first."""
    if verdicts is None:
        why = "No verdicts were recorded: there is no agreement.json; widesym analyze writes it."
        return section(AGREE, missing(why))
    if not verdicts:
        return section(AGREE, missing("Nothing was compared: there is one run, and no prediction."))
    lines = [
        element(
            "li",
            element("strong", escape(f"{each.what}, {each.evaluation_set}: {each.verdict}")),
            " ",
            escape(each.detail),
            class_=each.verdict.replace(" ", "-"),
        )
        for each in verdicts
    ]
    return section(AGREE, element("ul", *lines, class_="agreement"))


def runs_section(runs: Sequence[Mapping[str, Any]] | None) -> str:
    """A row of short values for each run, and its long ones below."""
    if not runs:
        why = "there is no runs.json" if runs is None else "runs.json is empty"
        return section("Runs", missing(f"Nothing is known of the runs: {why}."))
    names = list(dict.fromkeys(name for run in runs for name in run))
    long = [name for name in names if any(_is_long(run.get(name, "")) for run in runs)]
    short = [name for name in names if name not in long]
    rows = [[_cell(run.get(name)) for name in short] for run in runs]
    parts = [table([name.replace("_", " ") for name in short], rows)] if short else []
    for number, run in enumerate(runs, 1):
        inside = [
            element("h3", escape(name.replace("_", " "))) + element("pre", escape(_text(run[name])))
            for name in long
            if name in run
        ]
        parts += [folded(f"{run.get('name', f'run {number}')}: more", *inside)] if inside else []
    return section("Runs", *parts)


def figures_section(directory: Path) -> str:
    """Every figure with its caption; captions whose figures are missing are said."""
    captions = read_captions(directory)
    names = figure_names(directory, captions)
    figures = (read_figure(directory, name, captions.get(name, "")) for name in names)
    shown = [picture(figure.png, figure.size, figure.caption, figure.name) for figure in figures]
    absent = [missing(f"The figure {name} is missing.") for name in captions if name not in names]
    return section("Figures", *(shown + absent or [missing("There are no figures.")]))


def tables_section(directory: Path) -> str:
    """Every table, long ones folded."""
    tables = [_table_part(read_table(path)) for path in sorted((directory / "tables").glob("*.csv"))]
    return section("Tables", *(tables or [missing("There are no tables.")]))


def config_section(config: Mapping[str, Any]) -> str:
    """What was asked for, and with which versions, commit and device it was done."""
    dumped = json.dumps(config["config"], indent=2, ensure_ascii=False)
    versions = config.get("versions")
    parts = [folded("Configuration", element("pre", escape(dumped)))]
    if isinstance(versions, dict) and versions:
        rows = [[str(name), str(version)] for name, version in versions.items()]
        parts.append(folded("Versions", table(["package", "version"], rows)))
    for key in ("git_commit", "device"):
        value = config.get(key)
        said = _text(value) if value else "not recorded"
        parts.append(element("p", escape(f"{key.replace('_', ' ')}: {said}")))
    return section("How it was made", *parts)


def _table_part(found: Table) -> str:
    heading = f"{found.name} ({found.total} row{'' if found.total == 1 else 's'})"
    inside = table(found.header, [[_number(text) for text in row] for row in found.rows])
    if found.total > len(found.rows):
        inside += missing(f"The first {len(found.rows)} of {found.total} rows; all are in tables/{found.name}.csv.")
    return folded(heading, inside) if found.total > OPEN_ROWS else element("h3", escape(heading)) + inside


def _number(text: str) -> Cell:
    """The number that a text is, if it is one and no more is lost than digits after the fourth."""
    if re.fullmatch(r"-?(0|[1-9]\d*)", text):
        return int(text)
    return float(text) if re.fullmatch(r"-?(0|[1-9]\d*)(\.\d*)?(e[+-]?\d+)?|nan|-?inf", text, re.IGNORECASE) else text


def _cell(value: Any) -> Cell:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else _text(value)


def _title(config: Mapping[str, Any], directory: Path) -> str:
    asked = config["config"]
    name = asked.get("name") if isinstance(asked, dict) else None
    return name if isinstance(name, str) and name else directory.resolve().name


def _is_long(value: Any) -> bool:
    text = _text(value)
    return len(text) > SHORT or "\n" in text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)
