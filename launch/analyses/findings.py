"""Whether the data of a comparison are sound: what is to be known of runs before its numbers are believed.

Whether they agree with each other, or with theory, is another matter (`widesym.analysis.comparison.agreement`).
"""

import json
from collections.abc import Mapping

import numpy as np
import xarray as xr

from widesym.analysis.estimators.means import FEWEST
from widesym.ensembles.checks import listed
from widesym.ensembles.data import DataError
from widesym.ensembles.files import read_text
from widesym.launch.analyses.directory import Finding
from widesym.launch.analyses.matching import Matched
from widesym.launch.errors import ConfigError
from widesym.launch.integrity.old_gradients import wrong_gradient
from widesym.launch.runs.begun import is_of_earlier
from widesym.launch.runs.data import stored_set
from widesym.launch.runs.directory import holder, read_description
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.stored import StoredRun


def findings(matched: Matched, drawn: list[str]) -> list[Finding]:
    """Of every run, then of what they have in common; `drawn` are the runs whose predictions hold in the mean alone."""
    found = [each for name, run in matched.runs.items() for each in _of_run(name, run, matched.kept[name])]
    found += [Finding("what only some runs have", "warning", f"left out: {line}") for line in matched.left_out]
    found += [
        Finding(f"{name}: theory", "warning", "draws of samples or group elements add to the predicted spread")
        for name in drawn
    ]
    return found


def not_drawn(refused: Mapping[str, str]) -> list[Finding]:
    """Of figures, by name with the reason."""
    return [Finding(f"figure {name}", "warning", f"not drawn: {reason}") for name, reason in refused.items()]


def _of_run(name: str, run: StoredRun, kept: np.ndarray) -> list[Finding]:
    members = run.record.members
    sick = sorted(set(range(members)) - set(kept.tolist()))
    detail = f"all {members} members are finite" if not sick else f"{len(sick)} of {members} left out: {listed(sick)}"
    found = [Finding(f"{name}: members", "warning" if sick else "ok", detail)]
    if len(kept) == 1:
        found.append(Finding(f"{name}: spread", "warning", "one member: no noise floor, no interval, no z score"))
    elif len(kept) < FEWEST:
        detail = f"{len(kept)} members: no interval, no z score; these take {FEWEST}"
        found.append(Finding(f"{name}: spread", "warning", detail))
    return [*found, *_of_end(name, run), *_of_orbit(name, run), *_of_gradient(name, run), *_of_rate(name, run)]


def _of_end(name: str, run: StoredRun) -> list[Finding]:
    """A run that was not finished when it was read, though it may be by now."""
    last, writer = run.recorded_steps[-1], holder(run.path)
    end = (run.record.record_steps or run.recorded_steps)[-1]
    finished = RunPaths(run.path).finished.exists()
    if finished and last == end:
        return []
    how = f"recorded to step {last} of {end}; start it again, and it goes on"
    if writer or finished:
        by = f"still being written by {writer}" if writer else "finished since"
        how = f"read to step {last} of {end}, {by}; analyze it again to see the rest"
    return [Finding(f"{name}: not finished", "warning", how)]


def _of_orbit(name: str, run: StoredRun) -> list[Finding]:
    """A run on orbits of somebody's own, which are not looked at where it is not known how targets move on them."""
    try:
        _ = run.orbit
    except ConfigError as error:
        return [Finding(f"{name}: orbits", "warning", f"left out: {error}")]
    return []


def _of_gradient(name: str, run: StoredRun) -> list[Finding]:
    """A run of an earlier version whose gradient was wrong, as far as its architecture and data can be read."""
    try:
        architecture = run.architecture
    except ConfigError:  # layers of one's own
        return []
    description = read_description(run.path)
    if not wrong_gradient(description, architecture, None):
        return []
    try:
        shape = stored_set(run, run.record.training_set).inputs.shape[1:]
    except DataError:
        shape = None
    wrong = wrong_gradient(description, architecture, shape)
    return [Finding(f"{name}: gradient", "problem", f"{wrong}; train it again")] if wrong else []


def _of_rate(name: str, run: StoredRun) -> list[Finding]:
    """The learning rate against the bound that was found before training, where there is one."""
    try:
        bound = json.loads(read_text(run.path / "stability.json"))
        rate, limit = float(bound["learning_rate"]), float(bound["largest_learning_rate"])
    except (OSError, ValueError, KeyError, TypeError):
        return []
    if not limit > 0:
        return []
    detail = f"{rate:.4g}, {rate / limit:.0%} of the largest stable one at initialisation ({limit:.4g})"
    return [Finding(f"{name}: learning rate", "ok" if rate <= limit else "warning", detail)]


def of_pairing(matched: Matched, tables: Mapping[str, xr.Dataset]) -> list[Finding]:
    """Of every run beside the reference: whether they were compared by pairs of members."""
    table = tables.get("divergence")
    return [] if table is None else [_of_pairing(matched, table, str(run)) for run in table.run.values]


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
                f". They come from seed {matched.runs[run].record.seed} alone, whatever the run; ensembles that are "
                "to be independent need seeds of their own"
            )
    left_out = {run: int(row["left_out"]), reference: int(row["reference_left_out"])}
    if any(left_out.values()):
        status = "warning"
        why = "have no partner in the other" if pairs else "have a partner in the other"
        listed_out = " and ".join(f"{count} of {name}" for name, count in left_out.items() if count)
        detail += f"; members that {why} are left out of this comparison: {listed_out}"
    return Finding(f"{run} and {reference}: {'paired' if pairs else 'independent'}", status, detail)
