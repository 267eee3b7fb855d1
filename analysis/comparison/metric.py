"""What a metric is: a table of a comparison, how its rows follow from what is read, and how it is drawn."""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import xarray as xr

from widesym.analysis.comparison.at_time import AtTime, PairAtTime
from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables
from widesym.analysis.comparison.ensembles import Compared, Times
from widesym.analysis.comparison.pairing import Pair
from widesym.analysis.comparison.tables import Column, Rows
from widesym.analysis.estimators.means import EstimatedMean

DIMENSIONS = ("run", "evaluation_set", "time", "size")  # what rows of one ensemble, or of two, may be keyed by


@dataclass(frozen=True)
class Comparison:
    """What is compared with what: the ensembles, the reference first, at common times; the sizes of sub-ensembles; and
    how the members of each other ensemble are held against the reference's.
    """

    ensembles: Sequence[Compared]
    times: Times
    sizes: Sequence[int]
    pairs: Mapping[str, Pair]

    @property
    def reference(self) -> Compared:
        """The ensemble that divergences are from."""
        return self.ensembles[0]


def all_sets(ensemble: Compared) -> Collection[str]:
    """The evaluation sets of an ensemble."""
    return ensemble.sets


def no_coordinates(comparison: Comparison, runs: Sequence[Compared]) -> Mapping[str, Any]:
    """Nothing to be said of a table's runs or columns' dimensions."""
    return {}


def no_drawings(tables: Tables, inputs: Inputs) -> Iterable[Drawing]:
    """A metric that has no figure of its own."""
    return ()


@dataclass(frozen=True, eq=False)
class Metric:
    """Columns of the `table` of that name, and its figures. Several metrics of one table add columns to each other's.

    Rows are keyed by the first of `dimensions` or by all: the name of a run, that of an evaluation set, the index of a
    time, the size of sub-ensembles. Without any row of all there is no table.

    - `of_one` yields (key, row) of each ensemble at each common time;
    - `of_pair` yields them of each other ensemble beside the reference; without `of_one` the reference is no run of
      the table;
    - `of_series` makes the whole table from all ensembles and, by the name of those that are of a series of widths,
      their means at the last time; its dimensions are its own.

    `sets` says which evaluation sets there is something to be said of: runs without any are left out, and sets that
    not all other runs have. `coordinates` are more of them, from the comparison and the table's runs. `drawings` are of
    all tables that there are, and of the inputs that may be shown. Raises ValueError for dimensions that are not known,
    and without any function that makes rows.
    """

    table: str
    columns: Mapping[str, Column]
    dimensions: tuple[str, ...]
    of_one: Callable[[AtTime], Rows] | None = None
    of_pair: Callable[[PairAtTime], Rows] | None = None
    of_series: Callable[[Sequence[Compared], Mapping[str, EstimatedMean]], xr.Dataset | None] | None = None
    sets: Callable[[Compared], Collection[str]] = all_sets
    coordinates: Callable[[Comparison, Sequence[Compared]], Mapping[str, Any]] = no_coordinates
    drawings: Callable[[Tables, Inputs], Iterable[Drawing]] = no_drawings

    def __post_init__(self):
        if (self.of_series is not None) == (self.of_one is not None or self.of_pair is not None):
            raise ValueError(f"metric {self.table} takes of_one, of_pair or both, or of_series alone")
        if self.of_series is None and (self.dimensions[:1] != ("run",) or not {*self.dimensions} <= {*DIMENSIONS}):
            raise ValueError(
                f"metric {self.table} has dimensions {', '.join(self.dimensions) or 'none'}; they are run, and any of "
                f"{', '.join(DIMENSIONS[1:])}"
            )


def check_metrics(metrics: Sequence[Metric]) -> None:
    """Raise ValueError for two metrics that give one column of one table, or one that has a table to itself another."""
    given = Counter((each.table, column) for each in metrics for column in each.columns)
    for (table, column), count in given.items():
        if count > 1:
            raise ValueError(f"{count} metrics give {column} of the table {table}; each column takes a name of its own")
    whole = {each.table for each in metrics if each.of_series}
    for table, count in Counter(each.table for each in metrics).items():
        if table in whole and count > 1:
            raise ValueError(f"{count} metrics give the table {table}, which one of them makes as a whole")
