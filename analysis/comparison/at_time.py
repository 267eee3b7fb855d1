"""What is read of ensembles at one time: one for itself, and one beside the reference (theory.md §5)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from widesym.analysis.comparison.ensembles import Compared, Numbers
from widesym.analysis.comparison.pairing import Pair, numbers_sharing
from widesym.analysis.dynamics import Prediction
from widesym.analysis.estimators.logits import Block
from widesym.analysis.estimators.means import EstimatedMean, estimate_with_subsets, signs_among
from widesym.analysis.estimators.orbit_statistics import joined, mean_orbit_statistics
from widesym.analysis.estimators.orbits import OrbitStatistics

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
    """An ensemble at the common time of index `time`: its mean over the whole sample axis, means of its sub-ensembles
    by size, its members' orbit statistics by set.
    """

    of: Compared
    time: int
    mean: EstimatedMean
    subsets: Mapping[int, Float32[np.ndarray, "draw sample logit"]]
    orbits: Mapping[str, OrbitStatistics]

    @property
    def is_last(self) -> bool:
        """Whether this is the last of the common times."""
        return self.time == len(self.of.indices) - 1

    def mean_on(self, evaluation_set: str) -> EstimatedMean:
        """The mean logits [sample, logit] on an evaluation set's inputs."""
        return self.mean.of(self.of.sets[evaluation_set])

    def predicted(self) -> list[tuple[str, Prediction]]:
        """Evaluation sets with what theory predicts on them, at all common times; none without a prediction."""
        prediction = self.of.prediction
        return [] if prediction is None else [(of_set, prediction[of_set]) for of_set in self.of.sets]


class PairAtTime(NamedTuple):
    """An ensemble and the reference at one time, as they are, and what is held against each other: `ours` and `theirs`.

    These are both ensembles, or those members of them that are independent; of pairs of members the differences and
    zero.
    """

    ensemble: AtTime
    reference: AtTime
    ours: AtTime
    theirs: AtTime

    def means_on(self, evaluation_set: str) -> tuple[EstimatedMean, EstimatedMean]:
        """The mean logits [sample, logit] that are held against each other, on an evaluation set's inputs."""
        return self.ours.mean_on(evaluation_set), self.theirs.mean_on(evaluation_set)


def resampling_of(ensembles: Sequence[Compared], draws: int, seed: int) -> Resampling:
    """With draws of its own for each ensemble, as its members are; common ones in a series that shares randomness."""
    own = {each.name: seed * len(ensembles) + index for index, each in enumerate(ensembles)}
    sharing = numbers_sharing(ensembles)
    seeds = {name: own[first] for name, (first, _) in sharing.items()}
    among = {name: numbers for name, (_, numbers) in sharing.items()}
    return Resampling(_sizes([each.members for each in ensembles]), draws, seeds, among)


def _sizes(members: Sequence[int]) -> list[int]:
    """Sizes to compare at: powers of two from 2 on, and the smallest ensemble's; empty where that has one member."""
    smallest = min(members)
    return sorted({*(2**k for k in range(1, smallest.bit_length())), smallest} - {1})


def at_time(ensemble: Compared, time: int, resampling: Resampling) -> AtTime:
    """What is read of an ensemble at the common time of this index; raises ValueError where that cannot be."""
    logits, at, name = ensemble.logits, ensemble.indices[time], ensemble.name
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
    return AtTime(ensemble, time, mean, subsets, joined(orbits))


def pair_at_time(pair: Pair, ensemble: AtTime, reference: AtTime, resampling: Resampling) -> PairAtTime:
    """An ensemble beside the reference at one time, of which `pair` says what is held against each other."""
    time = ensemble.time
    ours = ensemble if pair.ours is ensemble.of else at_time(pair.ours, time, resampling)
    if pair.theirs is None:
        zero = {size: np.zeros_like(means[:1]) for size, means in ours.subsets.items()}
        theirs = AtTime(pair.ours, time, EstimatedMean.exact(np.zeros_like(ours.mean.mean)), zero, {})
    else:
        theirs = reference if pair.theirs is reference.of else at_time(pair.theirs, time, resampling)
    return PairAtTime(ensemble, reference, ours, theirs)
