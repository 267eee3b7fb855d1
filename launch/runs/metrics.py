"""metrics.csv: loss, and accuracies or errors, at every recorded step; and what members' last batches left.

Members with numbers of their own, as learning rates, are not averaged over: there is a row for each value.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from jaxtyping import Bool, Float

from widesym.ensembles.data import Dataset
from widesym.ensembles.files import open_regular, readable
from widesym.ensembles.losses import Loss
from widesym.ensembles.recorder import METRICS
from widesym.ensembles.stores import open_consolidated
from widesym.launch.console import of_spreadsheet
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.files import write_text
from widesym.launch.runs.paths import RunPaths

Row = Mapping[str, float | str]


def metrics_row(
    step: int,
    time: float,
    logits: Mapping[str, Float[np.ndarray, "member sample logit"]],
    healthy: Bool[np.ndarray, " member"],
    loss: Loss,
    training_set: Dataset,
    evaluation_sets: Sequence[Dataset],
) -> dict[str, float]:
    """One record: the training set's loss over healthy members, and accuracies of these and of their mean logits.

    `time` is the training time. Accuracies are given for the sets whose classes are the training set's; where it has
    values in one unit instead, root mean squared errors for sets with the same.
    """
    row = {"step": step, "time": time, "healthy_members": int(healthy.sum())}
    if not healthy.any():
        return row
    train = logits[training_set.name][healthy]
    targets = training_set.targets(loss)
    losses = np.array([loss(each, targets) for each in train], np.float64)
    row |= {"train_loss_mean": float(losses.mean()), "train_loss_deviation": float(losses.std())}
    for data in (training_set, *evaluation_sets):
        outputs = logits[data.name][healthy]
        row |= {f"{data.name}_{name}": value for name, value in _scores(outputs, data, training_set).items()}
    return row


def _scores(
    outputs: Float[np.ndarray, "member sample logit"], data: Dataset, training_set: Dataset
) -> dict[str, float]:
    """Of the members and of their mean, as the training set is of classes or of values."""
    functions = {"members": outputs, "mean": outputs.mean(0)}
    if data.is_labelled_as(training_set):
        return {f"accuracy_of_{of}": float((f.argmax(-1) == data.labels).mean()) for of, f in functions.items()}
    if data.is_measured_as(training_set):
        return {f"rmse_of_{of}": _root_mean_square(f - data.values) for of, f in functions.items()}
    return {}


def _root_mean_square(errors: Float[np.ndarray, "..."]) -> float:
    return float(np.sqrt((errors.astype(np.float64) ** 2).mean()))


def read_metrics(path: Path) -> list[Row]:
    """The rows so far; none where there is no file."""
    if not path.exists():
        return []
    with io.TextIOWrapper(open_regular(path), newline="") as file:
        return list(csv.DictReader(file))


def add_rows(path: Path, new: Sequence[Row]) -> None:
    """Append the rows of one step, dropping those of this step and later ones, which a resumed run writes again."""
    rows = [earlier for earlier in read_metrics(path) if int(earlier["step"]) < int(new[0]["step"])]
    new = [{of_spreadsheet(name): of_spreadsheet(value) for name, value in row.items()} for row in new]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(name for each in [*rows, *new] for name in each)))
    writer.writeheader()
    writer.writerows([*rows, *new])
    write_text(path, text.getvalue())


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
