"""Whether mean logits are as far from the predicted ones as their standard errors say (theory.md §5)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from widesym.analysis.comparison.at_time import AtTime
from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables, complete_runs
from widesym.analysis.comparison.ensembles import Compared
from widesym.analysis.comparison.metric import Comparison, Metric
from widesym.analysis.comparison.tables import Column, Rows
from widesym.analysis.estimators.calibration import Calibration, calibration
from widesym.analysis.estimators.means import FEWEST, EstimatedMean
from widesym.analysis.figures.theory import calibration_figure

COLUMNS = {"count": Column(("bin",), "z scores in a bin at the last time; the outer bins hold those beyond, too")}
BIN_EDGES = np.linspace(-6, 6, 49)  # of z


def of_one(now: AtTime) -> Rows:
    """The histogram of z on each evaluation set at the last time."""
    for of_set, predicted in now.predicted() if now.is_last else ():
        if scores := calibrated(now.mean_on(of_set), predicted.mean[now.time]):
            count, _ = np.histogram(np.clip(scores.z, *BIN_EDGES[[0, -1]]), BIN_EDGES)
            yield (now.of.name, of_set), {"count": count}


def calibrated(a: EstimatedMean, mean: Float[np.ndarray, "sample logit"]) -> Calibration | None:
    """z of the inputs whose logits differ between members, as those of blank images need not; None where none do."""
    if a.members is None or a.members < FEWEST:
        return None
    (varying,) = np.nonzero((a.squared_error > 0).all(-1))
    return calibration(a.of(varying), mean[varying]) if len(varying) else None


def _bins(comparison: Comparison, runs: Sequence[Compared]) -> Mapping[str, Any]:
    return {"low": ("bin", BIN_EDGES[:-1]), "high": ("bin", BIN_EDGES[1:])}


def drawings(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """Histograms on the sets that all runs with intervals have z scores of."""
    theory, calibration = complete_runs(tables, "theory", "distance_interval"), tables.get("calibration")
    if theory is None or calibration is None:
        return
    calibration = calibration.sel(run=theory.run)
    scored = np.isfinite(calibration["count"].values).all((0, 2)) & np.isfinite(theory["rms_z"].values).all((0, 2))
    if scored.any():
        calibration, theory = (table.isel(evaluation_set=scored) for table in (calibration, theory))
        caption = "Is the mean as far from theory as its own standard error says? Student's t is what no bias gives."
        yield Drawing("calibration", partial(calibration_figure, calibration, theory), caption)


CALIBRATION = Metric(
    "calibration", COLUMNS, ("run", "evaluation_set"), of_one=of_one, coordinates=_bins, drawings=drawings
)
