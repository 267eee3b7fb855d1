"""What run directories have recorded, and what members' last batches left there; read without JAX."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from jaxtyping import Bool, Float

from widesym.ensembles.files import readable
from widesym.ensembles.stores import METRICS, open_consolidated
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.paths import RunPaths


class OfMembers(NamedTuple):
    """Of each member at a recorded step: whether it is healthy, and those of METRICS that its store has, by name."""

    healthy: Bool[np.ndarray, " member"]
    metrics: dict[str, Float[np.ndarray, " member"]]

    def medians(self) -> dict[str, float]:
        """Over healthy members, by name; without those that are not defined, as of step 0, before any batch."""
        of_healthy = {name: values[self.healthy] for name, values in self.metrics.items()}
        defined = {name: values for name, values in of_healthy.items() if len(values) and np.isfinite(values).all()}
        return {name: float(np.median(values)) for name, values in defined.items()}


@dataclass(frozen=True, eq=False)
class Recorded:
    """What a run directory has recorded when it is looked at: `steps`, ascending, and where in the store they are.

    Steps that are recorded stay as they are while a process records others.
    """

    path: Path
    positions: Mapping[int, int]

    @property
    def steps(self) -> list[int]:
        """Those that are recorded, ascending."""
        return [*self.positions]

    @classmethod
    def of(cls, path: Path) -> "Recorded":
        """Of the run in `path`, perhaps nothing (yet); raises RunDirectoryError where its store cannot be read."""
        store = RunPaths(path).store
        if not store.exists():
            return cls(path, {})
        with readable(store, RunDirectoryError):
            group = open_consolidated(store)
            recorded, steps = (np.asarray(group[name]) for name in ("recorded", "step"))
        return cls(path, {int(steps[at]): int(at) for at in np.flatnonzero(recorded)})

    def members_at(self, step: int) -> OfMembers:
        """The members at one of the steps; raises RunDirectoryError where that cannot be read."""
        store = RunPaths(self.path).store
        with readable(store, RunDirectoryError):
            group = open_consolidated(store)
            row = self.positions[step]
            found = {name: _row(group, name, row) for name in METRICS if name in group}
            return OfMembers(_row(group, "healthy", row), found)


def _row(group: zarr.Group, name: str, row: int) -> np.ndarray:
    array = group[name]
    assert isinstance(array, zarr.Array)
    return np.asarray(array[row])
