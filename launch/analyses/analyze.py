"""Runs held against each other and, if asked, against theory: tables, figures and findings in a directory."""

import contextlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
from rich.console import Console

from widesym.analysis.comparison import compare
from widesym.analysis.comparison.agreement import agreements
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
        write_json(output / "runs.json", [summary(name, run) for name, run in runs.items()])
        write_figures(output, figures)
    say_refused(refused, console)
    return tables


def _inputs(matched: Matched, reference: str) -> dict[str, Dataset]:
    """The sets to be shown, the training set that the reference was trained on first."""
    train = training_set(matched.runs[reference])
    return {train.name: train, **matched.data}


def summary(name: str, run: StoredRun) -> dict[str, Any]:
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
