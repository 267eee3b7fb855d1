"""What one table's row says: of one ensemble on one evaluation set at one time (theory.md §5)."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from widesym.analysis.comparison.tables import Row
from widesym.analysis.estimators.calibration import Calibration, calibration
from widesym.analysis.estimators.divergence import (
    BySize,
    divergence,
    divergence_interval,
    mean_distance,
    noise_floor,
    squared_divergence,
    squared_divergence_interval,
)
from widesym.analysis.estimators.means import FEWEST, EstimatedMean
from widesym.analysis.estimators.orbit_statistics import OrbitSet, mean_orbit_statistics, orbit_statistics_interval
from widesym.analysis.estimators.orbits import OrbitStatistics

Means = Float[np.ndarray, "sample logit"]
SPREAD = (0.05, 0.95)  # of members, in training tables


def divergence_row(a: EstimatedMean, b: EstimatedMean, predicted: tuple[Means, Means] | None) -> Row:
    """How far a's mean is from b's; without noise floor of single members, and without intervals of a few."""
    row: dict[str, Any] = {"divergence": divergence(a, b)}
    if predicted is not None:
        row["predicted_divergence"] = mean_distance(*predicted)
    fewest = min(each.members for each in (a, b) if each.members is not None)
    if fewest > 1:
        row |= {"noise_floor": noise_floor(a, b), "squared_divergence": squared_divergence(a, b)}
    if fewest >= FEWEST:
        row["divergence_interval"] = divergence_interval(a, b)
        row["squared_divergence_interval"] = squared_divergence_interval(a, b)
    return row


def size_rows(by_size: BySize) -> dict[int, Row]:
    """The divergence of sub-ensembles as rows, by their size."""
    each = zip(by_size.divergence, by_size.noise_floor, by_size.band, strict=True)
    names = ("divergence", "noise_floor", "divergence_interval")
    return {size: dict(zip(names, row, strict=True)) for size, row in zip(by_size.sizes, each, strict=True)}


def theory_row(a: EstimatedMean, mean: Means, variance: Float[np.ndarray, " sample"]) -> Row:
    """How far a's mean is from the predicted one, against the scatter of its members, measured and predicted."""
    members, logits = a.members or 1, mean.shape[-1]
    row = divergence_row(a, EstimatedMean.exact(mean), None)
    renamed = {
        "divergence": "distance",
        "divergence_interval": "distance_interval",
        "squared_divergence": "squared_bias",
        "squared_divergence_interval": "squared_bias_interval",
    }
    expected = np.sqrt(logits * np.maximum(variance, 0) / members).mean()
    row = {renamed.get(name, name): value for name, value in row.items()} | {"expected_distance": expected}
    found = calibrated(a, mean)
    if found is not None:
        row |= {"rms_z": found.rms, "rms_z_interval": found.rms_interval, "within": found.within}
    return row


def calibrated(a: EstimatedMean, mean: Means) -> Calibration | None:
    """z of the inputs whose logits differ between members, as those of blank images need not; None where none do."""
    if a.members is None or a.members < FEWEST:
        return None
    (told,) = np.nonzero((a.squared_error > 0).all(-1))
    return calibration(a.of(told), mean[told]) if len(told) else None


def mean_row(a: EstimatedMean) -> Row:
    """The mean logits and their standard error."""
    error = {} if a.members == 1 else {"standard_error": np.sqrt(a.squared_error)}
    return {"mean": a.mean} | error


def orbit_row(members: OrbitStatistics, a: EstimatedMean, where: OrbitSet) -> Row:
    """Orbit statistics [member] of each member, and of their mean logits; without intervals of a few."""
    of_mean = mean_orbit_statistics(a.mean, {"": where})[""]
    row: dict[str, Any] = {}
    defined = _defined(where, a.mean)
    for name in defined:
        row[f"{name}_members"] = getattr(members, name).mean()
        row[f"{name}_mean"] = getattr(of_mean, name)
    if a.noise is None:
        return row
    for name in defined:
        row[f"{name}_members_deviation"] = getattr(members, name).std(ddof=1)
    if a.members is not None and a.members < FEWEST:
        return row
    low, high = orbit_statistics_interval(a.mean, a.noise, where)
    for name in defined:
        row[f"{name}_mean_interval"] = (getattr(low, name), getattr(high, name))
    return row


def _defined(where: OrbitSet, logits: Float[np.ndarray, "*leading logit"]) -> tuple[str, ...]:
    """Statistics that there are: the same class is predicted only where several are told apart."""
    of_classes = where.classes and logits.shape[-1] > 1
    return tuple(name for name in OrbitStatistics._fields if name != "osp" or of_classes)


def orbit_size_row(means: Float[np.ndarray, "draw sample logit"], where: OrbitSet) -> Row:
    """Orbit statistics of sub-ensembles' mean logits: mean over these, and their middle 95 %."""
    found = mean_orbit_statistics(means, {"": where})[""]
    row: dict[str, Any] = {}
    for name in _defined(where, means):
        values = getattr(found, name)
        row |= {name: values.mean(), f"{name}_interval": np.quantile(values, (0.025, 0.975))}
    return row


def training_row(values: Mapping[str, Float[np.ndarray, " member"]]) -> Row:
    """Medians and spreads over members; nothing at times without a batch, as before the first step."""
    row: dict[str, Any] = {}
    for name, of_members in values.items():
        if np.isfinite(of_members).all():
            row |= {name: np.median(of_members), f"{name}_spread": np.quantile(of_members, SPREAD)}
    return row


def accuracy_row(mean: Means, labels: Int[np.ndarray, " sample"]) -> Row:
    """How often the mean logits' largest is the label's."""
    return {"ensemble_accuracy": float((mean.argmax(-1) == labels).mean())}


def error_row(mean: Means, values: Means) -> Row:
    """The mean logits' root mean squared error, over samples and quantities."""
    return {"ensemble_rmse": float(np.sqrt(((mean - values) ** 2).mean()))}


def ensemble_sizes(members: Sequence[int]) -> list[int]:
    """Sizes to compare at: powers of two from 2 on, and the smallest ensemble's; empty where that has one member."""
    smallest = min(members)
    return sorted({*(2**k for k in range(1, smallest.bit_length())), smallest} - {1})
