"""What members did on the batches that they learned from."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from widesym.analysis.comparison.at_time import AtTime
from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables
from widesym.analysis.comparison.metric import Metric
from widesym.analysis.comparison.tables import INTERVAL, Column, Row, Rows
from widesym.analysis.figures.training import training_curves

SPREAD = (0.05, 0.95)  # of members
COLUMNS = {
    name: column
    for of, meaning in {"loss": "loss", "accuracy": "accuracy", "gradient_norm": "norm of the gradient"}.items()
    for name, column in {
        of: Column((), f"{meaning} on the last batch, median over members"),
        f"{of}_spread": Column(INTERVAL, f"{meaning} on the last batch, 5 % and 95 % of members"),
    }.items()
}


def of_one(now: AtTime) -> Rows:
    """Members' metrics at times that have a batch."""
    if row := training_row({kind: values[now.time] for kind, values in now.of.training.items()}):
        yield (now.of.name, now.time), row


def training_row(values: Mapping[str, Float[np.ndarray, " member"]]) -> Row:
    """Medians and spreads over members; nothing at times without a batch, as before the first step."""
    row: dict[str, Any] = {}
    for name, of_members in values.items():
        if np.isfinite(of_members).all():
            row |= {name: np.median(of_members), f"{name}_spread": np.quantile(of_members, SPREAD)}
    return row


def drawings(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """Curves of members' metrics and of the scores of their mean logits, which are in the same table."""
    if "training" in tables:
        caption = "Members' metrics, and accuracies or errors of mean logits."
        yield Drawing("training", partial(training_curves, tables["training"]), caption)


TRAINING = Metric("training", COLUMNS, ("run", "time"), of_one=of_one, drawings=drawings)
