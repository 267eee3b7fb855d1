"""How equivariant members and their mean logits are, on the orbits of inputs (docs/equivariance.md)."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from widesym.analysis.comparison.at_time import AtTime
from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables, complete_runs
from widesym.analysis.comparison.ensembles import Compared
from widesym.analysis.comparison.metric import Comparison, Metric
from widesym.analysis.comparison.tables import INTERVAL, Column, Row, Rows
from widesym.analysis.estimators.means import FEWEST, EstimatedMean
from widesym.analysis.estimators.orbit_statistics import OrbitSet, mean_orbit_statistics, orbit_statistics_interval
from widesym.analysis.estimators.orbits import OrbitStatistics
from widesym.analysis.figures.equivariance import equivariance_over_time, osp_by_size

_ORBIT = {
    "osp": "orbit-same-prediction",
    "orbit_deviation": "standard deviation over the orbit, relative to the mean over it",
    "equivariance_error": "‖f(g·x) − ρ_g f(x)‖ relative to ‖f(x)‖, mean over g",
}
COLUMNS = {
    name: column
    for short, meaning in _ORBIT.items()
    for name, column in {
        f"{short}_members": Column((), f"{meaning}, mean over members"),
        f"{short}_members_deviation": Column((), f"{meaning}, standard deviation over members"),
        f"{short}_mean": Column((), f"{meaning}, of the mean logits"),
        f"{short}_mean_interval": Column(INTERVAL, f"95 % interval over ensembles: {meaning}, of the mean logits"),
    }.items()
}
COLUMNS_BY_SIZE = {
    name: column
    for short, meaning in _ORBIT.items()
    for name, column in {
        short: Column((), f"{meaning}, of the mean logits of sub-ensembles, mean over these"),
        f"{short}_interval": Column(INTERVAL, f"middle 95 % over sub-ensembles: {meaning}"),
    }.items()
}


def of_one(now: AtTime) -> Rows:
    """Orbit statistics on each set that was recorded on orbits."""
    for of_set, where in now.of.orbits.items():
        yield (now.of.name, of_set, now.time), orbit_row(now.orbits[of_set], now.mean, where)


def of_one_by_size(now: AtTime) -> Rows:
    """Those of sub-ensembles at the last time, by their size."""
    for of_set, where in now.of.orbits.items() if now.is_last else ():
        for size, means in now.subsets.items():
            yield (now.of.name, of_set, size), orbit_size_row(means, where)


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


def orbit_size_row(means: Float[np.ndarray, "draw sample logit"], where: OrbitSet) -> Row:
    """Orbit statistics of sub-ensembles' mean logits: mean over these, and their middle 95 %."""
    found = mean_orbit_statistics(means, {"": where})[""]
    row: dict[str, Any] = {}
    for name in _defined(where, means):
        values = getattr(found, name)
        row |= {name: values.mean(), f"{name}_interval": np.quantile(values, (0.025, 0.975))}
    return row


def _defined(where: OrbitSet, logits: Float[np.ndarray, "*leading logit"]) -> tuple[str, ...]:
    """Statistics that there are: the same class is predicted only where several are told apart."""
    of_classes = where.classes and logits.shape[-1] > 1
    return tuple(name for name in OrbitStatistics._fields if name != "osp" or of_classes)


def _on_orbits(ensemble: Compared) -> Collection[str]:
    return ensemble.orbits


def _elements(comparison: Comparison, runs: Sequence[Compared]) -> Mapping[str, Any]:
    return {"elements": ("run", [max(where.elements for where in each.orbits.values()) for each in runs])}


def drawings(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """Members and mean logits over training time."""
    equivariance = complete_runs(tables, "equivariance", "orbit_deviation_mean_interval")
    if equivariance is not None:
        caption = "How equivariant members and their mean logits are, during training."
        yield Drawing("equivariance", partial(equivariance_over_time, equivariance), caption)


def drawings_by_size(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """Orbit-same-prediction by ensemble size, beside that of the whole ensembles."""
    equivariance = complete_runs(tables, "equivariance", "orbit_deviation_mean_interval")
    by_size = tables.get("equivariance_by_size")
    if equivariance is not None and by_size is not None and "osp" in by_size:
        caption = "How often the same class is predicted along an orbit, by ensemble size."
        yield Drawing("osp-by-size", partial(osp_by_size, by_size.sel(run=equivariance.run), equivariance), caption)


EQUIVARIANCE = Metric(
    "equivariance",
    COLUMNS,
    ("run", "evaluation_set", "time"),
    of_one=of_one,
    sets=_on_orbits,
    coordinates=_elements,
    drawings=drawings,
)
EQUIVARIANCE_BY_SIZE = Metric(
    "equivariance_by_size",
    COLUMNS_BY_SIZE,
    ("run", "evaluation_set", "size"),
    of_one=of_one_by_size,
    sets=_on_orbits,
    coordinates=_elements,
    drawings=drawings_by_size,
)
