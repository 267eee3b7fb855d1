"""The logits of a run's store, read as they are needed; as they are, or with labels."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
import zarr
from jaxtyping import Bool

from widesym.ensembles.files import readable
from widesym.ensembles.stores import open_group, open_labelled
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.paths import RunPaths


@dataclass(frozen=True, eq=False)
class StoredLogits:
    """The logits [time, member, sample, logit] in a store; reading raises RunDirectoryError where they are damaged."""

    array: zarr.Array
    path: Path

    @property
    def shape(self) -> tuple[int, ...]:
        """The lengths of the axes time, member, sample and logit."""
        return self.array.shape

    @property
    def chunks(self) -> tuple[int, ...]:
        """What is in one file."""
        return self.array.chunks

    def __getitem__(self, index: Any, /) -> Any:
        """Of numbers and slices, as in NumPy."""
        with readable(self.path, RunDirectoryError):
            return self.array[index]


def stored_logits(run: Path) -> StoredLogits:
    """Of the run in a directory, nothing read yet; raises RunDirectoryError where there are none."""
    path = RunPaths(run).store
    with readable(path, RunDirectoryError):
        array = open_group(path)["logits"]
    assert isinstance(array, zarr.Array)
    return StoredLogits(array, path)


def labelled(
    path: Path, steps: Sequence[int], members: Bool[np.ndarray, " member"], outputs: Sequence[str]
) -> xr.DataArray:
    """The logits (time, member, sample, logit) in a store, of these steps and members, read as they are used.

    Labels that `sel` finds: `time` or `step`; members by their numbers; samples by `evaluation_set`, `element` and
    `image`; logits by the names of `outputs`, or by their places where there are not as many of these. Along times and
    members stand `healthy` and, where members differ in it, `training_time`, and along members their own numbers.
    Raises RunDirectoryError where there is no such store.
    """
    with readable(path, RunDirectoryError):
        store = open_labelled(path, chunks=None)
        beside = [name for name, array in store.data_vars.items() if array.dims == ("member",)]
        beside += [name for name in ("step", "training_time", "healthy") if name in store]
        kept = store.set_coords(beside).isel(time=np.isin(store.step.values, steps), member=members)
        samples = xr.Coordinates.from_pandas_multiindex(_of_samples(store), "sample")
        found = kept.logits.assign_coords(samples).set_xindex("step")
    logits = found.sizes["logit"]
    return found.assign_coords(logit=list(outputs) if len(outputs) == logits else np.arange(logits))


def _of_samples(store: xr.Dataset) -> pd.MultiIndex:
    """What each sample is, in the order of the store: levels that are sorted by name would be looked up slowly."""
    names = ("evaluation_set", "element", "image")
    codes = [store[name].values for name in names]
    levels = [store.attrs["evaluation_sets"], *(np.arange(code.max() + 1) for code in codes[1:])]
    return pd.MultiIndex(levels=levels, codes=codes, names=names)
