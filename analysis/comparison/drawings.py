"""What the figures of metrics share: what a figure is called, which runs and which files it is of."""

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from widesym.ensembles.data import Dataset

LONGEST = 60  # letters of a set's name in those of its figures

Tables = Mapping[str, xr.Dataset]
Inputs = Mapping[str, Dataset]  # by evaluation set


class Drawing(NamedTuple):
    """A figure's name, how it is drawn, and its caption."""

    name: str
    draw: Callable[[], Figure]
    caption: str


def complete_runs(tables: Tables, name: str, *needed: str) -> xr.Dataset | None:
    """A table's runs that have all that is needed, as ensembles of a few members have not; None where none has."""
    if name not in tables or not set(needed) <= set(tables[name].data_vars):
        return None
    table = tables[name]
    finite = [np.isfinite(table[of].values.reshape(table.sizes["run"], -1)).all(1) for of in needed]
    found = table.isel(run=np.flatnonzero(np.all(finite, axis=0)))
    return found if found.sizes["run"] else None


def file_names(sets: Iterable[str]) -> dict[str, str]:
    """Sets by what their files are called: letters, digits and -_. of their names, each another."""
    found: dict[str, str] = {}
    for of_set in map(str, sets):
        name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in of_set)[:LONGEST]
        again = (f"{name}-{count}" for count in itertools.count(2))
        found[next(each for each in itertools.chain([name], again) if each not in found)] = of_set
    return found
