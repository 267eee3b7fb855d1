"""What an analysis left in its directory, read: configuration, findings, agreement, runs, figures, tables, inputs."""

import csv
import io
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

import xarray as xr
from PIL import Image, UnidentifiedImageError

from widesym.analysis.comparison.agreement import VERDICTS, Agreement
from widesym.ensembles.data import DataError, Dataset
from widesym.ensembles.data.stored import load_dataset
from widesym.ensembles.files import open_regular, read_text, readable
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import check_schema

Status = Literal["problem", "warning", "ok"]
STATUSES: tuple[Status, ...] = get_args(Status)  # the worst first

FINDINGS = "health.json"
PARTS = ("tables", "figures", FINDINGS, "runs.json")
OF_AGREEMENT = (": noise floor", " and theory")  # ends of what earlier versions called findings
ROWS = 500  # of a table that are read for showing
ANEW = "run widesym analyze again"


@dataclass(frozen=True)
class Finding:
    """What was looked at, how it is, and the particulars: an entry of health.json."""

    what: str
    status: Status
    detail: str


class Figure(NamedTuple):
    """A picture's bytes and size in pixels, and what it shows."""

    name: str
    png: bytes
    size: tuple[int, int]
    caption: str


class FirstRows(NamedTuple):
    """The first rows of a table, as texts, and how many rows it has."""

    name: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    total: int


def read_config(directory: Path) -> dict[str, Any]:
    """config.json; raises RunDirectoryError where `directory` is none that an analysis made."""
    if not directory.is_dir():
        raise RunDirectoryError(f"there is no directory {directory}; name one that an analysis has made")
    absent = not (directory / "config.json").is_file()
    if absent or not any((directory / part).exists() for part in PARTS):
        lacking = "config.json" if absent else ", ".join(PARTS)
        raise RunDirectoryError(
            f"{directory} is no analysis directory: it lacks {lacking}; name one that an analysis made"
        )
    whole = _read_json(directory / "config.json")
    if not isinstance(whole, dict) or "config" not in whole:
        raise damaged(directory / "config.json", "it holds no 'config'")
    check_schema(directory / "config.json", whole)
    return whole


def read_findings(directory: Path) -> list[Finding] | None:
    """Whether the data are sound, problems first; None where there is no health.json.

    What earlier versions said there of agreement is left out.
    """
    path = directory / FINDINGS
    found = _read_list(path)
    if found is None:
        return None
    findings = []
    for entry in found:
        if not entry.keys() >= {"what", "status", "detail"} or entry["status"] not in STATUSES:
            raise damaged(path, f"an entry is {entry}; what, status ({', '.join(STATUSES)}) and detail are needed")
        if not str(entry["what"]).endswith(OF_AGREEMENT):
            findings.append(Finding(str(entry["what"]), entry["status"], str(entry["detail"])))
    return sorted(findings, key=lambda each: STATUSES.index(each.status))


def read_agreements(directory: Path) -> list[Agreement] | None:
    """The verdicts in words, differences first; None where there is no agreement.json."""
    path = directory / "agreement.json"
    found = _read_list(path)
    if found is None:
        return None
    for entry in found:
        if not entry.keys() >= {"what", "evaluation_set", "verdict", "detail"} or entry["verdict"] not in VERDICTS:
            needed = f"what, evaluation_set, verdict ({', '.join(VERDICTS)}) and detail are needed"
            raise damaged(path, f"an entry is {entry}; {needed}")
    agreements = [
        Agreement(str(entry["what"]), str(entry["evaluation_set"]), entry["verdict"], str(entry["detail"]))
        for entry in found
    ]
    return sorted(agreements, key=lambda each: VERDICTS.index(each.verdict))


def read_runs(directory: Path) -> list[dict[str, Any]] | None:
    """What is known of each run, by field; None where there is no runs.json."""
    return _read_list(directory / "runs.json")


def read_captions(directory: Path) -> dict[str, str]:
    """Captions by figure's name, in the order to show them in; none where there is no captions.json."""
    path = directory / "figures" / "captions.json"
    found = _read_json(path) if path.is_file() else {}
    if not isinstance(found, dict):
        raise damaged(path, "it is no mapping from names to captions")
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
        raise damaged(path, str(error)) from None
    return Figure(name, path.read_bytes(), size, caption)


def read_first_rows(path: Path) -> FirstRows:
    """Of a table as CSV; raises RunDirectoryError for a file that is none, with as many fields in every row."""
    try:
        with io.TextIOWrapper(open_regular(path), newline="", encoding="utf-8") as file:
            reader = csv.reader(file, strict=True)
            header = next(reader, [])
            rows = list(itertools.islice(_checked(reader, len(header)), ROWS))
            total = len(rows) + sum(1 for _ in _checked(reader, len(header)))
    except (ValueError, csv.Error) as error:
        raise damaged(path, str(error)) from None
    if not header:
        raise damaged(path, "it is empty")
    return FirstRows(path.stem, header, rows, total)


def read_tables(directory: Path) -> dict[str, xr.Dataset]:
    """All tables by name; raises RunDirectoryError where there are none, or one cannot be read."""
    found = {}
    for path in sorted((directory / "tables").glob("*.nc")):
        with readable(path, RunDirectoryError, ANEW):
            found[path.stem] = xr.load_dataset(path, engine="scipy")
    if not found:
        raise RunDirectoryError(f"{directory} is not the directory of an analysis: there are no tables in it")
    return found


def read_inputs(directory: Path) -> dict[str, Dataset]:
    """The first inputs of each set, by name; raises RunDirectoryError for what cannot be read."""
    folder = directory / "data"
    try:
        found = [load_dataset(folder / f"{index}.npz") for index in range(len(list(folder.glob("*.npz"))))]
    except DataError as error:
        raise RunDirectoryError(f"{error}; {ANEW}") from None
    return {data.name: data for data in found}


def damaged(path: Path, why: str) -> RunDirectoryError:
    """To be raised for a file of an analysis that is not as it was written."""
    return RunDirectoryError(f"{path} is damaged ({why}); {ANEW}")


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
        raise damaged(path, "it is no list of objects")
    return found


def _read_json(path: Path) -> Any:
    try:
        return json.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise damaged(path, str(error)) from None
