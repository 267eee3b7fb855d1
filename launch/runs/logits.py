"""The logits of a run's store, read as they are needed."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zarr

from widesym.ensembles.files import readable
from widesym.ensembles.stores import open_group
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.stored import StoredRun


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


def stored_logits(run: StoredRun) -> StoredLogits:
    """Of a run, nothing read yet; raises RunDirectoryError where there are none."""
    path = RunPaths(run.path).store
    with readable(path, RunDirectoryError):
        array = open_group(path)["logits"]
    assert isinstance(array, zarr.Array)
    return StoredLogits(array, path)
