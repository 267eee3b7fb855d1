"""Tables: labelled arrays over runs, evaluation sets and times, put together from rows."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

Row = Mapping[str, Any]


class Column(NamedTuple):
    """What a row's entry is: its own dimensions beside the row's, its meaning, and its unit."""

    dimensions: tuple[str, ...]
    meaning: str
    unit: str = "1"


def table_of_rows(
    rows: Mapping[tuple, Row],
    dimensions: Mapping[str, Sequence],
    columns: Mapping[str, Column],
    coords: Mapping[str, Any],
) -> xr.Dataset:
    """Rows by their keys, one entry for each of `dimensions` (and its values), as arrays; NaN where a row lacks one.

    Columns that no row has are left out, and rows of other keys.
    """
    places = {name: {value: index for index, value in enumerate(values)} for name, values in dimensions.items()}
    shape = tuple(map(len, places.values()))
    arrays = {}
    for key, row in rows.items():
        if not all(value in of for of, value in zip(places.values(), key, strict=True)):
            continue
        at = tuple(of[value] for of, value in zip(places.values(), key, strict=True))
        for name, value in row.items():
            value = np.asarray(value, np.float64)
            if name not in arrays:
                arrays[name] = np.full((*shape, *value.shape), np.nan)
            arrays[name][at] = value
    return xr.Dataset(
        {
            name: (
                (*dimensions, *columns[name].dimensions),
                values,
                {"long_name": columns[name].meaning, "units": columns[name].unit},
            )
            for name, values in arrays.items()
        },
        coords=dict(coords),
    )
