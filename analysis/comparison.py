"""An augmented ensemble, an equivariant one and a control held against each other and against theory, over time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analysis.divergence import mean_distance
from analysis.dynamics import Prediction

Logits = Float[np.ndarray, "member sample logit"]
TimedLogits = Float[np.ndarray, "time member sample logit"]


@dataclass(frozen=True)
class Comparison:
    """Logits of three ensembles on one evaluation set at common times, and what theory predicts for each.

    The networks: "augmented" (trained on full orbits), "gcnn" (equivariant, not augmented) and "control" (neither).
    """

    logits: Mapping[str, TimedLogits]
    theory: Mapping[str, Prediction]

    def divergence(self, network: str) -> list[float]:
        """D between a network's ensemble and the gcnn's, at each time (theory.md §5)."""
        return [_mean_logit_divergence(a, b) for a, b in self._pairs(network)]

    def interval(self, network: str) -> Float[np.ndarray, "time end"]:
        """95 % bootstrap interval of `divergence` over members."""
        return np.array([_bootstrap_interval(a, b) for a, b in self._pairs(network)])

    def floor(self, network: str) -> list[float]:
        """What `divergence` would be expected to be if the two ensembles' means were equal (theory.md §5)."""
        return [_noise_floor(a, b) for a, b in self._pairs(network)]

    def excess(self, network: str) -> list[float]:
        """Unbiased ‖m_A − m_B‖², averaged over samples (theory.md §5)."""
        return [_unbiased_squared_divergence(a, b) for a, b in self._pairs(network)]

    def predicted_divergence(self, network: str) -> list[float]:
        """D between the infinitely wide, infinitely large ensembles."""
        pairs = zip(self.theory[network].mean, self.theory["gcnn"].mean, strict=True)
        return [mean_distance(a, b) for a, b in pairs]

    @property
    def sizes(self) -> list[int]:
        """Ensemble sizes to compare at: powers of two from 2 on, and all members."""
        members = self.logits["gcnn"].shape[1]
        return sorted({*(2**k for k in range(1, members.bit_length())), members})

    def by_size(self, network: str) -> list[float]:
        """D at the last time between sub-ensembles of each of `sizes`, mean over subsets (theory.md §5)."""
        a, b = self._pairs(network)[-1]
        return _divergence_by_size(a, b, self.sizes).mean(1).tolist()

    def interval_by_size(self, network: str) -> Float[np.ndarray, "size end"]:
        """95 % bootstrap band of `by_size` over members."""
        a, b = self._pairs(network)[-1]
        sized = zip(self.by_size(network), self.sizes, strict=True)
        return np.array([np.maximum(distance + _bootstrap_tails(a, b, size), 0) for distance, size in sized])

    def error_of_mean(self, network: str) -> list[float]:
        """mean_x ‖m − μ_t‖ over mean_x ‖μ_T‖: the ensemble mean's distance from theory, at each time.

        Relative to the predicted mean at the last time T: the predicted mean at t = 0 is zero.
        """
        pairs = zip(self.logits[network], self.theory[network].mean, strict=True)
        return [mean_distance(logits.mean(0), mean) / self._scale(network) for logits, mean in pairs]

    def expected_error_of_mean(self, network: str) -> list[float]:
        """What `error_of_mean` would be from the finite number of members alone, at infinite width: √(C Σ_t/M)."""
        members, logits = self.logits[network].shape[1], self.logits[network].shape[-1]
        spread = np.sqrt(logits * self.theory[network].variance / members).mean(-1)
        return [float(value) for value in spread / self._scale(network)]

    def _scale(self, network: str) -> float:
        return float(np.linalg.norm(self.theory[network].mean[-1], axis=-1).mean())

    def _pairs(self, network: str) -> list[tuple[np.ndarray, np.ndarray]]:
        return list(zip(self.logits[network], self.logits["gcnn"], strict=True))


