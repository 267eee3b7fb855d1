"""metrics.csv: loss and accuracies at every recorded step."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float

from ensembles.data import Dataset
from launch.run_directory import write_text

Row = Mapping[str, float | str]


def metrics_row(
    step: int,
    time: float,
    logits: Mapping[str, Float[np.ndarray, "member sample logit"]],
    targets: Float[np.ndarray, "train logit"],
    training_set: Dataset,
    evaluation_sets: Sequence[Dataset],
) -> dict[str, float]:
    """One record: L = ½ mean ‖f − y‖² over members, and accuracies, mean of the members' and of the mean logits.

    Accuracies are given for the sets whose classes are the training set's.
    """
    loss = 0.5 * ((logits[training_set.name] - targets) ** 2).sum(-1).mean(-1)
    row = {"step": step, "time": time, "train_loss_mean": float(loss.mean()), "train_loss_deviation": float(loss.std())}
    for data in (training_set, *evaluation_sets):
        if data.labels is not None and data.classes == training_set.classes:
            outputs = logits[data.name]
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
    writer = csv.DictWriter(text, fieldnames=list(row))
    writer.writeheader()
    writer.writerows([*rows, row])
    write_text(path, text.getvalue())
