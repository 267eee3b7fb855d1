"""What is to be known of runs and their comparison before its numbers are believed."""

import json
from collections.abc import Mapping
from typing import Literal, TypedDict

import numpy as np
import xarray as xr

from analysis.resampling import FEWEST
from ensembles.checks import listed
from launch.begun import is_of_earlier
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
        found += [_of_pairing(matched, tables["divergence"], str(run)) for run in tables["divergence"].run.values]
        found += _of_divergence(tables["divergence"])
    if "theory" in tables:
        found += _of_theory(tables["theory"])
    return found


def not_drawn(refused: Mapping[str, str]) -> list[Finding]:
    """Of figures, by name with the reason."""
    return [_finding(f"figure {name}", "warning", f"not drawn: {reason}") for name, reason in refused.items()]


def _finding(what: str, status: Status, detail: str) -> Finding:
    return {"what": what, "status": status, "detail": detail}


def _of_run(name: str, run: StoredRun, kept: np.ndarray) -> list[Finding]:
    members = run.config["members"]
    sick = sorted(set(range(members)) - set(kept.tolist()))
    detail = f"all {members} members are finite" if not sick else f"{len(sick)} of {members} left out: {listed(sick)}"
    found = [_finding(f"{name}: members", "warning" if sick else "ok", detail)]
    if len(kept) == 1:
        found.append(_finding(f"{name}: spread", "warning", "one member: no noise floor, no interval, no z score"))
    elif len(kept) < FEWEST:
        detail = f"{len(kept)} members: no interval, no z score; these take {FEWEST}"
        found.append(_finding(f"{name}: spread", "warning", detail))
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
    if not limit > 0:
        return []
    detail = f"{rate:.4g}, {rate / limit:.0%} of the largest stable one at initialisation ({limit:.4g})"
    return [_finding(f"{name}: learning rate", "ok" if rate <= limit else "warning", detail)]


def _of_pairing(matched: Matched, table: xr.Dataset, run: str) -> Finding:
    """How a run and the reference depend on each other, and what that does to their comparison."""
    reference, row = str(table.attrs["reference"]), table.sel(run=run)
    pairs, status = int(row["pairs"]), "ok"
    detail = "no member of one depends on a member of the other"
    if pairs:
        detail = f"{pairs} pairs of members that share their randomness: compared by their differences"
        if any(is_of_earlier(matched.runs[each].path) for each in (run, reference)):
            status = "warning"
            detail += (
                f". They come from seed {matched.runs[run].config['seed']} alone, whatever the run; ensembles that are "
                "to be independent need seeds of their own"
            )
    left_out = {run: int(row["left_out"]), reference: int(row["reference_left_out"])}
    if any(left_out.values()):
        status = "warning"
        why = "have no partner in the other" if pairs else "have a partner in the other"
        listed_out = " and ".join(f"{count} of {name}" for name, count in left_out.items() if count)
        detail += f"; members that {why} are left out of this comparison: {listed_out}"
    return _finding(f"{run} and {reference}: {'paired' if pairs else 'independent'}", status, detail)


def _of_divergence(table: xr.Dataset) -> list[Finding]:
    """On which sets means can be told apart at the last time, run by run."""
    if "squared_divergence_interval" not in table:
        return []
    found, last = [], table.isel(time=-1)
    for run in table.run.values:
        at = last.sel(run=run)
        low = at.squared_divergence_interval.sel(end="low").values
        if np.isnan(low).any():
            continue
        shown = [
            f"{of_set} (D = {d:.3g}, floor {floor:.3g})"
            for of_set, d, floor in zip(
                at.evaluation_set.values, at.divergence.values, at.noise_floor.values, strict=True
            )
        ]
        reached, above = _parted(shown, low <= 0)
        detail = f"reached on {reached}; means are further apart than members scatter on {above}"
        found.append(_finding(f"{run} and {table.attrs['reference']}: noise floor", "ok", detail))
    return found


def _of_theory(table: xr.Dataset) -> list[Finding]:
    """On which sets the mean is within its own standard error of the prediction at the last time, run by run."""
    if "rms_z" not in table:
        return []
    found, last = [], table.isel(time=-1)
    for run in table.run.values:
        at = last.sel(run=run)
        at = at.isel(evaluation_set=np.isfinite(at.rms_z.values))  # others are the same for all members, as blank ones
        if not at.sizes["evaluation_set"]:
            continue
        scores, highest = at.rms_z.values, at.rms_z_interval.sel(end="high").values
        relative = (at.distance / at.scale.where(at.scale > 0)).values
        shown = [
            f"{of_set} ({share:.1%} of its size away, rms z {score:.3g})"
            for of_set, share, score in zip(at.evaluation_set.values, relative, scores, strict=True)
        ]
        within, beyond = _parted(shown, scores <= highest)
        detail = f"the mean is as far from the predicted one as members scatter on {within}; further on {beyond}"
        found.append(_finding(f"{run} and theory", "ok", detail))
    return found


def _parted(names: list[str], first: np.ndarray) -> tuple[str, str]:
    """Names in two lists, for people."""
    parts = (
        [name for name, is_first in zip(names, first, strict=True) if is_first == which] for which in (True, False)
    )
    one, other = (", ".join(part) or "none" for part in parts)
    return one, other
