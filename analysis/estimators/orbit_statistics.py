"""Orbit statistics of stored ensembles, member by member, of means over members, and intervals for them.

Logits are [..., sample, logit] over the sample axis of the store (ensembles/recorder.py), in which an evaluation set is
element-major: all samples under the first element, then all under the second. Functions are treated one by one, so
nothing larger than what is given is held.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from widesym.analysis.estimators.orbits import Matrices, Orbit, OrbitStatistics, orbit_statistics, pulled_back


@dataclass(frozen=True, eq=False)
class OrbitSet:
    """Where on the sample axis an evaluation set's orbits lie, their number of elements, how targets turn
    (`target_matrices`; None: invariant), and whether logits are of `classes`, one of which is predicted.
    """

    samples: slice
    elements: int
    rho: Matrices | None = None
    classes: bool = True


def orbit_sets(
    names: Iterable[str],
    evaluation_set: Int[np.ndarray, " sample"],
    element: Int[np.ndarray, " sample"],
    rho: Matrices | None = None,
    classes: bool = True,
) -> dict[str, OrbitSet]:
    """The evaluation sets that were recorded on orbits, from the coordinates of a store."""
    found = {}
    for index, name in enumerate(names):
        (places,) = np.nonzero(evaluation_set == index)
        elements = int(element[places].max()) + 1
        if elements > 1:
            found[name] = OrbitSet(slice(int(places[0]), int(places[-1]) + 1), elements, rho, classes)
    return found


def on_orbits(logits: Float[np.ndarray, "*leading sample logit"], where: OrbitSet) -> Orbit:
    """ρ_g⁻¹ f(gx) of the set's samples, [..., element, sample, logit]; raises ValueError for other axes of samples."""
    part = logits[..., where.samples, :]
    if part.shape[-2] != where.samples.stop - where.samples.start or part.shape[-2] % where.elements:
        raise ValueError(
            f"logits have shape {logits.shape}, but the orbits of {where.elements} elements lie in samples "
            f"{where.samples.start} to {where.samples.stop}"
        )
    return pulled_back(part.reshape(*part.shape[:-2], where.elements, -1, part.shape[-1]), where.rho)


def mean_orbit_statistics(
    means: Float[np.ndarray, "*leading sample logit"], sets: Mapping[str, OrbitSet]
) -> dict[str, OrbitStatistics]:
    """Of every function in `means`, [...], one after the other: ensembles' means, those of subsets, members."""
    leading = means.shape[:-2]
    each = means.reshape(-1, *means.shape[-2:])
    return {
        name: OrbitStatistics(*(np.reshape(values, leading) for values in _of_each(each, where).T))
        for name, where in sets.items()
    }


def member_orbit_statistics(
    blocks: Iterable[Float[np.ndarray, "some sample logit"]], sets: Mapping[str, OrbitSet]
) -> dict[str, OrbitStatistics]:
    """Of every member, [member], from blocks of members at one time. Raises ValueError if there are none."""
    parts = [mean_orbit_statistics(block, sets) for block in blocks]
    if not parts:
        raise ValueError("there are no members: no block of logits was given")
    return joined(parts)


def joined(parts: Sequence[Mapping[str, OrbitStatistics]]) -> dict[str, OrbitStatistics]:
    """Statistics of some functions after those of others, by set."""
    return {
        name: OrbitStatistics(*map(np.concatenate, zip(*(part[name] for part in parts), strict=True)))
        for name in parts[0]
    }


def orbit_statistics_interval(
    mean: Float[np.ndarray, "sample logit"],
    noise: Float[np.ndarray, "draw sample logit"],
    where: OrbitSet,
    level: float = 0.95,
) -> tuple[OrbitStatistics, OrbitStatistics]:
    """Low and high ends for what the statistics of an ensemble's mean are expected to be, for ensembles of its size.

    f(m) ± the quantile of |f(m̃ + e) − mean f(m̃ + e)|, within the range of the statistic f, with e the bootstrap
    deviations `noise` of the mean. m̃ is the mean with its deviation over the orbit shrunk by what of it is noise
    (`noise_free`), as m + e would scatter by the noise twice. The quantile is the value of rank level (draws + 1): few
    draws do not narrow it. How often they hold the expectation: docs/equivariance.md. Raises ValueError for fewer than
    two draws.
    """
    if len(noise) < 2 or not 0 < level < 1:
        raise ValueError(
            f"there are {len(noise)} draws and level is {level}; at least 2, and 0 < level < 1, are needed"
        )
    m = on_orbits(mean, where)
    guess = noise_free(m, float(np.mean([orbit_square(on_orbits(e, where)) for e in noise])))
    draws = np.array([orbit_statistics(guess + on_orbits(e, where)) for e in noise])
    value, half = np.array(orbit_statistics(m)), np.quantile(np.abs(draws - draws.mean(0)), level, 0, method="weibull")
    low, high = np.clip([value - half, value + half], [1.0, 0.0, 0.0], [where.elements, np.inf, np.inf])
    return OrbitStatistics(*low), OrbitStatistics(*high)


def orbit_square(logits: Float[np.ndarray, "element sample logit"]) -> float:
    """Σ ‖f(gx) − mean over g‖² over elements and samples."""
    return float(((logits - logits.mean(0)) ** 2).sum())


def noise_free(
    mean: Float[np.ndarray, "element sample logit"], noise: float
) -> Float[np.ndarray, "element sample logit"]:
    """m̄ + c (m − m̄), m̄ the mean over the orbit, c² = max(0, 1 − noise/‖m − m̄‖²): `noise` is expected of the square."""
    centre, square = mean.mean(0), orbit_square(mean)
    return centre + np.sqrt(max(0.0, 1 - noise / square) if square else 0.0) * (mean - centre)


def _of_each(each: Float[np.ndarray, "some sample logit"], where: OrbitSet) -> Float[np.ndarray, "some statistic"]:
    """One function at a time, so that copies of one in float64, not of all, are held."""
    return np.array([orbit_statistics(on_orbits(logits, where)) for logits in each]).reshape(len(each), -1)
