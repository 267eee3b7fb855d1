"""metrics.csv: loss and accuracies at every recorded step."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from ensembles.data import Dataset
from ensembles.losses import Loss
from launch.run_directory import write_text

Row = Mapping[str, float | str]


def metrics_row(
    step: int,
    time: float | None,
    logits: Mapping[str, Float[np.ndarray, "member sample logit"]],
    healthy: Bool[np.ndarray, " member"],
    loss: Loss,
    training_set: Dataset,
    evaluation_sets: Sequence[Dataset],
) -> dict[str, float]:
    """One record: the training set's loss over healthy members, and accuracies of these and of their mean logits.

    `time` is the training time, None where it differs between members. Accuracies are given for the sets whose classes
    are the training set's.
    """
    row = {"step": step, **({} if time is None else {"time": time}), "healthy_members": int(healthy.sum())}
    if not healthy.any():
        return row
    train = logits[training_set.name][healthy]
    targets = training_set.targets(loss)
    losses = np.array([loss(each, targets) for each in train], np.float64)
    row |= {"train_loss_mean": float(losses.mean()), "train_loss_deviation": float(losses.std())}
    for data in (training_set, *evaluation_sets):
        if data.labels is not None and data.classes == training_set.classes:
            outputs = logits[data.name][healthy]
            row[f"{data.name}_accuracy_of_members"] = float((outputs.argmax(-1) == data.labels).mean())
            row[f"{data.name}_accuracy_of_mean"] = float((outputs.mean(0).argmax(-1) == data.labels).mean())
    return row


def read_metrics(path: Path) -> list[Row]:
    """The rows so far; none where there is no file."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def add_row(path: Path, row: Row) -> None:
    """Append a row, dropping those of this step and later ones, which a resumed run writes again."""
    rows = [earlier for earlier in read_metrics(path) if int(earlier["step"]) < int(row["step"])]
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(dict.fromkeys(name for each in [*rows, row] for name in each)))
    writer.writeheader()
    writer.writerows([*rows, row])
    write_text(path, text.getvalue())
