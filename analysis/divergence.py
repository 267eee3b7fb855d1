"""Distances between ensembles' mean logits, with their noise floor and bootstrap bands (theory.md §5)."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

Logits = Float[np.ndarray, "member sample logit"]
Means = Float[np.ndarray, "sample logit"]


def mean_logit_divergence(a: Logits, b: Logits) -> float:
    """D = mean over samples of ‖m_A − m_B‖₂ (theory.md §5; arXiv:2406.06504, fig. 2)."""
    return mean_distance(a.mean(0), b.mean(0))


def mean_distance(a: Means, b: Means) -> float:
    """Mean over samples of ‖a − b‖₂."""
    return float(np.linalg.norm(a - b, axis=-1).mean())


def mean_variance(a: Logits) -> Float[np.ndarray, " sample"]:
    """tr S/M: expected squared distance of the mean logits from their expectation, S the members' covariance."""
    return a.var(axis=0, ddof=1).sum(-1) / len(a)


def noise_floor(a: Logits, b: Logits) -> float:
    """What D is expected to be for ensembles of equal mean: mean over samples of √(tr S_A/M_A + tr S_B/M_B).

    The root of E‖m_A − m_B‖² (theory.md §5), so slightly above E‖m_A − m_B‖: by 2.5 % for ten independent logits.
    """
    return float(np.sqrt(mean_variance(a) + mean_variance(b)).mean())


def unbiased_squared_divergence(a: Logits, b: Logits) -> float:
    """Mean over samples of ‖m_A − m_B‖² − tr S_A/M_A − tr S_B/M_B; expected to be 0 for equal means (theory.md §5)."""
    squared = ((a.mean(0) - b.mean(0)) ** 2).sum(-1)
    return float((squared - mean_variance(a) - mean_variance(b)).mean())


def bootstrap_interval(
    a: Logits, b: Logits, draws: int = 200, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval for D from resampling the members of both ensembles with replacement.

    Resampled means scatter about m_A and m_B as those scatter about the truth, which lifts every resampled D by the
    noise floor once more; so the interval takes the resamples' scatter about their own mean, put around D.
    """
    low, high = mean_logit_divergence(a, b) + bootstrap_tails(a, b, max(len(a), len(b)), draws, level, seed)
    return max(float(low), 0.0), float(high)


def bootstrap_tails(
    a: Logits, b: Logits, size: int, draws: int = 200, level: float = 0.95, seed: int = 0
) -> Float[np.ndarray, " end"]:
    """How far D of `size` members, drawn from both ensembles with replacement, scatters below and above its mean.

    No more are drawn from an ensemble than it has.
    """
    rng = np.random.default_rng(seed)
    means = [_resampled_means(rng, logits, min(size, len(logits)), draws) for logits in (a, b)]
    distances = np.linalg.norm(means[0] - means[1], axis=-1).mean(-1)
    return np.quantile(distances - distances.mean(), [(1 - level) / 2, (1 + level) / 2])


def divergence_by_size(
    a: Logits, b: Logits, sizes: Sequence[int], draws: int = 50, seed: int = 0
) -> Float[np.ndarray, "size draw"]:
    """D of sub-ensembles of each size, drawn from the members without replacement (theory.md §5).

    Raises ValueError for a size that the smaller ensemble does not have.
    """
    smaller = min(len(a), len(b))
    if not all(1 <= size <= smaller for size in sizes):
        raise ValueError(
            f"sizes are {list(sizes)}; each must be between 1 and the smaller ensemble's {smaller} members"
        )
    rng = np.random.default_rng(seed)

    def subset(logits: Logits, size: int) -> Logits:
        return logits[rng.permutation(len(logits))[:size]]

    return np.array([[mean_logit_divergence(subset(a, n), subset(b, n)) for _ in range(draws)] for n in sizes])


def _resampled_means(
    rng: np.random.Generator, logits: Logits, size: int, draws: int
) -> Float[np.ndarray, "draw sample logit"]:
    weights = rng.multinomial(size, np.full(len(logits), 1 / len(logits)), size=draws) / size
    return np.einsum("dm,msl->dsl", weights, logits, optimize=True)
