"""All tables of a comparison, in few passes over each ensemble's members at one time after the other (docs/analysis.md).

Rows are keyed (run, evaluation set, time index), or without what a table does not have. What is held at once is a few
hundred resampled means of two ensembles at one time, never the logits of all members.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float

from analysis.comparison import columns
from analysis.comparison.ensembles import Compared, Times, check, of_name
from analysis.comparison.rows import (
    accuracy_row,
    divergence_row,
    ensemble_sizes,
    mean_row,
    orbit_row,
    orbit_size_row,
    theory_row,
    training_row,
)
from analysis.comparison.tables import Row, table
from analysis.calibration import BINS, histogram, z_scores
from analysis.divergence import divergence_by_size
from analysis.orbit_statistics import member_orbit_statistics
from analysis.resampling import EstimatedMean, estimate_mean, subset_means

Rows = dict[tuple, Row]
SUBSETS = 20  # of each size


class Gathered(NamedTuple):
    """Rows so far, by table."""

    divergence: Rows
    divergence_by_size: Rows
    theory: Rows
    scale: Rows
    calibration: Rows
    mean_logits: Rows
    equivariance: Rows
    equivariance_by_size: Rows
    training: Rows
    accuracy: Rows


class AtTime(NamedTuple):
    """An ensemble at one time: its mean, means of its sub-ensembles by size, its members' orbit statistics by set."""

    of: Compared
    mean: EstimatedMean
    subsets: Mapping[int, Float[np.ndarray, "draw sample logit"]]
    orbits: Mapping[str, OrbitStatistics]


def compare(
    ensembles: Sequence[Compared],
    times: Times,
    reference: str,
    draws: int = 200,
    seed: int = 0,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, xr.Dataset]:
    """Tables by name: divergence, divergence_by_size, theory, calibration, mean_logits, equivariance,
    equivariance_by_size, training; those without rows are left out.

    Divergences are from the ensemble named `reference`. `progress` is told how many (ensemble, time) are done. Raises
    ValueError for ensembles that do not fit each other, and logits that are not finite.
    """
    check(ensembles, times)
    ensembles = [of_name(ensembles, reference), *(each for each in ensembles if each.name != reference)]
    sizes, found = ensemble_sizes([each.members for each in ensembles]), Gathered(*({} for _ in Gathered._fields))
    for t in range(len(times)):
        first = None
        for index, each in enumerate(ensembles):
            now = at_time(each, t, sizes, draws, seed * len(ensembles) + index)  # draws of one's own, as members are
            _add_own(found, now, t)
            if first is not None:
                _add_pair(found, now, first, t)
            first = first or now
            progress(t * len(ensembles) + index + 1)
    return tables_of(found, ensembles, times, sizes)


def at_time(ensemble: Compared, t: int, sizes: Sequence[int], draws: int, seed: int) -> AtTime:
    """What is read of an ensemble at the common time of this index."""
    logits, at = ensemble.logits, ensemble.indices[t]
    subsets = subset_means(logits, at, sizes, SUBSETS, seed)
    orbits = {}
    if ensemble.orbits:
        orbits = member_orbit_statistics((block for _, block in logits.blocks(at)), ensemble.orbits)
    return AtTime(
        ensemble, estimate_mean(logits, at, draws, seed), dict(zip(sizes, subsets, strict=True)), orbits
    )


def _add_own(found: Gathered, now: AtTime, t: int) -> None:
    """What is said of one ensemble."""
    ensemble, name = now.of, now.of.name
    if training := training_row({kind: values[t] for kind, values in ensemble.training.items()}):
        found.training[name, t] = training
    found.mean_logits[name, t] = _means(now, t)
    for of_set, samples in ensemble.sets.items():
        mean, key = now.mean.of(samples), (name, of_set, t)
        if of_set in ensemble.labels:
            found.accuracy[key] = accuracy_row(mean.mean, ensemble.labels[of_set])
        if ensemble.prediction is not None:
            predicted = ensemble.prediction[of_set]
            found.theory[key] = theory_row(mean, predicted.mean[t], predicted.variance[t])
            found.scale[name, of_set] = {"scale": float(np.linalg.norm(predicted.mean[-1], axis=-1).mean())}
            if ensemble.members > 1 and t == len(ensemble.indices) - 1:
                found.calibration[name, of_set] = {"count": histogram(z_scores(mean, predicted.mean[t]), BIN_EDGES)}
    for of_set, where in ensemble.orbits.items():
        found.equivariance[name, of_set, t] = orbit_row(now.orbits[of_set], now.mean, where)
        if t == len(ensemble.indices) - 1:
            for size, means in now.subsets.items():
                found.equivariance_by_size[name, of_set, size] = orbit_size_row(means, where)


