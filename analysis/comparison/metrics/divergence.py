"""How far an ensemble's mean logits are from the reference's, with all members and with fewer (theory.md §5)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import xarray as xr

from widesym.analysis.comparison.at_time import PairAtTime
from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables, complete_runs, file_names
from widesym.analysis.comparison.ensembles import Compared
from widesym.analysis.comparison.metric import Comparison, Metric
from widesym.analysis.comparison.tables import INTERVAL, Column, Row, Rows
from widesym.analysis.estimators.divergence import (
    divergence,
    divergence_by_size,
    divergence_interval,
    mean_distance,
    noise_floor,
    squared_divergence,
    squared_divergence_interval,
)
from widesym.analysis.estimators.means import FEWEST, EstimatedMean
from widesym.analysis.figures.comparison import divergence_by_size_figure, divergence_over_time

MINE = "‖mean logits − the reference's‖₂, mean over inputs"
PREDICTED = {"predicted_divergence": Column((), "divergence of infinitely wide and large ensembles")}
COLUMNS = {
    "divergence": Column((), MINE),
    "divergence_interval": Column(INTERVAL, "95 % interval of the divergence's expectation over ensembles"),
    "noise_floor": Column((), "divergence expected of ensembles of equal mean"),
    "squared_divergence": Column((), "unbiased ‖difference of means‖², mean over inputs"),
    "squared_divergence_interval": Column(INTERVAL, "95 % interval of the squared divergence"),
    **PREDICTED,
}
COLUMNS_BY_SIZE = {
    "divergence": Column((), f"{MINE}, mean over sub-ensembles of this size"),
    "divergence_interval": Column(INTERVAL, "middle 95 % of sub-ensembles of this size"),
    "noise_floor": Column((), "divergence expected of ensembles of this size and equal mean"),
    **PREDICTED,
}


def of_pair(both: PairAtTime) -> Rows:
    """The divergence on each evaluation set, and what theory predicts of it."""
    for of_set in both.ensemble.of.sets:
        row = divergence_row(*both.means_on(of_set))
        yield _key(both, of_set), {"divergence": row["divergence"], **_predicted(both, of_set), **row}


def of_pair_by_size(both: PairAtTime) -> Rows:
    """The divergence of sub-ensembles, by their size; what theory predicts is of none."""
    ours, theirs = both.ours, both.theirs
    sizes = [size for size in ours.subsets if size in theirs.subsets]
    for of_set in both.ensemble.of.sets:
        key, parts = _key(both, of_set), (ours.of.sets[of_set], theirs.of.sets[of_set])
        drawn = [(ours.subsets[size][:, parts[0]], theirs.subsets[size][:, parts[1]]) for size in sizes]
        if sizes:
            found = divergence_by_size(*both.means_on(of_set), sizes, drawn)
            for size, *values in zip(found.sizes, found.divergence, found.noise_floor, found.band, strict=True):
                names = ("divergence", "noise_floor", "divergence_interval")
                yield (*key, size), dict(zip(names, values, strict=True))
        yield key, _predicted(both, of_set)


def divergence_row(a: EstimatedMean, b: EstimatedMean) -> dict[str, Any]:
    """How far a's mean is from b's; without noise floor of single members, and without intervals of a few."""
    row: dict[str, Any] = {"divergence": divergence(a, b)}
    fewest = min(each.members for each in (a, b) if each.members is not None)
    if fewest > 1:
        row |= {"noise_floor": noise_floor(a, b), "squared_divergence": squared_divergence(a, b)}
    if fewest >= FEWEST:
        row["divergence_interval"] = divergence_interval(a, b)
        row["squared_divergence_interval"] = squared_divergence_interval(a, b)
    return row


def _key(both: PairAtTime, of_set: str) -> tuple[str, str, int]:
    return both.ensemble.of.name, of_set, both.ensemble.time


def _predicted(both: PairAtTime, of_set: str) -> Row:
    """Where there is a prediction of both."""
    ours, theirs, t = both.ensemble.of.prediction, both.reference.of.prediction, both.ensemble.time
    if ours is None or theirs is None:
        return {}
    return {"predicted_divergence": mean_distance(ours[of_set].mean[t], theirs[of_set].mean[t])}


def _pairing(comparison: Comparison, runs: Sequence[Compared]) -> Mapping[str, Any]:
    """How the members of each run are held against the reference's."""
    pairs = [comparison.pairs[each.name] for each in runs]
    return {
        "pairing": ("run", [pair.kind for pair in pairs]),
        "pairs": ("run", [pair.pairs for pair in pairs]),
        "left_out": ("run", [pair.left_out for pair in pairs]),
        "reference_left_out": ("run", [pair.reference_left_out for pair in pairs]),
    }


def drawings(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """Two figures of each evaluation set: over training time, and by ensemble size."""
    divergence, by_size = complete_runs(tables, "divergence", "divergence_interval"), tables.get("divergence_by_size")
    if divergence is None or by_size is None:
        return
    by_size, reference = by_size.sel(run=divergence.run), divergence.attrs["reference"]
    pairs = _paired(divergence)
    for name, of_set in file_names(divergence.evaluation_set.values).items():
        caption = (
            f"Divergence of mean logits from {reference} on {of_set}, over training time and ensemble sizes{pairs}."
        )
        yield Drawing(f"divergence-{name}", partial(divergence_over_time, divergence, by_size, of_set), caption)
        caption = f"Divergence from {reference} on {of_set} after training, by ensemble size{pairs}."
        yield Drawing(f"divergence-by-size-{name}", partial(divergence_by_size_figure, by_size, of_set), caption)


def _paired(divergence: xr.Dataset) -> str:
    """Which runs' members are paired with the reference's, for captions; tables of older analyses do not say."""
    if "pairing" not in divergence.coords:
        return ""
    names = [
        str(run) for run, kind in zip(divergence.run.values, divergence.pairing.values, strict=True) if kind == "paired"
    ]
    return f"; members are paired with those of {', '.join(names)}" if names else ""


DIVERGENCE = Metric(
    "divergence",
    COLUMNS,
    ("run", "evaluation_set", "time"),
    of_pair=of_pair,
    coordinates=_pairing,
    drawings=drawings,
)
DIVERGENCE_BY_SIZE = Metric(
    "divergence_by_size",
    COLUMNS_BY_SIZE,
    ("run", "evaluation_set", "time", "size"),
    of_pair=of_pair_by_size,
    coordinates=_pairing,
)
