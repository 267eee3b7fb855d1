"""The rows that metrics give, put together as tables."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from widesym.analysis.comparison.ensembles import Compared
from widesym.analysis.comparison.metric import Comparison, Metric
from widesym.analysis.comparison.tables import Key, Row, table_of_rows


def table_of(metric: Metric, rows: Mapping[Key, Row], comparison: Comparison) -> xr.Dataset:
    """A metric's rows as labelled arrays; without columns where no row is of all dimensions.

    Raises ValueError for rows with columns that the metric does not have.
    """
    if all(len(key) < len(metric.dimensions) for key in rows):
        rows = {}
    runs = _runs(metric, comparison)
    values = {name: _values(name, metric, comparison, runs) for name in metric.dimensions}
    coords: dict[str, Any] = {name: list(each) for name, each in values.items() if name != "time"}
    coords["members"] = ("run", [each.members for each in runs])
    if "time" in values:
        coords |= {"time": list(comparison.times.times), "step": ("time", list(comparison.times.steps))}
    coords |= metric.coordinates(comparison, runs)
    reference = comparison.reference
    try:
        made = table_of_rows(rows, values, metric.columns, coords, reference.unit)
    except ValueError as error:
        raise ValueError(f"metric {metric.table}: {error}") from None
    if "end" in made.dims:
        made = made.assign_coords(end=["low", "high"])
    return made.assign_attrs(reference=reference.name, reference_members=reference.members)


def _runs(metric: Metric, comparison: Comparison) -> list[Compared]:
    """The reference last, so that figures with and without it colour runs alike."""
    reference, *others = comparison.ensembles
    every = others if metric.of_one is None else [*others, reference]
    return [each for each in every if metric.sets(each)]


def _values(name: str, metric: Metric, comparison: Comparison, runs: Sequence[Compared]) -> Sequence[Any]:
    """What keys have at a dimension's place."""
    match name:
        case "run":
            return [each.name for each in runs]
        case "evaluation_set":
            return [
                each for each in comparison.reference.sets if runs and all(each in metric.sets(run) for run in runs)
            ]
        case "time":
            return range(len(comparison.times))
        case _:
            return comparison.sizes
