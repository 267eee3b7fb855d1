"""Distances between ensembles' means: values against loops, intervals against their construction (theory.md §5).

How often intervals hold the truth is in test_coverage.py.
"""

import math

import numpy as np
import pytest

from widesym.analysis.estimators.divergence import (
    divergence,
    divergence_by_size,
    divergence_interval,
    mean_distance,
    noise_floor,
    resampled,
    squared_divergence,
    squared_divergence_interval,
)
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import EstimatedMean, estimate_mean, subset_means


def gaussian(seed, members, samples, logits=10, shift=0.0, spread=1.0):
    """Logits N(shift, spread²), independent."""
    return shift + spread * np.random.default_rng(seed).standard_normal((members, samples, logits))


def estimated(logits, draws=200, seed=0):
    return estimate_mean(EnsembleLogits(logits[None]), 0, draws, seed)


def mean_and_trace(logits, sample):
    """m and tr S/M of one sample, spelled out."""
    members, _, outputs = logits.shape
    mean = [sum(logits[m, sample, c] for m in range(members)) / members for c in range(outputs)]
    squares = sum((logits[m, sample, c] - mean[c]) ** 2 for m in range(members) for c in range(outputs))
    return mean, squares / (members - 1) / members


def test_estimators_are_their_definitions():
    a, b = gaussian(0, 3, 4, 2), gaussian(1, 5, 4, 2, shift=0.3, spread=2.0)
    distances, floors, excesses = [], [], []
    for sample in range(4):
        (mean_a, trace_a), (mean_b, trace_b) = (mean_and_trace(logits, sample) for logits in (a, b))
        squared = sum((p - q) ** 2 for p, q in zip(mean_a, mean_b, strict=True))
        distances.append(math.sqrt(squared))
        floors.append(math.sqrt(trace_a + trace_b))
        excesses.append(squared - trace_a - trace_b)
    means = estimated(a), estimated(b)
    # Logits are rounded to float32 when read: 6e-8 each.
    assert math.isclose(divergence(*means), np.mean(distances), rel_tol=1e-6)
    assert math.isclose(mean_distance(a.mean(0), b.mean(0)), np.mean(distances), rel_tol=1e-12)
    assert math.isclose(noise_floor(*means), np.mean(floors), rel_tol=1e-6)
    assert math.isclose(squared_divergence(*means), np.mean(excesses), rel_tol=1e-5)


def test_theory_adds_no_noise():
    a, theory = gaussian(0, 6, 4, 2), np.full((4, 2), 0.5)
    exact = EstimatedMean.exact(theory)
    floors = [math.sqrt(mean_and_trace(a, sample)[1]) for sample in range(4)]
    assert math.isclose(noise_floor(estimated(a), exact), np.mean(floors), rel_tol=1e-6)
    assert divergence(exact, exact) == noise_floor(exact, exact) == squared_divergence(exact, exact) == 0
    with pytest.raises(ValueError, match="both means are exact"):
        divergence_interval(exact, exact)


def test_divergence_of_equal_means_is_just_below_the_noise_floor():
    """E‖m_A − m_B‖ of ten independent logits is √2 Γ(11/2)/Γ(5) σ, the floor √10 σ: the docstring's 2.5 %."""
    means = estimated(gaussian(2, 30, 3000), 1), estimated(gaussian(3, 10, 3000, spread=2.0), 1)
    ratio = math.sqrt(2 / 10) * math.gamma(5.5) / math.gamma(5)
    assert math.isclose(ratio, 0.975, abs_tol=5e-4)
    # A norm of ten Gaussians scatters by 22 %, so a mean of 3,000 by 0.4 %; the floor itself scatters less.
    assert math.isclose(divergence(*means) / noise_floor(*means), ratio, abs_tol=0.02)


def test_resampled_distances_are_those_of_the_draws():
    """Of all four signs; the squares' u turned by the next draw's noise."""
    a, b = estimated(gaussian(0, 8, 3, 2), 4), estimated(gaussian(1, 6, 3, 2, shift=1), 4, seed=1)
    d, distances, squares = a.mean - b.mean, [], []
    for sign in (1, -1):
        for between in (1, -1):
            e = a.draws + between * b.draws
            for k in range(4):
                distances.append(mean_distance(1.5 * d / rms(d) + sign * e[k], 0 * d))
                turned = d + e[(k + 1) % 4]
                squares.append(rms(1.5 * turned / rms(turned) + sign * e[k]) ** 2)
    drawn = resampled(a, b, inflated=False)
    np.testing.assert_allclose(drawn.distances(1.5), distances, rtol=1e-5)  # draws are float32
    np.testing.assert_allclose(drawn.squares(1.5), squares, rtol=1e-5)


def rms(x):
    """Root of the mean over samples of ‖x‖²."""
    return math.sqrt((x**2).sum(-1).mean())


