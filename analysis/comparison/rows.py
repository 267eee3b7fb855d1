"""What one table's row says: of one ensemble on one evaluation set at one time (theory.md §5)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from analysis.calibration import rms_z, rms_z_interval, within, z_scores
from analysis.comparison.tables import Row
from analysis.divergence import (
    divergence,
    divergence_interval,
    mean_distance,
    noise_floor,
    squared_divergence,
    squared_divergence_interval,
)
from analysis.orbit_statistics import OrbitSet, mean_orbit_statistics, orbit_statistics_interval
from analysis.equivariance import OrbitStatistics
from analysis.resampling import EstimatedMean

Means = Float[np.ndarray, "sample logit"]
SPREAD = (0.05, 0.95)  # of members, in training tables


def divergence_row(a: EstimatedMean, b: EstimatedMean, predicted: tuple[Means, Means] | None) -> Row:
    """How far a's mean is from b's; of one member neither noise nor intervals."""
    row: dict[str, Any] = {"divergence": divergence(a, b)}
    if predicted is not None:
        row["predicted_divergence"] = mean_distance(*predicted)
    if 1 in (a.members, b.members):
        return row
    return row | {
        "divergence_interval": divergence_interval(a, b),
        "noise_floor": noise_floor(a, b),
        "squared_divergence": squared_divergence(a, b),
        "squared_divergence_interval": squared_divergence_interval(a, b),
    }


def theory_row(a: EstimatedMean, mean: Means, variance: Float[np.ndarray, " sample"]) -> Row:
    """How far a's mean is from the predicted one, against the scatter of its members, measured and predicted."""
    theory, members, logits = EstimatedMean.exact(mean), a.members or 1, mean.shape[-1]
    row: dict[str, Any] = {
        "distance": divergence(a, theory),
        "expected_distance": float(np.sqrt(logits * variance / members).mean()),
    }
    if a.members == 1:
        return row
    z = z_scores(a, mean)
    return row | {
        "distance_interval": divergence_interval(a, theory),
        "noise_floor": noise_floor(a, theory),
        "squared_bias": squared_divergence(a, theory),
        "squared_bias_interval": squared_divergence_interval(a, theory),
        "rms_z": rms_z(z),
        "rms_z_interval": rms_z_interval(a),
        "within": within(z, members),
    }


def mean_row(a: EstimatedMean) -> Row:
    """The mean logits and their standard error."""
    error = {} if a.members == 1 else {"standard_error": np.sqrt(a.squared_error)}
    return {"mean": a.mean} | error


def orbit_row(members: OrbitStatistics, a: EstimatedMean, where: OrbitSet) -> Row:
    """Orbit statistics [member] of each member, and of their mean logits."""
    of_mean = mean_orbit_statistics(a.mean, {"": where})[""]
    row: dict[str, Any] = {}
    for name in OrbitStatistics._fields:
        row[f"{name}_members"] = getattr(members, name).mean()
        row[f"{name}_mean"] = getattr(of_mean, name)
    if a.noise is None:
        return row
    low, high = orbit_statistics_interval(a.mean, a.noise, where)
    for name in OrbitStatistics._fields:
        row[f"{name}_members_deviation"] = getattr(members, name).std(ddof=1)
        row[f"{name}_mean_interval"] = (getattr(low, name), getattr(high, name))
    return row


def orbit_size_row(means: Float[np.ndarray, "draw sample logit"], where: OrbitSet) -> Row:
    """Orbit statistics of sub-ensembles' mean logits: mean over these, and their middle 95 %."""
    found = mean_orbit_statistics(means, {"": where})[""]
    row: dict[str, Any] = {}
    for name in OrbitStatistics._fields:
        values = getattr(found, name)
        row |= {name: values.mean(), f"{name}_interval": np.quantile(values, (0.025, 0.975))}
    return row


def training_row(values: dict[str, Float[np.ndarray, " member"]]) -> Row:
    """Medians and spreads over members; nothing at times without a batch, as before the first step."""
    row: dict[str, Any] = {}
    for name, of_members in values.items():
        if np.isfinite(of_members).all():
            row |= {name: np.median(of_members), f"{name}_spread": np.quantile(of_members, SPREAD)}
    return row


def accuracy_row(mean: Means, labels: Int[np.ndarray, " sample"]) -> Row:
    """How often the mean logits' largest is the label's."""
    return {"ensemble_accuracy": float((mean.argmax(-1) == labels).mean())}


def ensemble_sizes(members: Sequence[int]) -> list[int]:
    """Sizes to compare at: powers of two from 2 on, and the smallest ensemble's; empty where that has one member."""
    smallest = min(members)
    return sorted({*(2**k for k in range(1, smallest.bit_length())), smallest} - {1})
