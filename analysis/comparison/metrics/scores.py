"""How right the mean logits are, where the truth is known; these columns stand in the table of training."""

import numpy as np

from widesym.analysis.comparison.at_time import AtTime
from widesym.analysis.comparison.metric import Metric
from widesym.analysis.comparison.tables import Column, Rows

COLUMNS = {
    "ensemble_accuracy": Column((), "accuracy of the mean logits; NaN for sets without labels"),
    "ensemble_rmse": Column((), "root mean squared error of the mean logits; NaN for sets without values", unit=None),
}


def of_one(now: AtTime) -> Rows:
    """On each set with labels how often the largest mean logit is the label's, on those with values the error."""
    for of_set in now.of.sets:
        mean, key = now.mean_on(of_set).mean, (now.of.name, of_set, now.time)
        if of_set in now.of.labels:
            yield key, {"ensemble_accuracy": float((mean.argmax(-1) == now.of.labels[of_set]).mean())}
        elif of_set in now.of.values:
            yield key, {"ensemble_rmse": float(np.sqrt(((mean - now.of.values[of_set]) ** 2).mean()))}


SCORES = Metric("training", COLUMNS, ("run", "evaluation_set", "time"), of_one=of_one)
