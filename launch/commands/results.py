"""`widesym results`: what the runs of a sweep have come to, as a table for people or for programs."""

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.table import Table

from widesym.launch.console import literal, of_spreadsheet, print_plain, table_of
from widesym.launch.sweep.results import (
    RecordedRun,
    Result,
    Value,
    chosen_step,
    csv_field,
    flat,
    recorded_runs,
    results_at,
)

LABEL = "run"
SHOWN = {"median_loss": "loss", "median_accuracy": "accuracy", "median_gradient_norm": "|∇|", "time": "t"}
CAPTION = "loss, accuracy and |∇|: of members' last batches, medians; of sets: means over members; t: training time"
OF_SETS = ("accuracy_of_members", "rmse_of_members")  # ends of columns of metrics.csv, after a set's name


@dataclass(frozen=True)
class ResultsCommand:
    """Show what each run of a sweep has come to at the last step that all of them have recorded: medians over members
    of loss, accuracy and gradient norm, and how well they do on the test set.
    """

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="SWEEP")]
    """A sweep's directory, a run directory, or one that holds some."""
    step: int | None = None
    """Another recorded step; runs that do not have it are shown without numbers."""
    csv: bool = False
    """Print all that is known as CSV: parameters, and every column of metrics.csv."""
    json: bool = False
    """Print the same as JSON, null for what is not known."""

    def __post_init__(self):
        if self.csv and self.json:
            raise ValueError("--csv and --json were both asked for; take one")

    def run(self, console: Console) -> None:
        """Print it; raises RunDirectoryError where nothing is recorded, ConfigError for steps that no run has."""
        runs = recorded_runs(self.directory)
        step = chosen_step(runs, self.step)
        found = results_at(runs, step)
        if self.json:
            print_plain(console, json.dumps(flat(found), indent=2, allow_nan=False))
        elif self.csv:
            print_plain(console, csv_text(found))
        else:
            console.print(results_table(found, step))
            for line in said_of_steps(runs, step):
                print_plain(console, line)


def csv_text(results: Sequence[Result]) -> str:
    """The results as CSV, fields that are not known empty."""
    rows = flat(results)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=[*map(of_spreadsheet, rows[0])], lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({of_spreadsheet(name): csv_field(of_spreadsheet(value)) for name, value in row.items()})
    return text.getvalue().rstrip("\n")


def results_table(results: Sequence[Result], step: int) -> Table:
    """A row for each run, or for each number that members have of their own; columns that nobody has are left out."""
    columns = {**SHOWN, **_of_a_set(results)}
    columns = {name: header for name, header in columns.items() if _any_has(results, name)}
    sick = any(result.healthy < result.members for result in results)
    numbers = [*columns.values(), *["healthy"] * sick]
    table = table_of(LABEL, *numbers, "state", numbers=numbers, title=f"At step {step}", caption=CAPTION)
    for result in results:
        cells = [_cell(result.values.get(name)) for name in columns]
        healthy = [f"{result.healthy} of {result.members}" if result.members else ""] * sick
        table.add_row(literal(result.label), *cells, *healthy, literal(str(result.values["state"])))
    return table


def _any_has(results: Sequence[Result], name: str) -> bool:
    return any(result.values.get(name) is not None for result in results)


def _of_a_set(results: Sequence[Result]) -> dict[str, str]:
    """How members do on the test set or, without one, on the first set that they are not trained on."""
    names = dict.fromkeys(name for result in results for name in result.values)
    ends = {name: end for end in OF_SETS for name in names if name.endswith(f"_{end}")}
    sets = {name: name.removesuffix(f"_{end}") for name, end in ends.items()}
    _, *others = sets or ("",)  # the training set is the first
    chosen = next((name for name in others if sets[name] == "test"), next(iter(others), None))
    return {} if chosen is None else {chosen: f"{sets[chosen]}\n{ends[chosen].partition('_')[0]}"}


def _cell(value: Value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else ""


def said_of_steps(runs: Sequence[RecordedRun], step: int) -> list[str]:
    """What runs are behind others, or ahead, as far as that is to be known of a table of one step."""
    begun = [run for run in runs if run.steps]
    last = {run.name: max(run.steps) for run in begun}
    lines = []
    if ahead := [run for run in begun if last[run.name] > step]:
        behind = min(begun, key=lambda run: last[run.name])
        lines.append(
            f"{len(ahead)} of {len(runs)} runs have recorded later steps, up to {max(last.values())}; "
            f"{behind.label} ends at {last[behind.name]}: --step shows another step"
        )
    if lacking := [run for run in runs if step not in run.steps]:
        lines.append(f"{len(lacking)} of {len(runs)} runs have no record of step {step}")
    return lines
