"""Runs held against each other and, if asked, against theory: tables, figures and findings in a directory."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

from widesym.analysis.comparison import compare
from widesym.analysis.comparison.agreement import agreements, spoken
from widesym.ensembles.data import Dataset
from widesym.launch.analyses.directory import FINDINGS
from widesym.launch.analyses.figures import figures_of, say_refused
from widesym.launch.analyses.files import check_ours, write_figures, write_inputs, write_tables
from widesym.launch.analyses.findings import findings, not_drawn, of_pairing
from widesym.launch.analyses.matching import Matched, compared, match
from widesym.launch.analyses.options import AnalysisOptions, config_of
from widesym.launch.analyses.output import ANALYSIS, make_room
from widesym.launch.analyses.theory import (
    CHEAPER,
    KernelStore,
    check_all_covered,
    grams_left,
    holds_in_the_mean_alone,
    predictions,
)
from widesym.launch.console import literal, print_plain, table_of
from widesym.launch.errors import ConfigError, MismatchError
from widesym.launch.kernels.consent import agree, work_of
from widesym.launch.runs.data import training_set
from widesym.launch.runs.directory import check_config, claim, reading_records
from widesym.launch.runs.files import write_json
from widesym.launch.runs.progress import member_progress
from widesym.launch.runs.stored import StoredRun
from widesym.models.description import as_text


def analyse(
    asked: AnalysisOptions, runs: Mapping[str, StoredRun], output: Path, kernels: KernelStore, console: Console
) -> dict[str, xr.Dataset]:
    """Compare the runs and leave tables, figures and findings in `output`.

    Runs that are being written are read as far as they were recorded when they were opened. Raises MismatchError for
    runs that do not fit each other, NoTheoryError for those that there is no prediction of, SickMembersError, before
    anything is computed.
    """
    with contextlib.ExitStack() as held:
        for run in runs.values():
            held.enter_context(reading_records(run.path))
        matched = match(runs, asked.sick)
        reference = matched.named(asked.reference)
        config = config_of(asked, matched, reference)
        check_ours(output)
        if not asked.overwrite:
            check_config(output, config, ANALYSIS)
        if asked.theory:
            check_all_covered(matched)
            agree(work_of(grams_left(matched, kernels)), asked.yes, console, CHEAPER)
        if asked.overwrite:
            make_room(output, config)
        held.enter_context(claim(output, config, ANALYSIS))
        ensembles = compared(matched, predictions(matched, kernels) if asked.theory else {})
        total = len(ensembles) * len(matched.times)
        with member_progress(console, "comparison", total, things="ensembles × times") as report:
            try:
                tables = compare(ensembles, matched.times, reference, asked.draws, asked.seed, report)
            except ValueError as error:  # of logits that are damaged, or not finite
                raise MismatchError(str(error)) from None
        drawn = [name for name, run in runs.items() if asked.theory and holds_in_the_mean_alone(run.recipe)]
        inputs = _inputs(matched, reference)
        write_tables(output, tables)
        write_inputs(output, inputs)
        figures, refused = figures_of(tables, inputs)
        sound = [*findings(matched, drawn), *of_pairing(matched, tables), *not_drawn(refused)]
        write_json(output / FINDINGS, [asdict(each) for each in sound])
        write_json(output / "agreement.json", [asdict(each) for each in agreements(tables)])
        write_json(output / "runs.json", [described(name, run) for name, run in runs.items()])
        write_figures(output, figures)
    say_refused(refused, console)
    return tables


def _inputs(matched: Matched, reference: str) -> dict[str, Dataset]:
    """The sets to be shown, the training set that the reference was trained on first."""
    train = training_set(matched.runs[reference])
    return {train.name: train, **matched.data}


def described(name: str, run: StoredRun) -> dict[str, Any]:
    """A run, for the report."""
    record = run.record
    about = record.data[record.training_set]
    return {
        "name": name,
        "path": str(run.path),
        "members": record.members,
        "steps": run.recorded_steps[-1],
        "training time": f"{np.max(run.times(run.recorded_steps)):.4g}",
        "training set": f"{record.training_set}, {about.samples} samples",
        "seed": record.seed,
        "randomness": record.randomness,
        "architecture": _said(run, "architecture"),
        "recipe": _said(run, "recipe"),
        "provenance": about.provenance,
    }


def _said(run: StoredRun, name: Literal["architecture", "recipe"]) -> str:
    """The spec as it is printed, or what is written of one with classes that are not known here."""
    try:
        return str(getattr(run, name))
    except ConfigError:
        return as_text(getattr(run.record, name))


def tell(tables: Mapping[str, xr.Dataset], console: Console) -> None:
    """Print the numbers at the last time, and what they say."""
    console.print(standing(tables))
    for line in spoken(agreements(tables)):
        print_plain(console, line)


def standing(tables: Mapping[str, xr.Dataset]) -> Table:
    """The numbers at the last time, a row for each run and evaluation set."""
    last = {name: tables[name].isel(time=-1) for name in ("divergence", "theory") if name in tables}
    time = float(tables["mean_logits"]["time"][-1])
    columns = {
        ("divergence", "divergence"): "D",
        ("divergence", "noise_floor"): "noise\nfloor",
        ("divergence", "predicted_divergence"): "D at\ninfinity",
        ("theory", "distance"): "to\ntheory",
        ("theory", "expected_distance"): "by\nscatter",
        ("theory", "rms_z"): "rms z",
    }
    shown = {key: label for key, label in columns.items() if key[0] in last and key[1] in last[key[0]]}
    texts = ("run", "set", "paired") if "divergence" in tables else ("run", "set")
    made = table_of(
        *texts,
        *shown.values(),
        numbers=shown.values(),
        title=f"At t = {time:.4g}: distances of mean logits",
        caption="D: to the reference's mean; at infinity: of infinitely wide and large ensembles; by scatter: what the "
        "members' scatter makes of the distance to theory; paired: members that share their randomness are compared by "
        "their differences",
    )
    made.padding = 0  # else nine columns leave no room for names
    means = tables["mean_logits"]
    for run in means.run.values:
        for of_set in dict.fromkeys(means.evaluation_set.values):
            cells = [_cell(last[table], run, of_set, name) for table, name in shown]
            if set(cells) != {"-"}:  # as of the reference without theory
                pairing = [_pairing(tables["divergence"], run)] if "divergence" in tables else []
                made.add_row(literal(str(run)), literal(str(of_set)), *pairing, *cells)
    return made


def _pairing(divergence: xr.Dataset, run: str) -> str:
    if run not in divergence.run.values:
        return "-"
    return "yes" if divergence.pairing.sel(run=run).item() == "paired" else "no"


def _cell(table: xr.Dataset, run: str, of_set: str, name: str) -> str:
    if run not in table.run.values:
        return "-"
    value = float(table[name].sel(run=run, evaluation_set=of_set))
    return f"{value:.3g}" if np.isfinite(value) else "-"