def test_inflation_is_students():
    """Of one logit and sample: half-samples of normal members, each by its own error, are t with M − 2 degrees."""
    found = []
    for seed in range(400):
        a = estimated(gaussian(seed, 8, 1, 1), draws=50, seed=seed)
        theory = EstimatedMean.exact(a.mean - 1)
        found.append((resampled(a, theory).noise[:50, 0] / a.squared_error[0, 0]).mean())
    # 6/(6 − 2), the mean square of t with 6 degrees. The 400 means scatter by 2 %; v, of 50 squares, lifts them by few.
    assert math.isclose(np.mean(found), 6 / 4, rel_tol=0.08)


def test_squared_interval_inverts_the_test():
    a, b = estimated(gaussian(0, 12, 5, 2, shift=1)), estimated(gaussian(1, 9, 5, 2), seed=1)
    low, high = squared_divergence_interval(a, b)
    assert 0 < low < squared_divergence(a, b) < high
    found, drawn = ((a.mean - b.mean) ** 2).sum(-1).mean(), resampled(a, b)
    below = [(drawn.squares(math.sqrt(end)) < found).mean() for end in (low, high)]
    np.testing.assert_allclose(below, [0.975, 0.025], atol=3 / 800)  # of 800 draws, and ties


def test_squared_interval_of_less_than_noise_is_negative_and_goes_on_smoothly():
    a = estimated(gaussian(0, 12, 5, 2))
    ends = []
    for factor in np.linspace(0, 3, 301):
        mean = factor * a.mean / np.sqrt((a.mean**2).sum(-1).mean() / a.squared_error.sum(-1).mean())
        ends.append(squared_divergence_interval(a._replace(mean=mean), EstimatedMean.exact(0 * mean)))
    low, high = np.array(ends).T
    assert low[0] < high[0] < 0 < low[-1] < high[-1]
    assert (np.diff(low) > 0).all()
    assert (np.diff(high) > 0).all()
    # Where an end passes zero, it goes on as c² or as T − quantile: no jump beyond the steps around it.
    assert np.diff(low).max() < 0.05 * (high - low).max()
    assert np.diff(high).max() < 0.1 * (high - low).max()


def test_interval_follows_level_and_never_falls_below_zero():
    a, b = estimated(gaussian(0, 20, 5)), estimated(gaussian(1, 20, 5, shift=1), seed=1)
    for interval in (divergence_interval, squared_divergence_interval):
        narrow, wide = (interval(a, b, level=level) for level in (0.5, 0.99))
        assert wide[0] < narrow[0] < narrow[1] < wide[1]
    one = estimated(gaussian(0, 5, 1, 1))
    low, high = divergence_interval(one, EstimatedMean.exact(one.mean + 1e-9))
    assert low == 0 < high


def test_intervals_of_few_members_are_refused():
    few = estimated(gaussian(0, 4, 2))
    for interval in (divergence_interval, squared_divergence_interval):
        with pytest.raises(ValueError, match="5 members or more to see how they scatter; there are 4"):
            interval(few, estimated(gaussian(1, 8, 2)))


def by_size(a, b, sizes, draws=40):
    subsets = [subset_means(EnsembleLogits(x[None]), 0, sizes, draws, seed) for seed, x in enumerate((a, b))]
    pairs = zip(*subsets, strict=True)
    return divergence_by_size(estimated(a), estimated(b, seed=1), sizes, pairs)


def test_divergence_falls_with_the_ensembles_size():
    """Equal means: ∝ 1/√size. The subsets overlap, so the largest sizes scatter together; ten percent allows for it."""
    a, b, sizes = gaussian(0, 400, 40), gaussian(1, 300, 40), (1, 4, 16, 64)
    found = by_size(a, b, sizes)
    np.testing.assert_allclose(found.divergence * np.sqrt(sizes) / found.divergence[0], 1, rtol=0.1)
    np.testing.assert_allclose(found.noise_floor, np.sqrt(20 / np.array(sizes)), rtol=0.01)  # variances to 1 %
    assert ((found.band[:, 0] < found.divergence) & (found.divergence < found.band[:, 1])).all()


def test_band_holds_ensembles_of_its_size():
    """95 % of new pairs' D, here of eight members of 200; 1,000 pairs scatter by 0.7 %, the band's own ends by 2 %."""
    a, b = gaussian(0, 200, 4, 2), gaussian(1, 200, 4, 2, shift=0.3)
    ((low, high),) = by_size(a, b, (8,), draws=400).band
    new = [
        mean_distance(gaussian(s, 8, 4, 2).mean(0), gaussian(s + 1, 8, 4, 2, 0.3).mean(0)) for s in range(2, 2002, 2)
    ]
    inside = np.mean([low <= value <= high for value in new])
    assert 0.90 < inside < 0.98


def test_the_whole_ensemble_is_its_only_subset_of_that_size():
    a, b = gaussian(0, 6, 4), gaussian(1, 6, 4)
    found = by_size(a, b, (2, 6))
    assert math.isclose(found.divergence[1], divergence(estimated(a), estimated(b)), rel_tol=1e-6)  # float32 sums
    assert math.isclose(found.noise_floor[1], noise_floor(estimated(a), estimated(b)), rel_tol=1e-12)
