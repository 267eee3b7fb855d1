"""All tables of a comparison, in few passes over each ensemble's members, one time after the other (docs/analysis.md).

Rows are keyed (run, evaluation set, time index), or without what a table does not have. What is held at once is a few
hundred resampled means of two ensembles at one time (where members are paired, of their differences, too), never the
logits of all members.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float32

from widesym.analysis.comparison.ensembles import Compared, Numbers, Times, check_comparable, of_name
from widesym.analysis.comparison.gathered import BIN_EDGES, Gathered, tables_of
from widesym.analysis.comparison.pairing import Pair, numbers_sharing, pair_of
from widesym.analysis.comparison.rows import (
    accuracy_row,
    calibrated,
    divergence_row,
    ensemble_sizes,
    error_row,
    mean_row,
    orbit_row,
    orbit_size_row,
    size_rows,
    theory_row,
    training_row,
)
from widesym.analysis.comparison.tables import Row
from widesym.analysis.comparison.widths import width_table
from widesym.analysis.estimators.divergence import divergence_by_size
from widesym.analysis.estimators.logits import Block
from widesym.analysis.estimators.means import EstimatedMean, estimate_with_subsets, signs_among
from widesym.analysis.estimators.orbit_statistics import joined, mean_orbit_statistics
from widesym.analysis.estimators.orbits import OrbitStatistics
from widesym.models.checks import MOST_SEED, check_seed

SUBSETS = 20  # of each size


class Resampling(NamedTuple):
    """How members are drawn again: sizes of sub-ensembles, how many draws, and by ensemble the seed and the numbers
    among which signs are drawn.
    """

    sizes: Sequence[int]
    draws: int
    seeds: Mapping[str, int]
    among: Mapping[str, Numbers]


class AtTime(NamedTuple):
    """An ensemble at one time: its mean, means of its sub-ensembles by size, its members' orbit statistics by set."""

    of: Compared
    mean: EstimatedMean
    subsets: Mapping[int, Float32[np.ndarray, "draw sample logit"]]
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

    Divergences are from the ensemble named `reference`, by pairs of members where these share their randomness
    (`pair_of`). `progress` is told how many (ensemble, time) are done. Raises ValueError for ensembles that do not fit
    each other, and logits that are not finite.
    """
    check_comparable(ensembles, times)
    check_seed(seed, most=MOST_SEED // len(ensembles) - 1)
    ensembles = [of_name(ensembles, reference), *(each for each in ensembles if each.name != reference)]
    pairs = {each.name: pair_of(each, ensembles[0]) for each in ensembles[1:]}
    resampling, found = _resampling(ensembles, draws, seed), Gathered(*({} for _ in Gathered._fields))
    last: dict[str, EstimatedMean] = {}
    for t in range(len(times)):
        first = None
        for index, each in enumerate(ensembles):
            now = at_time(each, t, resampling)
            _add_own(found, now, t)
            if first is not None:
                _add_pair(found, (now, first), _sides(pairs[each.name], (now, first), t, resampling), t)
            first = first or now
            if each.series and t == len(times) - 1:
                last[each.name] = now.mean
            progress(t * len(ensembles) + index + 1)
    tables = tables_of(found, ensembles, times, resampling.sizes, pairs)
    widths = width_table(ensembles, last)
    return tables if widths is None else tables | {"widths": widths}


def _resampling(ensembles: Sequence[Compared], draws: int, seed: int) -> Resampling:
    """With draws of its own for each ensemble, as its members are; common ones in a series that shares randomness."""
    own = {each.name: seed * len(ensembles) + index for index, each in enumerate(ensembles)}
    sharing = numbers_sharing(ensembles)
    seeds = {name: own[first] for name, (first, _) in sharing.items()}
    among = {name: numbers for name, (_, numbers) in sharing.items()}
    return Resampling(ensemble_sizes([each.members for each in ensembles]), draws, seeds, among)


def at_time(ensemble: Compared, t: int, resampling: Resampling) -> AtTime:
    """What is read of an ensemble at the common time of this index; raises ValueError where that cannot be."""
    logits, at, name = ensemble.logits, ensemble.indices[t], ensemble.name
    orbits: list[dict[str, OrbitStatistics]] = []

    def read() -> Iterator[tuple[slice, Block]]:
        for place, block in logits.blocks(at):
            orbits.append(mean_orbit_statistics(block, ensemble.orbits))
            yield place, block

    sizes = [size for size in resampling.sizes if size <= ensemble.members]
    signs = signs_among(ensemble.numbers, resampling.among[name], resampling.draws, resampling.seeds[name])
    try:
        mean, subsets = estimate_with_subsets(logits, read(), sizes, signs, SUBSETS, resampling.seeds[name])
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    return AtTime(ensemble, mean, subsets, joined(orbits))


def _sides(pair: Pair, both: tuple[AtTime, AtTime], t: int, resampling: Resampling) -> tuple[AtTime, AtTime]:
    """What is held against each other: both ensembles, those members of them that are, or differences and zero."""
    now, first = both
    ours = now if pair.ours is now.of else at_time(pair.ours, t, resampling)
    if pair.theirs is not None:
        return ours, first if pair.theirs is first.of else at_time(pair.theirs, t, resampling)
    zero = {size: np.zeros_like(means[:1]) for size, means in ours.subsets.items()}
    return ours, AtTime(pair.ours, EstimatedMean.exact(np.zeros_like(ours.mean.mean)), zero, {})


def _add_own(found: Gathered, now: AtTime, t: int) -> None:
    """What is said of one ensemble."""
    ensemble, name, is_last = now.of, now.of.name, t == len(now.of.indices) - 1
    if training := training_row({kind: values[t] for kind, values in ensemble.training.items()}):
        found.training[name, t] = training
    found.mean_logits[name, t] = _means(now, t)
    for of_set, samples in ensemble.sets.items():
        mean, key = now.mean.of(samples), (name, of_set, t)
        if of_set in ensemble.labels:
            found.scores[key] = accuracy_row(mean.mean, ensemble.labels[of_set])
        elif of_set in ensemble.values:
            found.scores[key] = error_row(mean.mean, ensemble.values[of_set])
        if ensemble.prediction is not None:
            predicted = ensemble.prediction[of_set]
            found.theory[key] = theory_row(mean, predicted.mean[t], predicted.variance[t])
            found.scale[name, of_set] = {"scale": float(np.linalg.norm(predicted.mean[-1], axis=-1).mean())}
            if is_last and (scores := calibrated(mean, predicted.mean[t])):
                found.calibration[name, of_set] = {
                    "count": np.histogram(np.clip(scores.z, *BIN_EDGES[[0, -1]]), BIN_EDGES)[0]
                }
    for of_set, where in ensemble.orbits.items():
        found.equivariance[name, of_set, t] = orbit_row(now.orbits[of_set], now.mean, where)
        if is_last:
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


def _add_pair(found: Gathered, both: tuple[AtTime, AtTime], sides: tuple[AtTime, AtTime], t: int) -> None:
    """How far an ensemble is from the reference, with all members and with fewer."""
    (now, first), (ours, theirs) = both, sides
    for of_set in now.of.sets:
        parts, key = (ours.of.sets[of_set], theirs.of.sets[of_set]), (now.of.name, of_set, t)
        pair = ours.mean.of(parts[0]), theirs.mean.of(parts[1])
        means = None
        if now.of.prediction is not None and first.of.prediction is not None:
            means = now.of.prediction[of_set].mean[t], first.of.prediction[of_set].mean[t]
        found.divergence[key] = divergence_row(*pair, means)
        sizes = [size for size in ours.subsets if size in theirs.subsets]
        if not sizes:
            continue
        drawn = [(ours.subsets[size][:, parts[0]], theirs.subsets[size][:, parts[1]]) for size in sizes]
        for size, row in size_rows(divergence_by_size(*pair, sizes, drawn)).items():
            found.divergence_by_size[(*key, size)] = row
