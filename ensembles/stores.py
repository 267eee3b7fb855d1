"""Opening zarr stores that others may have made: of version 3, and with axes no longer than anything here is.

Filters of version 2 may name pickles, which are programs; version 3 has none of these.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import zarr

from widesym.models.checks import MOST_MEMBERS

if TYPE_CHECKING:
    import xarray as xr

METRICS = ("loss", "accuracy", "gradient_norm")  # of a member's last batch, by their names in the store of a run
OF_VALUES = ("loss", "gradient_norm")  # those of training sets without classes
MOST_ALONG = {"time": 10**6, "member": MOST_MEMBERS}  # axes by their names
MOST_ALONG_OTHERS = 2**26  # samples with all their copies, parameters of a layer


def open_group(path: Path, mode: Literal["r", "r+"] = "r") -> zarr.Group:
    """A store's group, by the metadata that each of its arrays has of its own; raises what zarr does for one that
    cannot be opened, or is not of version 3.
    """
    return zarr.open_group(path, mode=mode, zarr_format=3, use_consolidated=False)


def open_consolidated(path: Path) -> zarr.Group:
    """The same, to be read, by the metadata that stand together in one file if they do; raises ValueError as
    `check_lengths`, too.
    """
    group = zarr.open_group(path, mode="r", zarr_format=3)
    check_lengths(group)
    return group


def open_labelled(path: Path, **options: Any) -> "xr.Dataset":
    """A store as labelled arrays, with options of `xarray.open_zarr`; raises as `open_consolidated`."""
    import xarray as xr  # here: `widesym status` does without

    _ = open_consolidated(path)  # before axes are read
    return xr.open_zarr(path, zarr_format=3, **options)


def check_lengths(group: zarr.Group) -> None:
    """Raise ValueError for an axis that is longer than any that could be recorded: one along which nothing is written
    would be read as so many fill values.
    """
    for name, array in group.arrays():
        axes = getattr(array.metadata, "dimension_names", None) or [None] * array.ndim
        for axis, length in zip(axes, array.shape, strict=True):
            if length > (most := MOST_ALONG.get(str(axis), MOST_ALONG_OTHERS)):
                raise ValueError(f"{name} has the length {length} along {axis or 'an axis'}; {most} is the most")
