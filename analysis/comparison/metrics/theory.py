"""How far an ensemble's mean logits are from those that theory predicts (theory.md §5)."""

from collections.abc import Iterator
from functools import partial

import numpy as np
from jaxtyping import Float

from widesym.analysis.comparison.at_time import AtTime
from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables, complete_runs
from widesym.analysis.comparison.metric import Metric
from widesym.analysis.comparison.metrics.calibration import calibrated
from widesym.analysis.comparison.metrics.divergence import divergence_row
from widesym.analysis.comparison.tables import INTERVAL, Column, Row, Rows
from widesym.analysis.estimators.means import EstimatedMean
from widesym.analysis.figures.theory import theory_over_time

COLUMNS = {
    "distance": Column((), "‖mean logits − predicted mean‖₂, mean over inputs"),
    "distance_interval": Column(INTERVAL, "95 % interval of the distance's expectation over ensembles"),
    "noise_floor": Column((), "distance expected from the members' own scatter alone"),
    "expected_distance": Column((), "distance expected from the predicted scatter of so many members alone"),
    "squared_bias": Column((), "unbiased ‖expected logits − predicted mean‖², mean over inputs"),
    "squared_bias_interval": Column(INTERVAL, "95 % interval of the squared bias"),
    "rms_z": Column((), "root mean square of z = (mean logit − predicted mean)/standard error"),
    "rms_z_interval": Column(INTERVAL, "middle 95 % of rms z where there is no bias"),
    "within": Column((), "fraction of z within the 95 % interval of Student's t"),
    "scale": Column((), "‖predicted mean at the last time‖₂, mean over inputs"),
}
OF_DIVERGENCE = {  # columns by what they are of any two means
    "divergence": "distance",
    "divergence_interval": "distance_interval",
    "noise_floor": "noise_floor",
    "squared_divergence": "squared_bias",
    "squared_divergence_interval": "squared_bias_interval",
}


def of_one(now: AtTime) -> Rows:
    """The distance on each evaluation set; the scale is of no time."""
    for of_set, predicted in now.predicted():
        mean, variance = predicted.mean[now.time], predicted.variance[now.time]
        yield (now.of.name, of_set, now.time), theory_row(now.mean_on(of_set), mean, variance)
        if now.is_last:
            yield (now.of.name, of_set), {"scale": float(np.linalg.norm(mean, axis=-1).mean())}


def theory_row(
    a: EstimatedMean, mean: Float[np.ndarray, "sample logit"], variance: Float[np.ndarray, " sample"]
) -> Row:
    """How far a's mean is from the predicted one, against the scatter of its members, measured and predicted."""
    members, logits = a.members or 1, mean.shape[-1]
    row = {OF_DIVERGENCE[name]: value for name, value in divergence_row(a, EstimatedMean.exact(mean)).items()}
    row["expected_distance"] = np.sqrt(logits * np.maximum(variance, 0) / members).mean()
    if (found := calibrated(a, mean)) is not None:
        row |= {"rms_z": found.rms, "rms_z_interval": found.rms_interval, "within": found.within}
    return row


def drawings(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """The distance over time, relative to the predicted mean, on sets where that is not zero."""
    theory = complete_runs(tables, "theory", "distance_interval")
    if theory is not None and (positive := (theory["scale"].values > 0).all(0)).any():
        theory = theory.isel(evaluation_set=positive)
        caption = "How far mean logits are from the predicted mean, on sets where that is not zero."
        yield Drawing("theory", partial(theory_over_time, theory), caption)


THEORY = Metric("theory", COLUMNS, ("run", "evaluation_set", "time"), of_one=of_one, drawings=drawings)
