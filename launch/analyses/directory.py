"""What an analysis left behind, read for its report: configuration, health, agreement, runs, figures, tables."""

import csv
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError

from widesym.analysis.comparison.agreement import VERDICTS
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import check_schema

PARTS = ("tables", "figures", "health.json", "runs.json")
STATUSES = ("problem", "warning", "ok")  # the worst first
OF_AGREEMENT = (": noise floor", " and theory")  # ends of what earlier versions called health
ROWS = 500  # of a table that are read for showing


class HealthCheck(NamedTuple):
    """What was looked at, how it is ("ok", "warning" or "problem"), and the particulars."""

    what: str
    status: str
    detail: str


class Verdict(NamedTuple):
    """What was compared on which set, whether it agrees, and by how much."""

    what: str
    evaluation_set: str
    verdict: str
    detail: str


class Figure(NamedTuple):
    """A picture's bytes and size in pixels, and what it shows."""

    name: str
    png: bytes
    size: tuple[int, int]
    caption: str


class Table(NamedTuple):
    """The first rows of a table, and how many it has."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int


def read_config(directory: Path) -> dict[str, Any]:
    """config.json; raises RunDirectoryError where `directory` is none that an analysis made."""
    if not directory.is_dir():
        raise RunDirectoryError(f"there is no directory {directory}; name one that an analysis has made")
    absent = [name for name in ("config.json",) if not (directory / name).is_file()]
    if absent or not any((directory / part).exists() for part in PARTS):
        lacking = "config.json" if absent else ", ".join(PARTS)
        raise RunDirectoryError(
            f"{directory} is no analysis directory: it lacks {lacking}; name one that an analysis made"
        )
    whole = _read_json(directory / "config.json")
    if not isinstance(whole, dict) or "config" not in whole:
        raise _damaged(directory / "config.json", "it holds no 'config'")
    check_schema(directory / "config.json", whole)
    return whole


def read_health(directory: Path) -> list[HealthCheck] | None:
    """The checks, problems first; None where there is no health.json.

    What earlier versions said there of agreement, as if it were health, is left out.
    """
    path = directory / "health.json"
    found = _read_list(path)
    if found is None:
        return None
    checks = []
    for entry in found:
        if not entry.keys() >= set(HealthCheck._fields) or entry["status"] not in STATUSES:
            raise _damaged(path, f"an entry is {entry}; what, status ({', '.join(STATUSES)}) and detail are needed")
        if not str(entry["what"]).endswith(OF_AGREEMENT):
            checks.append(HealthCheck(str(entry["what"]), entry["status"], str(entry["detail"])))
    return sorted(checks, key=lambda check: STATUSES.index(check.status))


def read_agreement(directory: Path) -> list[Verdict] | None:
    """The verdicts, differences first; None where there is no agreement.json."""
    path = directory / "agreement.json"
    found = _read_list(path)
    if found is None:
        return None
    for entry in found:
        if not entry.keys() >= set(Verdict._fields) or entry["verdict"] not in VERDICTS:
            needed = f"what, evaluation_set, verdict ({', '.join(VERDICTS)}) and detail are needed"
            raise _damaged(path, f"an entry is {entry}; {needed}")
    verdicts = [Verdict(*(str(entry[name]) for name in Verdict._fields)) for entry in found]
    return sorted(verdicts, key=lambda each: VERDICTS.index(each.verdict))  # pyright: ignore[reportArgumentType]


def read_runs(directory: Path) -> list[dict[str, Any]] | None:
    """What is known of each run, by field; None where there is no runs.json."""
    return _read_list(directory / "runs.json")


def read_captions(directory: Path) -> dict[str, str]:
    """Captions by figure's name, in the order to show them in; none where there is no captions.json."""
    path = directory / "figures" / "captions.json"
    found = _read_json(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise _damaged(path, "it is no mapping from names to captions")
    return {name: str(caption) for name, caption in found.items()}


def figure_names(directory: Path, captions: dict[str, str]) -> list[str]:
    """Figures that are there: those with captions in the captions' order, then the others."""
    there = sorted(path.stem for path in (directory / "figures").glob("*.png"))
    return [name for name in captions if name in there] + [name for name in there if name not in captions]


def read_figure(directory: Path, name: str, caption: str) -> Figure:
    """One figure; raises RunDirectoryError for a file that is no whole PNG."""
    path = directory / "figures" / f"{name}.png"
    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.load()
            size = image.size
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:  # Pillow's for broken chunks, too
        raise _damaged(path, str(error)) from None
    return Figure(name, path.read_bytes(), size, caption)


def read_table(path: Path) -> Table:
    """One table; raises RunDirectoryError for a file that is no CSV with as many fields in every row."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            rows = list(itertools.islice(_checked(reader, len(header)), ROWS))
            total = len(rows) + sum(1 for _ in _checked(reader, len(header)))
    except (ValueError, csv.Error) as error:
        raise _damaged(path, str(error)) from None
    if not header:
        raise _damaged(path, "it is empty")
    return Table(path.stem, header, rows, total)


def _checked(reader: Any, fields: int):
    for row in reader:
        if len(row) != fields:
            raise ValueError(f"line {reader.line_num} has {len(row)} fields, the header {fields}")
        yield row


def _read_list(path: Path) -> list[dict[str, Any]] | None:
    if not path.is_file():
        return None
    found = _read_json(path)
    if not isinstance(found, list) or not all(isinstance(entry, dict) for entry in found):
        raise _damaged(path, "it is no list of objects")
    return found


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from None


def _damaged(path: Path, why: str) -> RunDirectoryError:
    return RunDirectoryError(f"{path} is damaged ({why}); run the analysis again")
