"""What is to be known of runs and their comparison before its numbers are believed."""

import json
from collections.abc import Mapping
from typing import Literal, TypedDict

import numpy as np
import xarray as xr

from ensembles.checks import listed
from launch.matching import Matched
from launch.stored_members import StoredRun

Status = Literal["ok", "warning", "problem"]


class Finding(TypedDict):
    """One line of the report."""

    what: str
    status: Status
    detail: str


def findings(matched: Matched, tables: Mapping[str, xr.Dataset], drawn: list[str]) -> list[Finding]:
    """Of every run, then of the comparison; `drawn` are the runs whose predictions hold in the mean alone."""
    found = [each for name, run in matched.runs.items() for each in _of_run(name, run, matched.kept[name])]
    found += [_finding("what only some runs have", "warning", f"left out: {line}") for line in matched.left_out]
    found += [
        _finding(f"{name}: theory", "warning", "draws of samples or group elements add to the predicted spread")
        for name in drawn
    ]
    if "divergence" in tables:
        found += _of_divergence(tables["divergence"])
    if "theory" in tables:
        found += _of_theory(tables["theory"])
    return found


def _finding(what: str, status: Status, detail: str) -> Finding:
    return {"what": what, "status": status, "detail": detail}


def _of_run(name: str, run: StoredRun, kept: np.ndarray) -> list[Finding]:
    members = run.config["members"]
    sick = sorted(set(range(members)) - set(kept.tolist()))
    detail = f"all {members} members are finite" if not sick else f"{len(sick)} of {members} left out: {listed(sick)}"
    found = [_finding(f"{name}: members", "warning" if sick else "ok", detail)]
    if len(kept) == 1:
        found.append(_finding(f"{name}: spread", "warning", "one member: no noise floor, no interval, no z score"))
    steps = run.config.get("record_steps", run.recorded_steps)
    if not (run.path / "finished.json").exists():
        detail = f"recorded to step {run.recorded_steps[-1]} of {steps[-1]}; start it again, and it goes on"
        found.append(_finding(f"{name}: not finished", "warning", detail))
    return found + _of_rate(name, run)


def _of_rate(name: str, run: StoredRun) -> list[Finding]:
    """The learning rate against the bound that was found before training, where there is one."""
    try:
        bound = json.loads((run.path / "stability.json").read_text())
        rate, limit = float(bound["learning_rate"]), float(bound["largest_learning_rate"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    detail = f"{rate:.4g}, {rate / limit:.0%} of the largest stable one at initialisation ({limit:.4g})"
    return [_finding(f"{name}: learning rate", "ok" if rate <= limit else "problem", detail)]


def _of_divergence(table: xr.Dataset) -> list[Finding]:
    """Whether means can be told apart at the last time."""
    if "squared_divergence_interval" not in table:
        return []
    found, last = [], table.isel(time=-1)
    for run in table.run.values:
        for of_set in table.evaluation_set.values:
            at = last.sel(run=run, evaluation_set=of_set)
            low = float(at.squared_divergence_interval.sel(end="low"))
            apart = f"D = {float(at.divergence):.4g}, noise floor {float(at.noise_floor):.4g}"
            detail = (
                f"{apart}: further apart than {int(at.members)} and {table.attrs['reference_members']} members scatter"
                if low > 0
                else f"{apart}: not to be told apart by so many members"
            )
            found.append(_finding(f"{run} and {table.attrs['reference']} on {of_set}", "ok", detail))
    return found


def _of_theory(table: xr.Dataset) -> list[Finding]:
    """Whether the mean is within its own standard error of the prediction at the last time."""
    if "rms_z" not in table:
        return []
    found, last = [], table.isel(time=-1)
    for run in table.run.values:
        for of_set in table.evaluation_set.values:
            at = last.sel(run=run, evaluation_set=of_set)
            rms, (low, high) = float(at.rms_z), at.rms_z_interval.values
            if not np.isfinite(rms):
                continue
            relative = float(at.distance / at.scale)
            scores = f"rms z {rms:.3g}, without bias {low:.2g} to {high:.2g}"
            detail = f"{relative:.1%} of the predicted mean's size away; {scores}"
            status: Status = "ok" if rms <= high else "warning"
            found.append(_finding(f"{run} and theory on {of_set}", status, detail))
    return found
