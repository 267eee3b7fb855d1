"""Tables: labelled arrays over runs, evaluation sets and times, put together from rows."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

Row = Mapping[str, Any]
Key = tuple  # (run, evaluation set, time index), or what else a table's dimensions are
Rows = Iterable[tuple[Key, Row]]
INTERVAL = ("end",)  # the dimension of entries (low, high)


class Column(NamedTuple):
    """What a row's entry is: its own dimensions beside the row's, its meaning, and its unit.

    The unit is None for that of the logits: 1 of classes, else what they estimate is in (`Compared.unit`).
    """

    dimensions: tuple[str, ...]
    meaning: str
    unit: str | None = "1"


def table_of_rows(
    rows: Mapping[Key, Row],
    dimensions: Mapping[str, Sequence],
    columns: Mapping[str, Column],
    coords: Mapping[str, Any],
    unit: str = "1",
) -> xr.Dataset:
    """Rows by their keys, one entry for each of `dimensions` (and its values), as arrays; NaN where a row lacks one.

    A shorter key is of the first dimensions, and its row's columns have these alone. Columns that no row has are left
    out, and rows of other keys. `unit` is that of columns which name none. Raises ValueError for columns that are not
    known.
    """
    places = [{value: index for index, value in enumerate(values)} for values in dimensions.values()]
    arrays: dict[str, np.ndarray] = {}
    dims: dict[str, tuple[str, ...]] = {}
    for key, row in rows.items():
        if unknown := sorted({*row} - {*columns}):
            raise ValueError(f"a row has {', '.join(unknown)}, but columns are {', '.join(columns) or 'none'}")
        of_key = places[: len(key)]
        if not all(value in of for of, value in zip(of_key, key, strict=True)):
            continue
        at = tuple(of[value] for of, value in zip(of_key, key, strict=True))
        for name, value in row.items():
            value = np.asarray(value, np.float64)
            if name not in arrays:
                arrays[name] = np.full((*map(len, of_key), *value.shape), np.nan)
                dims[name] = (*list(dimensions)[: len(key)], *columns[name].dimensions)
            arrays[name][at] = value
    return xr.Dataset(
        {name: (dims[name], values, _attributes(columns[name], unit)) for name, values in arrays.items()},
        coords=dict(coords),
    )


def _attributes(column: Column, unit: str) -> dict[str, str]:
    return {"long_name": column.meaning, "units": unit if column.unit is None else column.unit}
