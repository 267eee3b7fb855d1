"""An ensemble's mean logits, what they scatter by, and means of its sub-ensembles, in few passes over its members.

How the mean m of M members scatters about its expectation is shown by *half-samples*: signs w, half of them +1 and half
−1, at random (one w is 0 if M is odd, and the others are scaled so that Σ w² = M), give e = Σ_i w_i f_i/M, half the
difference of two halves' means. Over all w its covariance is S/M, exactly. Of members drawn with replacement the
deviations have it, too, but ‖e‖² of such draws scatters more than ‖m − E m‖² does, by (tr S)²/(M − 1) against tr S²,
which makes intervals too wide where members differ in many directions.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float, Float32, Int

from analysis.ensemble_logits import BLOCK_BYTES, EnsembleLogits

FEWEST = 5  # members that intervals take
SUBSET_BYTES = 2**28  # of the sums that one pass over the members adds up

Means = Float[np.ndarray, "sample logit"]
Weights = Float32[np.ndarray, "row member"]


class EstimatedMean(NamedTuple):
    """The mean of `members`, their variance (over M − 1), and draws of the mean's deviation from its expectation.

    One member has no variance and no noise. A mean that is known exactly, such as theory's, has `members` None.
    """

    members: int | None
    mean: Means
    variance: Means | None = None
    noise: Float32[np.ndarray, "draw sample logit"] | None = None

    @classmethod
    def exact(cls, mean: Means) -> Self:
        """A mean that is known and not estimated."""
        return cls(None, np.asarray(mean, np.float64))

    def of(self, samples: slice | Int[np.ndarray, " part"]) -> Self:
        """The same on a part of the samples."""
        variance = None if self.variance is None else self.variance[samples]
        noise = None if self.noise is None else self.noise[:, samples]
        return self._replace(mean=self.mean[samples], variance=variance, noise=noise)

    @property
    def squared_error(self) -> Means:
        """S/M, entry by entry: expected square of the mean's error. Raises ValueError for a single member."""
        if self.members is None:
            return np.zeros_like(self.mean)
        if self.variance is None:
            raise ValueError("an ensemble has one member; how its mean scatters takes two or more to see")
        return self.variance / self.members

    @property
    def draws(self) -> Float32[np.ndarray, "draw sample logit"]:
        """The noise. Raises ValueError where there is none."""
        if self.noise is None:
            raise ValueError("there are no draws of the mean's noise; it is exact, or that of a single member")
        return self.noise

    @property
    def degrees(self) -> int:
        """M − 1, of freedom, for intervals. Raises ValueError for fewer than five members."""
        if self.members is None or self.members < FEWEST:
            raise ValueError(
                f"intervals take {FEWEST} members or more to see how they scatter; there are {self.members}"
            )
        return self.members - 1

    def sized(self, members: int) -> Self:
        """As the mean of so many members of the same kind would be known: the noise is √(M/members) times as large."""
        if self.members is None:
            return self
        return self._replace(members=members, noise=self.draws * np.float32(np.sqrt(self.members / members)))


class _Moments(NamedTuple):
    """Of the members so far: their number, mean and sum of squares about it."""

    members: int
    mean: Means
    squares: Means

    def merge(self, other: "_Moments") -> "_Moments":
        """With other members: the update of Chan, Golub & LeVeque (1983, doi:10.1080/00031305.1983.10483115)."""
        members, gap = self.members + other.members, other.mean - self.mean
        mean = self.mean + gap * (other.members / members)
        squares = self.squares + other.squares + gap**2 * (self.members * other.members / members)
        return _Moments(members, mean, squares)


