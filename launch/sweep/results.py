"""What the runs of a sweep have come to: a row for each of its parameters and metrics, at one recorded step.

Medians are over healthy members and of their last batches; what metrics.csv has is of whole data sets. Members with
numbers of their own, as learning rates, have a row for each value.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from widesym.ensembles.hyperparameters import groups_of
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.runs.metrics import Row, read_metrics
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.record import RunRecord, read_record
from widesym.launch.sweep.changes import Changes, describe_changes, short_names
from widesym.launch.sweep.labels import is_sweep, labels_of, parameters_of
from widesym.launch.sweep.recorded import OfMembers
from widesym.launch.sweep.sources import Records
from widesym.launch.sweep.states import State
from widesym.launch.sweep.status import rows_in

Value = float | str | None
COLUMNS = ("run", "label", "state", "step", "time", "median_loss", "median_accuracy", "median_gradient_norm")


@dataclass(frozen=True, eq=False)
class RecordedRun:
    """A run, what it is called and what sets it apart, its state, and what its members have recorded."""

    name: str
    label: str
    parameters: Changes
    state: State
    records: Records

    @property
    def steps(self) -> set[int]:
        """The steps at which all its members are recorded."""
        return self.records.steps


class Result(NamedTuple):
    """A run, or those of its members that have numbers of their own, at a step; without metrics where it has none.

    `values` are COLUMNS and whatever metrics.csv has, None for what is not known. Of `members` so many are `healthy`.
    """

    label: str
    parameters: dict[str, Any]
    values: dict[str, Value]
    members: int = 0
    healthy: int = 0


def recorded_runs(path: Path) -> list[RecordedRun]:
    """The runs of the sweep in `path`, or else those of all run directories in it; raises RunDirectoryError where
    there are none.
    """
    rows = rows_in(path)
    changes = {row.run: row.changes for row in rows}
    parameters = parameters_of(changes)
    labels = labels_of(changes) if is_sweep(path) else {row.run: row.run for row in rows}
    return [RecordedRun(row.run, labels[row.run], parameters[row.run], row.state, Records(row.places)) for row in rows]


def chosen_step(runs: Sequence[RecordedRun], step: int | None) -> int:
    """The step, or the last that all runs have which have records.

    Raises RunDirectoryError where no run has any, and ConfigError for a step that none has, or where none is common.
    """
    begun = [run for run in runs if run.steps]
    if not begun:
        raise RunDirectoryError(f"none of the {len(runs)} runs has recorded anything yet; see widesym status")
    if step is not None:
        if not any(step in run.steps for run in begun):
            found = ", ".join(map(str, sorted(set.union(*(run.steps for run in begun)))))
            raise ConfigError(f"--step is {step}, which no run has recorded; they have recorded {found}")
        return step
    common = set.intersection(*(run.steps for run in begun))
    if not common:
        last = sorted({max(run.steps) for run in begun})
        raise ConfigError(
            f"the {len(begun)} runs have no recorded step in common; they end at {', '.join(map(str, last))}: say "
            "--step, which shows the runs that have it"
        )
    return max(common)


def results_at(runs: Iterable[RecordedRun], step: int) -> list[Result]:
    """All runs at a step, those among them without metrics that have not recorded it."""
    return [result for run in runs for result in _results(run, step)]


def _results(run: RecordedRun, step: int) -> list[Result]:
    known: dict[str, Value] = {"run": run.name, "label": run.label, "state": run.state}
    names = short_names(run.parameters)
    parameters = {names[field]: value for field, value in run.parameters.items()}
    if step not in run.steps:
        return [Result(run.label, parameters, dict.fromkeys(COLUMNS) | known)]
    everyone, path, whole = run.records.members_at(step), run.records.places[0].path, run.records.whole
    rows = [row for row in read_metrics(RunPaths(path).metrics) if row["step"] == str(step)] if whole else []
    found = []
    for numbers, places in groups_of(numbers_of_record(read_record(path)) if whole else {}, len(everyone.healthy)):
        group = OfMembers(everyone.healthy[places], {name: each[places] for name, each in everyone.metrics.items()})
        own = parameters | numbers
        label = _label(run, own, numbers)
        values = known | {"label": label, "step": step}
        values |= {f"median_{name}": value for name, value in group.medians().items()}
        result = Result(label, own, dict.fromkeys(COLUMNS) | values | _row_of(rows, numbers))
        found.append(result._replace(members=len(places), healthy=int(group.healthy.sum())))
    return found


def _label(run: RecordedRun, parameters: Changes, numbers: dict[str, float]) -> str:
    """That of the run, with the numbers that members have of their own in their places."""
    if not numbers:
        return run.label
    return describe_changes(parameters) if run.parameters else f"{run.label}: {describe_changes(numbers)}"


def _row_of(rows: Sequence[Row], numbers: Mapping[str, float]) -> dict[str, Value]:
    """The row of metrics.csv that is of members with these numbers; nothing of earlier versions, which have one row."""
    for row in rows:
        if all(name in row and float(row[name]) == number for name, number in numbers.items()):
            return {name: float(value) for name, value in row.items() if name not in ("step", *numbers) and value != ""}
    return {}


def numbers_of_record(record: RunRecord) -> dict[str, Any]:
    """The lists in a run's recipe that have a number for each member."""
    recipe = record.recipe if isinstance(record.recipe, dict) else {}
    optimizer = recipe.get("optimizer")
    fields = {"learning_rate": recipe.get("learning_rate"), **(optimizer if isinstance(optimizer, dict) else {})}
    return {
        name: tuple(value) for name, value in fields.items() if isinstance(value, list) and len(value) == record.members
    }


def flat(results: Sequence[Result]) -> list[dict[str, Any]]:
    """A row for each with the same columns: COLUMNS, `members` and `healthy_members`, parameters, metrics.

    Parameters that are called as one of the others are `parameter_…`.
    """
    rows = []
    counts = ("members", "healthy_members")
    metrics = list(dict.fromkeys(name for result in results for name in result.values if name not in COLUMNS + counts))
    taken = {*COLUMNS, *counts, *metrics}
    names = {name: f"parameter_{name}" if name in taken else name for each in results for name in each.parameters}
    for result in results:
        known = result.values["step"] is not None
        of_members = dict(zip(counts, (result.members, result.healthy) if known else (None, None), strict=True))
        parameters = {names[name]: result.parameters.get(name) for name in names}
        values = {name: result.values.get(name) for name in (*COLUMNS, *metrics)}
        rows.append({**{name: values[name] for name in COLUMNS[:3]}, **parameters, **values, **of_members})
    return rows


def csv_field(value: Any) -> Any:
    """A value as a field of a CSV file: specs and lists as JSON, nothing for what is not known."""
    return json.dumps(value) if isinstance(value, dict | list | tuple) else value
