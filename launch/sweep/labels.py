"""What the runs of a sweep are called by people: the values of what it varies, as in `width=16, learning_rate=1`."""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from widesym.launch.errors import RunDirectoryError
from widesym.launch.sweep.changes import Changes, describe_changes
from widesym.launch.sweep.folder import StoredPlan, SweepFolder
from widesym.launch.sweep.recorded import Recorded

MOST_TOLD = 4  # labels of missing runs
UNCHANGED = "base"  # a run in which nothing is changed


def is_sweep(path: Path) -> bool:
    """Whether the directory is that of a sweep."""
    return (path / "plans").is_dir()


def runs_of(plans: Iterable[StoredPlan]) -> dict[str, Changes]:
    """All runs of the plans, in their order, each with what it changes."""
    return {name: changes for plan in plans for name, changes in plan.runs.items()}


def parameters_of(runs: Mapping[str, Changes]) -> dict[str, Changes]:
    """Of each run, the values of those fields that do not have one value in all runs, by the fields' dotted paths."""
    fields = dict.fromkeys(field for changes in runs.values() for field in changes)
    absent = object()

    def is_varied(field: str) -> bool:
        first, *others = (changes.get(field, absent) for changes in runs.values())
        return any(other != first for other in others)

    varied = [field for field in fields if is_varied(field)]
    return {name: {field: changes[field] for field in varied if field in changes} for name, changes in runs.items()}


def labels_of(runs: Mapping[str, Changes]) -> dict[str, str]:
    """A label for each run, no two of them alike: runs that differ in nothing that is shown bear their names, too."""
    found = {name: describe_changes(changes) or UNCHANGED for name, changes in parameters_of(runs).items()}
    counts = Counter(found.values())
    return {name: f"{label} ({name})" if counts[label] > 1 else label for name, label in found.items()}


class LabelledRuns(NamedTuple):
    """Directories of runs by their labels, and the labels of those that have recorded nothing by themselves yet."""

    places: dict[str, Path]
    missing: list[str]

    def lines_on_missing(self) -> list[str]:
        """A line on the runs that are missing, if any are."""
        if not self.missing:
            return []
        more = "; …" if len(self.missing) > MOST_TOLD else ""
        labels = "; ".join(self.missing[:MOST_TOLD]) + more
        return [f"{len(self.missing)} runs are left out, which have recorded nothing by themselves yet: {labels}"]


def labelled_runs(path: Path) -> LabelledRuns:
    """The runs of the sweep in `path`; raises RunDirectoryError where none of them has recorded anything."""
    directory = SweepFolder(path)
    labels = labels_of(runs_of(directory.read_plans()))
    there = {name for name in labels if Recorded.of(directory.run(name)).steps}
    if not there:
        raise RunDirectoryError(
            f"{path}: none of the sweep's {len(labels)} runs has recorded anything in a directory of its own yet; "
            f"see widesym status {path}"
        )
    places = {label: directory.run(name) for name, label in labels.items() if name in there}
    return LabelledRuns(places, [label for name, label in labels.items() if name not in there])
