"""Where members of a sweep's runs are recorded: in a run's own directory, or in parts that it will be made of."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np

from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.paths import RunPaths
from widesym.launch.sweep.folder import SweepFolder
from widesym.launch.sweep.recorded import OfMembers, Recorded

ALL = slice(None)


class Place(NamedTuple):
    """A run directory, and which of its members are meant."""

    path: Path
    members: slice = ALL


Places = tuple[Place, ...]


def places_of(directory: SweepFolder, run: str) -> Places:
    """Where all members of a run are, or will be, recorded; nowhere where nothing is said of it yet."""
    own = directory.run(run)
    if RunPaths(own).store.exists():
        return (Place(own),)
    try:
        sources = directory.sources_of(run)
    except RunDirectoryError:  # it is no longer wanted: it has just been put together, or failed of that
        return (Place(own),)
    return tuple(Place(directory.part(job), slice(start, start + members)) for job, start, members in sources)


@dataclass(frozen=True, eq=False)
class Records:
    """What the members of a run have recorded, when it is looked at."""

    places: Places

    @cached_property
    def _parts(self) -> list[tuple[Recorded, slice]]:
        return [(Recorded.of(path), members) for path, members in self.places]

    @property
    def whole(self) -> bool:
        """Whether they are all members of one directory."""
        return len(self.places) == 1 and self.places[0].members == ALL

    @cached_property
    def steps(self) -> set[int]:
        """The steps at which all members are recorded; raises RunDirectoryError where a store cannot be read."""
        found = [set(recorded.steps) for recorded, _ in self._parts]
        return set.intersection(*found) if found else set()

    def members_at(self, step: int) -> OfMembers:
        """All members at one of the steps; raises RunDirectoryError where that cannot be read."""
        parts = [(recorded.members_at(step), members) for recorded, members in self._parts]
        metrics = {
            name: np.concatenate([part.metrics[name][members] for part, members in parts])
            for name in parts[0][0].metrics
        }
        return OfMembers(np.concatenate([part.healthy[members] for part, members in parts]), metrics)
