"""metrics.csv: loss, and accuracies or errors, at every recorded step.

Members with numbers of their own, as learning rates, are not averaged over: there is a row for each value.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float

from widesym.ensembles.data import Dataset
from widesym.ensembles.files import open_regular
from widesym.ensembles.losses import Loss
from widesym.launch.console import of_spreadsheet
from widesym.launch.runs.files import write_text

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
