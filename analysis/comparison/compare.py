"""All tables of a comparison, in few passes over each ensemble's members, one time after the other (docs/analysis.md).

What is held at once is a few hundred resampled means of two ensembles at one time (where members are paired, of their
differences, too), and the rows of metrics, never the logits of all members.
"""

from collections.abc import Callable, Sequence

import xarray as xr

from widesym.analysis.comparison.assemble import table_of
from widesym.analysis.comparison.at_time import PairAtTime, Resampling, at_time, pair_at_time, resampling_of
from widesym.analysis.comparison.ensembles import Compared, Times, check_comparable, of_name
from widesym.analysis.comparison.metric import Comparison, Metric, check_metrics
from widesym.analysis.comparison.metrics import METRICS
from widesym.analysis.comparison.pairing import pair_of
from widesym.analysis.comparison.tables import Key, Row
from widesym.analysis.estimators.means import EstimatedMean
from widesym.models.checks import MOST_SEED, check_seed

Gathered = list[dict[Key, Row]]  # rows so far, of one metric after the other


def compare(
    ensembles: Sequence[Compared],
    times: Times,
    reference: str,
    draws: int = 200,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
    metrics: Sequence[Metric] = METRICS,
) -> dict[str, xr.Dataset]:
    """The tables of `metrics` by name; those without rows are left out.

    Divergences are from the ensemble named `reference`, by pairs of members where these share their randomness
    (`pair_of`). `progress` is told how many (ensemble, time) are done. Raises ValueError for ensembles that do not fit
    each other, logits that are not finite, and metrics that give one column twice or others than theirs.
    """
    check_comparable(ensembles, times)
    check_seed(seed, most=MOST_SEED // len(ensembles) - 1)
    check_metrics(metrics)
    ensembles = [of_name(ensembles, reference), *(each for each in ensembles if each.name != reference)]
    resampling = resampling_of(ensembles, draws, seed)
    pairs = {each.name: pair_of(each, ensembles[0]) for each in ensembles[1:]}
    comparison = Comparison(ensembles, times, resampling.sizes, pairs)
    rows: Gathered = [{} for _ in metrics]
    last = _gather(rows, metrics, comparison, resampling, progress)
    tables: dict[str, xr.Dataset] = {}
    for metric, found in zip(metrics, rows, strict=True):
        made = metric.of_series(ensembles, last) if metric.of_series else table_of(metric, found, comparison)
        if made is not None:
            tables[metric.table] = tables[metric.table].assign(made.data_vars) if metric.table in tables else made
    return {name: each for name, each in tables.items() if each.data_vars}


def _gather(
    rows: Gathered,
    metrics: Sequence[Metric],
    comparison: Comparison,
    resampling: Resampling,
    progress: Callable[[int], None],
) -> dict[str, EstimatedMean]:
    """Add what each metric says of each ensemble at each time; the last means of those that are of a series."""
    ensembles, last = comparison.ensembles, {}
    for t in range(len(comparison.times)):
        first = None
        for index, each in enumerate(ensembles):
            now = at_time(each, t, resampling)
            for metric, found in zip(metrics, rows, strict=True):
                found.update(metric.of_one(now) if metric.of_one else ())
            if first is not None:
                _add_pair(rows, metrics, pair_at_time(comparison.pairs[each.name], now, first, resampling))
            first = first or now
            if each.series and now.is_last:
                last[each.name] = now.mean
            progress(t * len(ensembles) + index + 1)
    return last


def _add_pair(rows: Gathered, metrics: Sequence[Metric], both: PairAtTime) -> None:
    for metric, found in zip(metrics, rows, strict=True):
        found.update(metric.of_pair(both) if metric.of_pair else ())