def summarise(comparison: Comparison) -> dict[str, list]:
    """The comparison's numbers: lists over times and, where the key says so, over ensemble sizes at the last time."""
    return {
        "divergence_augmented": comparison.divergence("augmented"),
        "divergence_control": comparison.divergence("control"),
        "noise_floor": comparison.floor("augmented"),
        "noise_floor_control": comparison.floor("control"),
        "divergence_augmented_interval": comparison.interval("augmented").tolist(),
        "divergence_control_interval": comparison.interval("control").tolist(),
        "unbiased_squared_divergence_augmented": comparison.excess("augmented"),
        "unbiased_squared_divergence_control": comparison.excess("control"),
        "predicted_divergence_augmented": comparison.predicted_divergence("augmented"),
        "predicted_divergence_control": comparison.predicted_divergence("control"),
        **{f"relative_error_of_mean_vs_theory_{name}": comparison.error_of_mean(name) for name in comparison.logits},
        **{f"expected_relative_error_{name}": comparison.expected_error_of_mean(name) for name in comparison.logits},
        "ensemble_sizes": comparison.sizes,
        "divergence_augmented_by_ensemble_size": comparison.by_size("augmented"),
        "divergence_control_by_ensemble_size": comparison.by_size("control"),
    }


def _mean_logit_divergence(a: Logits, b: Logits) -> float:
    """D = mean over samples of ‖m_A − m_B‖₂ (theory.md §5; arXiv:2406.06504, fig. 2)."""
    return mean_distance(a.mean(0), b.mean(0))


def _mean_variance(a: Logits) -> Float[np.ndarray, " sample"]:
    """tr S/M: expected squared distance of the mean logits from their expectation, S the members' covariance."""
    return a.var(axis=0, ddof=1).sum(-1) / len(a)


def _noise_floor(a: Logits, b: Logits) -> float:
    """What D is expected to be for ensembles of equal mean: mean over samples of √(tr S_A/M_A + tr S_B/M_B).

    The root of E‖m_A − m_B‖² (theory.md §5), so slightly above E‖m_A − m_B‖: by 2.5 % for ten independent logits.
    """
    return float(np.sqrt(_mean_variance(a) + _mean_variance(b)).mean())


def _unbiased_squared_divergence(a: Logits, b: Logits) -> float:
    """Mean over samples of ‖m_A − m_B‖² − tr S_A/M_A − tr S_B/M_B; expected to be 0 for equal means (theory.md §5)."""
    squared = ((a.mean(0) - b.mean(0)) ** 2).sum(-1)
    return float((squared - _mean_variance(a) - _mean_variance(b)).mean())


def _bootstrap_interval(
    a: Logits, b: Logits, draws: int = 200, level: float = 0.95, seed: int = 0
) -> tuple[float, float]:
    """Interval for D from resampling the members of both ensembles with replacement.

    Resampled means scatter about m_A and m_B as those scatter about the truth, which lifts every resampled D by the
    noise floor once more; so the interval takes the resamples' scatter about their own mean, put around D.
    """
    low, high = _mean_logit_divergence(a, b) + _bootstrap_tails(a, b, max(len(a), len(b)), draws, level, seed)
    return max(float(low), 0.0), float(high)


def _bootstrap_tails(
    a: Logits, b: Logits, size: int, draws: int = 200, level: float = 0.95, seed: int = 0
) -> Float[np.ndarray, " end"]:
    """How far D of `size` members, drawn from both ensembles with replacement, scatters below and above its mean.

    No more are drawn from an ensemble than it has.
    """
    rng = np.random.default_rng(seed)
    means = [_resampled_means(rng, logits, min(size, len(logits)), draws) for logits in (a, b)]
    distances = np.linalg.norm(means[0] - means[1], axis=-1).mean(-1)
    return np.quantile(distances - distances.mean(), [(1 - level) / 2, (1 + level) / 2])


def _divergence_by_size(
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

    return np.array([[_mean_logit_divergence(subset(a, n), subset(b, n)) for _ in range(draws)] for n in sizes])


def _resampled_means(
    rng: np.random.Generator, logits: Logits, size: int, draws: int
) -> Float[np.ndarray, "draw sample logit"]:
    weights = rng.multinomial(size, np.full(len(logits), 1 / len(logits)), size=draws) / size
    return np.einsum("dm,msl->dsl", weights, logits, optimize=True)
