"""Empirical NTKs of an ensemble on disk: a file for every step, from which a computation goes on, and the store."""

import math
import shutil
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
import zarr
from jaxtyping import Bool, Float, Int

from widesym.analysis.estimators.kernel_evolution import NTK_ABOUT, NTK_DIMENSIONS
from widesym.ensembles.files import whole_directory, write_whole
from widesym.ensembles.recorder import CHUNK_BYTES
from widesym.ensembles.stores import open_group, open_labelled
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.files import damage_named

MemberKernels = Float[np.ndarray, "member n n"]


@dataclass(frozen=True)
class KernelFiles:
    """STEP.npy in `directory`: kernels [member, n, n] of all members, NaN for those that are not computed (yet)."""

    directory: Path
    members: int
    inputs: int

    @property
    def steps(self) -> list[int]:
        """Those that there is a file of, ascending."""
        return sorted(int(path.stem) for path in self.directory.glob("*.npy") if path.stem.isdigit())

    def computed(self, step: int) -> Bool[np.ndarray, " member"]:
        """Which members' kernels at this step are on disk."""
        if not self.path(step).exists():
            return np.zeros(self.members, bool)
        return ~np.isnan(self.read(step)[:, 0, 0])

    def add(self, step: int, members: Int[np.ndarray, " some"], kernels: Float[np.ndarray, "some n n"]) -> None:
        """Write the kernels of some members beside what is there; the file appears whole or not at all."""
        path = self.path(step)
        if path.exists():
            every = np.array(self.read(step))
        else:
            every = np.full((self.members, self.inputs, self.inputs), np.nan, kernels.dtype)
        every[members] = kernels
        self.directory.mkdir(exist_ok=True)
        write_whole(path, lambda file: np.save(file, every))

    def read(self, step: int) -> MemberKernels:
        """All members', read from disk as they are used; raises RunDirectoryError for what is no such file."""
        path = self.path(step)
        with damage_named(path):
            found = np.load(path, mmap_mode="r")
        expected = (self.members, self.inputs, self.inputs)
        if found.shape != expected or found.dtype.kind != "f":
            raise RunDirectoryError(
                f"{path} holds {found.dtype} of shape {found.shape}, but the kernels of {self.members} members between "
                f"{self.inputs} inputs are floats of shape {expected}; remove it, and it is computed again"
            )
        return found

    def path(self, step: int) -> Path:
        """The .npy file of the kernels at this step."""
        return self.directory / f"{step}.npy"


def write_ntk_store(found: xr.Dataset, kernels: Iterable[MemberKernels], path: Path) -> xr.Dataset:
    """Statistics, and as `ntk` the kernels of each of their times, one after the other; returns `open_ntk_store`.

    The store takes the place of what is there: for a moment there is none, and the files that it is made of stay.
    """
    with whole_directory(path) as new:
        _fill_store(new, found, kernels)
        shutil.rmtree(path, ignore_errors=True)
    return open_ntk_store(path)


def _fill_store(path: Path, found: xr.Dataset, kernels: Iterable[MemberKernels]) -> None:
    found.to_zarr(path, zarr_format=3, consolidated=False)
    root = open_group(path, "r+")
    array = None
    for index, each in enumerate(kernels):
        if array is None:
            together = max(1, min(len(each), CHUNK_BYTES // (each.itemsize * math.prod(each.shape[1:]))))
            array = root.create_array(
                "ntk",
                shape=(found.sizes["time"], *each.shape),
                chunks=(1, together, *each.shape[1:]),
                dtype=each.dtype,
                dimension_names=NTK_DIMENSIONS,
                attributes={**NTK_ABOUT},
            )
        array[index] = each
    with warnings.catch_warnings():
        # Consolidation is xarray's default way in; zarr warns that v3 has yet to specify it.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path)


def open_ntk_store(path: Path) -> xr.Dataset:
    """All in memory but for the kernels, `ntk`, which are read from disk as they are used."""
    found = open_labelled(path, chunks=None)
    return found.drop_vars("ntk").load().assign(ntk=found.ntk)