def _means(now: AtTime, t: int) -> Row:
    """Of all sets, one after the other."""
    parts = [mean_row(now.mean.of(samples)) for samples in now.of.sets.values()]
    row = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if now.of.prediction is None:
        return row
    predicted = [now.of.prediction[of_set] for of_set in now.of.sets]
    deviation = [np.sqrt(np.maximum(each.variance[t], 0)) for each in predicted]
    return row | {
        "theory_mean": np.concatenate([each.mean[t] for each in predicted]),
        "theory_deviation": np.concatenate(deviation),
    }


def _add_pair(found: Gathered, now: AtTime, first: AtTime, t: int) -> None:
    """How far an ensemble is from the reference, with all members and with fewer."""
    for of_set, samples in now.of.sets.items():
        pair, key = (now.mean.of(samples), first.mean.of(first.of.sets[of_set])), (now.of.name, of_set, t)
        means = None
        if now.of.prediction is not None and first.of.prediction is not None:
            means = now.of.prediction[of_set].mean[t], first.of.prediction[of_set].mean[t]
        found.divergence[key] = divergence_row(*pair, means)
        if not now.subsets:
            continue
        drawn = [(now.subsets[size][:, samples], first.subsets[size][:, first.of.sets[of_set]]) for size in now.subsets]
        by_size = divergence_by_size(*pair, drawn, list(now.subsets))
        for size, row in zip(now.subsets, by_size, strict=True):
            found.divergence_by_size[(*key, size)] = row


def tables_of(found: Gathered, ensembles: Sequence[Compared], times: Times, sizes: Sequence[int]) -> dict[str, xr.Dataset]:
    """Rows as labelled arrays; `ensembles` begin with the reference."""
    names, others = [each.name for each in ensembles], [each.name for each in ensembles[1:]]
    sets, with_orbits = list(ensembles[0].sets), list(dict.fromkeys(name for each in ensembles for name in each.orbits))
    members = {each.name: each.members for each in ensembles}
    at = range(len(times))
    timed = {"time": list(times.times), "step": ("time", list(times.steps))}

    def of(rows: Rows, known: Mapping[str, Column], dimensions: dict[str, Sequence], **more: Any) -> xr.Dataset:
        coords: dict[str, Any] = {name: list(values) for name, values in dimensions.items() if name != "time"}
        coords |= {"members": ("run", [members[name] for name in dimensions["run"]])} if "run" in dimensions else {}
        coords |= timed if "time" in dimensions else {}
        made = table(rows, dimensions, known, coords | more)
        if "end" in made.dims:
            made = made.assign_coords(end=["low", "high"])
        return made.assign_attrs(reference=names[0], reference_members=members[names[0]])

    orbits = {"run": names, "evaluation_set": with_orbits}
    elements = [max((where.elements for where in each.orbits.values()), default=1) for each in ensembles]
    every = {"run": names, "evaluation_set": sets}
    theory = of(found.theory, THEORY, every | {"time": at})
    made = {
        "divergence": of(found.divergence, DIVERGENCE, {"run": others, "evaluation_set": sets, "time": at}),
        "divergence_by_size": of(
            found.divergence_by_size,
            DIVERGENCE_BY_SIZE,
            {"run": others, "evaluation_set": sets, "time": at, "size": sizes},
        ),
        "theory": theory.merge(of(found.scale, SCALE, every)),
        "calibration": of(found.calibration, CALIBRATION, every, low=("bin", BIN_EDGES[:-1]), high=("bin", BIN_EDGES[1:])),
        "mean_logits": of(found.mean_logits, MEAN_LOGITS, {"run": names, "time": at}, **_samples(ensembles[0])),
        "equivariance": of(
            found.equivariance, EQUIVARIANCE, orbits | {"time": at}, elements=("run", elements)
        ),
        "equivariance_by_size": of(
            found.equivariance_by_size,
            EQUIVARIANCE_BY_SIZE,
            orbits | {"size": sizes},
            elements=("run", elements),
        ),
        "training": of(found.training, TRAINING, {"run": names, "time": at}).merge(
            of(found.accuracy, ENSEMBLE_ACCURACY, every | {"time": at})
        ),
    }
    if found.divergence and "predicted_divergence" in made["divergence"]:
        made["divergence_by_size"]["predicted_divergence"] = made["divergence"].predicted_divergence
    return {name: each for name, each in made.items() if each.data_vars}


def _samples(ensemble: Compared) -> dict[str, Any]:
    """Which set each sample of `mean_logits` is of, and its number there."""
    sizes = {name: samples.stop - samples.start for name, samples in ensemble.sets.items()}
    return {
        "evaluation_set": ("sample", np.repeat(list(sizes), list(sizes.values()))),
        "image": ("sample", np.concatenate([np.arange(size) for size in sizes.values()])),
    }