def estimate_mean(
    logits: EnsembleLogits, time: int, draws: int = 200, seed: int = 0, memory: int = BLOCK_BYTES
) -> EstimatedMean:
    """Mean over members at one time, with its variance and `draws` half-samples, in one pass (theory.md §5).

    Raises ValueError for logits that are not finite.
    """
    shape, members = logits.shape, logits.members
    moments = _Moments(0, np.zeros(shape), np.zeros(shape))
    signs = half_samples(members, draws if members > 1 else 0, seed)
    noise = np.zeros((len(signs), *shape))
    for place, block in logits.blocks(time, memory):
        centre = block.mean(0, dtype=np.float64).astype(np.float32)
        apart = block - centre
        offset = apart.mean(0, dtype=np.float64)  # what rounding the centre left
        squares = np.einsum("msl,msl->sl", apart, apart, dtype=np.float64) - len(block) * offset**2
        moments = moments.merge(_Moments(len(block), centre + offset, squares))
        noise += _weighted_sums(signs[:, place], apart, centre)
    if members == 1:
        return EstimatedMean(1, moments.mean)
    return EstimatedMean(members, moments.mean, moments.squares / (members - 1), (noise / members).astype(np.float32))


def half_samples(members: int, draws: int, seed: int) -> Weights:
    """Rows of random signs with Σ w = 0 and Σ w² = M; if M is odd one w of each row is 0."""
    half = members // 2
    row = np.repeat([1.0, -1.0, 0.0], [half, half, members % 2]) * np.sqrt(members / max(1, 2 * half))
    return np.random.default_rng(seed).permuted(np.tile(row.astype(np.float32), (draws, 1)), axis=1)


def studentising(degrees: Sequence[int], squares: Sequence[Float[np.ndarray, " draw"]]) -> Float[np.ndarray, " draw"]:
    """√(v/v_k), by which a statistic of draw k is larger if divided by its own estimate v_k of its variance v.

    `squares` are those of the statistic's parts in each ensemble, whose members with the signs of draw k have the
    variance v − square/(M − 1), times (M − 1)/(M − 2) to be v on average. In one dimension this turns half-samples of
    normal members, whose square over (M − 1)v is Beta(1/2, (M − 2)/2), to Student's t with M − 2 degrees.
    """
    variances = [square.mean() for square in squares]
    own = sum(
        np.maximum(v - square / of, v / of**2) * of / (of - 1)  # v is of few draws: the difference may pass zero
        for of, v, square in zip(degrees, variances, squares, strict=True)
    )
    return np.sqrt(sum(variances) / np.where(own > 0, own, 1))


def subset_means(
    logits: EnsembleLogits, time: int, sizes: Sequence[int], draws: int = 50, seed: int = 0, memory: int = SUBSET_BYTES
) -> Iterator[Float[np.ndarray, "draw sample logit"]]:
    """Means of `draws` sub-ensembles of each size, drawn from the members without replacement (theory.md §5).

    As many sizes share a pass over the members as `memory` bytes hold the means of. Raises ValueError for a size that
    the ensemble does not have.
    """
    if not all(1 <= size <= logits.members for size in sizes):
        raise ValueError(f"sizes are {list(sizes)}; each must be between 1 and the ensemble's {logits.members} members")
    rng = np.random.default_rng(seed)
    together = max(1, memory // max(1, 8 * draws * logits.shape[0] * logits.shape[1]))
    for start in range(0, len(sizes), together):
        group = sizes[start : start + together]
        weights = np.concatenate([_subsets(rng, logits.members, size, draws) for size in group])
        sums = np.zeros((len(weights), *logits.shape))
        for place, block in logits.blocks(time):
            centre = block.mean(0, dtype=np.float64).astype(np.float32)
            sums += _weighted_sums(weights[:, place], block - centre, centre)
        yield from sums.reshape(len(group), draws, *logits.shape) / np.reshape(group, (-1, 1, 1, 1))


def _subsets(rng: np.random.Generator, members: int, size: int, draws: int) -> Weights:
    return rng.permuted(np.tile(np.float32(np.arange(members) < size), (draws, 1)), axis=1)


def _weighted_sums(
    weights: Weights, apart: Float32[np.ndarray, "member sample logit"], centre: Float32[np.ndarray, "sample logit"]
) -> Float[np.ndarray, "row sample logit"]:
    """Σ_i w_i (centre + apart_i): in float32 only what is apart, so that a common offset costs no digits."""
    sums = (weights @ apart.reshape(len(apart), -1)).reshape(len(weights), *centre.shape)
    return sums + weights.sum(1, dtype=np.float64)[:, None, None] * centre
