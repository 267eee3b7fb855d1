"""An ensemble's mean logits, what they scatter by, and means of its sub-ensembles, in few passes over its members.

How the mean m of M members scatters about its expectation is shown by *half-samples*: signs w, half of them +1 and half
−1, at random (one w is 0 if M is odd, and the others are scaled so that Σ w² = M), give e = Σ_i w_i f_i/M, half the
difference of two halves' means. Over all w its covariance is S/M, exactly. Of members drawn with replacement the
deviations have it, too, but ‖e‖² of such draws scatters more than ‖m − E m‖² does, by (tr S)²/(M − 1) against tr S²,
which makes intervals too wide where members differ in many directions.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, Self

import numpy as np
from jaxtyping import Float, Float32, Int, Shaped

from widesym.analysis.estimators.logits import BLOCK_BYTES, Block, EnsembleLogits
from widesym.models.checks import check_seed

FEWEST = 5  # members that intervals take
SUBSET_BYTES = 2**28  # of the sums that one pass over the members adds up

Means = Float[np.ndarray, "sample logit"]
SubsetMeans = Float32[np.ndarray, "draw sample logit"]
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
        """The same estimate on a part of the samples."""
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


class _Sums(NamedTuple):
    """Over members, of f_i − c, c near them: the sum, that of squares, and Σ_i w_i (f_i − c) by row w of each table."""

    centre: Float32[np.ndarray, "sample logit"]
    total: Means
    squares: Means
    weighted: tuple[Float32[np.ndarray, "_row sample logit"], ...]


def estimate_mean(
    logits: EnsembleLogits, time: int, draws: int = 200, seed: int = 0, memory: int = BLOCK_BYTES
) -> EstimatedMean:
    """Mean over members at one time, with its variance and `draws` half-samples, in one pass (theory.md §5).

    Raises ValueError for logits that are not finite.
    """
    return _estimated(_sums(logits.blocks(time, memory), half_samples(logits.members, draws, seed)), logits.members)


def estimate_with_subsets(
    logits: EnsembleLogits,
    blocks: Iterable[tuple[slice, Block]],
    sizes: Sequence[int],
    signs: Weights,
    subsets: int = 50,
    seed: int = 0,
) -> tuple[EstimatedMean, dict[int, SubsetMeans]]:
    """What `estimate_mean` and `subset_means` give, from one pass over the `blocks` of `logits` at some time.

    `signs` are those of `half_samples` or `signs_among`; `seed` is that of the subsets.
    """
    drawn = _subsets(logits, sizes, subsets, np.random.default_rng(seed))
    sums = _sums(blocks, signs, drawn)
    return _estimated(sums, logits.members), _means_of_subsets(sums, sizes)


def _sums(blocks: Iterable[tuple[slice, Block]], *weights: Weights) -> _Sums:
    """Sums over all blocks, each at its place; c is the first one's mean, so that a common offset costs no digits."""
    sums = None
    for place, block in blocks:
        sums = _with(sums or _nothing_yet(block, weights), block, [rows[:, place] for rows in weights])
    assert sums is not None  # there are no ensembles without members
    return sums


def _nothing_yet(block: Block, weights: Sequence[Weights]) -> _Sums:
    centre, zero = block.mean(0, dtype=np.float64).astype(np.float32), np.zeros(block.shape[1:])
    return _Sums(centre, zero, zero, tuple(np.zeros((len(rows), *zero.shape), np.float32) for rows in weights))


def _with(sums: _Sums, block: Block, weights: Sequence[Weights]) -> _Sums:
    """And these members; the weighted sums, which are large, in place."""
    apart = block - sums.centre
    total = sums.total + apart.sum(0, dtype=np.float64)
    squares = sums.squares + np.einsum("msl,msl->sl", apart, apart, dtype=np.float64)
    for weighted, rows in zip(sums.weighted, weights, strict=True):
        weighted += (rows @ apart.reshape(len(apart), -1)).reshape(weighted.shape)
    return _Sums(sums.centre, total, squares, sums.weighted)


def _estimated(sums: _Sums, members: int) -> EstimatedMean:
    """From sums whose first weights are half-samples."""
    offset, noise = sums.total / members, sums.weighted[0]
    mean = sums.centre + offset
    if members == 1:
        return EstimatedMean(1, mean)
    variance = np.maximum(sums.squares - members * offset**2, 0) / (members - 1)
    return EstimatedMean(members, mean, variance, noise / np.float32(members))


def half_samples(members: int, draws: int, seed: int) -> Weights:
    """Rows of random signs with Σ w = 0 and Σ w² = M; if M is odd one w of each row is 0. No rows of one member."""
    check_seed(seed)
    half, draws = members // 2, draws if members > 1 else 0
    row = np.repeat([1.0, -1.0, 0.0], [half, half, members % 2]) * np.sqrt(members / max(1, 2 * half))
    return np.random.default_rng(seed).permuted(np.tile(row.astype(np.float32), (draws, 1)), axis=1)


def signs_among(
    numbers: Shaped[np.ndarray, " member"], among: Shaped[np.ndarray, " number"], draws: int, seed: int
) -> Weights:
    """Half-samples of the members `among`, of which `numbers` are some, with Σ w = 0 and Σ w² = M made so again.

    Ensembles that share their members' randomness have by these one sign for one number, so that the draws of their
    means have the covariance of the means with each other, too. `among` is ascending.
    """
    signs = half_samples(len(among), draws, seed)[:, np.searchsorted(among, numbers)]
    if len(numbers) == len(among):
        return signs
    signs -= signs.mean(1, keepdims=True)
    size = np.sqrt((signs**2).mean(1, keepdims=True))
    return signs / np.where(size > 0, size, 1)  # rarely, and of few members, all signs are equal


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
) -> Iterator[SubsetMeans]:
    """Means of `draws` sub-ensembles of each size, drawn from the members without replacement (theory.md §5).

    As many sizes share a pass over the members as `memory` bytes hold the means of. Raises ValueError for a size that
    the ensemble does not have.
    """
    check_seed(seed)
    rng = np.random.default_rng(seed)
    together = max(1, memory // max(1, 4 * draws * logits.shape[0] * logits.shape[1]))
    for start in range(0, len(sizes), together):
        group = sizes[start : start + together]
        yield from _means_of_subsets(_sums(logits.blocks(time), _subsets(logits, group, draws, rng)), group).values()


def _subsets(logits: EnsembleLogits, sizes: Sequence[int], draws: int, rng: np.random.Generator) -> Weights:
    """Rows of ones and zeros, `draws` for each size."""
    members = logits.members
    if not all(1 <= size <= members for size in sizes):
        raise ValueError(f"sizes are {list(sizes)}; each must be between 1 and the ensemble's {members} members")
    rows = [np.tile(np.float32(np.arange(members) < size), (draws, 1)) for size in sizes]
    return np.concatenate([np.zeros((0, members), np.float32), *(rng.permuted(each, axis=1) for each in rows)])


def _means_of_subsets(sums: _Sums, sizes: Sequence[int]) -> dict[int, SubsetMeans]:
    """By size, from sums whose last weights are subsets, and in their place."""
    if not sizes:
        return {}
    means = sums.weighted[-1].reshape(len(sizes), -1, *sums.centre.shape)
    means /= np.reshape(np.array(sizes, np.float32), (-1, 1, 1, 1))
    means += sums.centre
    return dict(zip(sizes, means, strict=True))
