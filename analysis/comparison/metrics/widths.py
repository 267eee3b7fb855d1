"""How the distance from theory changes with width, for ensembles that differ in nothing else."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import numpy as np
import xarray as xr

from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables
from widesym.analysis.comparison.ensembles import Compared
from widesym.analysis.comparison.metric import Metric
from widesym.analysis.comparison.tables import INTERVAL, Column, Row, table_of_rows
from widesym.analysis.estimators.means import FEWEST, EstimatedMean
from widesym.analysis.estimators.widths import WidthScaling, width_scaling
from widesym.analysis.figures.widths import discrepancy_by_width

COLUMNS = {
    "squared_bias": Column((), "unbiased ‖expected logits − predicted mean‖² at the last time, mean over inputs"),
    "squared_bias_interval": Column(INTERVAL, "95 % interval of the squared bias"),
    "noise": Column((), "tr S/M: what finitely many members add to it"),
}


def width_table(ensembles: Sequence[Compared], means: Mapping[str, EstimatedMean]) -> xr.Dataset | None:
    """Squared bias, noise and the bias's power law by evaluation set and series of widths, from means at one time.

    `means` are those of the last time, by ensemble, those of a series that share randomness with common signs
    (`signs_among`). None where no two ensembles are of one series, with a prediction and members enough. Of two of one
    width the larger counts.
    """
    rows: dict[tuple, Row] = {}
    laws: dict[str, WidthScaling] = {}
    randomness: list[str] = []
    for of_series in _series(ensembles):
        shares = {each.width: each.shares for each in of_series}
        for of_set in of_series[0].sets:
            prediction = of_series[0].prediction
            assert prediction is not None
            by_width = {each.width: means[each.name].of(each.sets[of_set]) for each in of_series}
            found = width_scaling(by_width, prediction[of_set].mean[-1], shares)
            name = f"{of_set}: {', '.join(each.name for each in of_series)}"
            laws[name] = found
            randomness.append(_randomness(list(shares.values())))
            each = zip(found.bias_squared, found.bias_squared_interval, found.noise, strict=True)
            names = ("squared_bias", "squared_bias_interval", "noise")
            rows |= {
                (name, int(width)): dict(zip(names, row, strict=True))
                for width, row in zip(found.widths, each, strict=True)
            }
    if not rows:
        return None
    widths = sorted({width for _, width in rows})
    coords = {"series": list(laws), "width": widths, "end": ["low", "high"], "randomness": ("series", randomness)}
    made = table_of_rows(rows, {"series": list(laws), "width": widths}, COLUMNS, coords)
    return made.assign({name: ("series", values) for name, values in _laws(list(laws.values())).items()})


def _series(ensembles: Sequence[Compared]) -> list[list[Compared]]:
    """Ensembles of one series and different widths, the narrowest first."""
    usable = [each for each in ensembles if each.series and each.prediction and each.members >= FEWEST]
    groups: dict[str, dict[int, Compared]] = {}
    for each in sorted(usable, key=lambda each: (each.width, each.members)):
        groups.setdefault(each.series, {})[each.width] = each
    return [list(group.values()) for group in groups.values() if len(group) > 1]


def _randomness(shares: Sequence[str]) -> str:
    """Whether there are widths whose members depend on each other."""
    named = [each for each in shares if each]
    return "shared" if len(set(named)) < len(named) else "independent"


def _laws(found: Sequence[WidthScaling]) -> dict[str, list[float]]:
    """The bias's power laws, factor · width^exponent; NaN where there is none, or an end is open."""
    columns = {"exponent": [], "factor": [], "exponent_low": [], "exponent_high": []}
    for each in found:
        law = each.bias_fit
        low, high = (None, None) if law is None else law.interval
        values = (law and law.exponent, law and law.factor, low, high)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(np.nan if value is None else float(value))
    return columns


def drawings(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """Squared bias and noise against width."""
    if "widths" in tables:
        caption = "What finite width adds to the distance from theory, apart from what finitely many members do."
        yield Drawing("widths", partial(discrepancy_by_width, tables["widths"]), caption)


WIDTHS = Metric("widths", COLUMNS, ("series", "width"), of_series=width_table, drawings=drawings)
