"""The logits store: every member's logits on every evaluation set at every recorded time, in one zarr array.

`xarray.open_zarr(path)` reads it: `logits` with dims (time, member, sample, logit), the coordinates `time` (= step ×
learning rate) and `step`, and for each sample its evaluation set, an index into the attribute `evaluation_sets`.
"""

import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from jaxtyping import Float

DIMENSIONS = ("time", "member", "sample", "logit")


def create_store(
    path: Path, steps: Sequence[int], learning_rate: float, members: int, sets: Mapping[str, int], logits: int
) -> None:
    """Make an empty store (all NaN) for `sets`, a number of samples each; it appears whole or not at all."""
    temporary = path.with_name(path.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    samples = sum(sets.values())
    root = zarr.create_group(temporary, zarr_format=3, attributes={"evaluation_sets": list(sets)})
    root.create_array(
        "logits",
        shape=(len(steps), members, samples, logits),
        chunks=(1, members, samples, logits),
        dtype="float32",
        fill_value=np.nan,
        dimension_names=DIMENSIONS,
    )
    set_of_sample = np.repeat(np.arange(len(sets)), list(sets.values()))
    for name, dimension, values in (
        ("time", "time", np.array(steps) * learning_rate),
        ("step", "time", np.array(steps)),
        ("member", "member", np.arange(members)),
        ("evaluation_set", "sample", set_of_sample),
    ):
        root.create_array(name, data=values, dimension_names=(dimension,))
    with (
        warnings.catch_warnings()
    ):  # consolidation is xarray's default way in; zarr warns that v3 has yet to specify it
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(temporary)
    os.replace(temporary, path)


def write_record(path: Path, index: int, logits: Mapping[str, Float[np.ndarray, "member sample logit"]]) -> None:
    """Store one recorded time; writing it again replaces it. Raises ValueError for logits of another shape."""
    array = zarr.open_group(path, mode="r+", use_consolidated=False)["logits"]
    assert isinstance(array, zarr.Array)
    joined = np.concatenate(list(logits.values()), axis=1)
    if joined.shape != array.shape[1:]:  # zarr would broadcast one member's logits to all
        raise ValueError(f"logits have shape {joined.shape}, but {path} stores {array.shape[1:]} a time")
    array[index] = joined


def read_logits(path: Path) -> dict[str, Float[np.ndarray, "time member sample logit"]]:
    """All recorded logits, by evaluation set."""
    with xr.open_zarr(path) as store:
        names, of_sample = store.attrs["evaluation_sets"], store.evaluation_set.values
        return {name: store.logits.values[:, :, of_sample == index] for index, name in enumerate(names)}
