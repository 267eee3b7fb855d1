"""Distances between ensembles' means: values against loops, expectations against Gaussian ensembles (theory.md §5)."""

import math

import numpy as np
import pytest

from analysis.divergence import (
    bootstrap_interval,
    bootstrap_tails,
    divergence_by_size,
    mean_distance,
    mean_logit_divergence,
    noise_floor,
    unbiased_squared_divergence,
)


def gaussian(seed, members, samples, logits=10, shift=0.0, spread=1.0):
    """Logits N(shift, spread²), independent."""
    return shift + spread * np.random.default_rng(seed).standard_normal((members, samples, logits))


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
    # Sums of a dozen float64 terms.
    assert math.isclose(mean_logit_divergence(a, b), np.mean(distances), rel_tol=1e-12)
    assert math.isclose(mean_distance(a.mean(0), b.mean(0)), np.mean(distances), rel_tol=1e-12)
    assert math.isclose(noise_floor(a, b), np.mean(floors), rel_tol=1e-12)
    assert math.isclose(unbiased_squared_divergence(a, b), np.mean(excesses), rel_tol=1e-12)


def test_divergence_of_equal_means_is_just_below_the_noise_floor():
    """E‖m_A − m_B‖ of ten independent logits is √2 Γ(11/2)/Γ(5) σ, the floor √10 σ: the docstring's 2.5 %."""
    a, b = gaussian(2, 30, 3000), gaussian(3, 10, 3000, spread=2.0)
    ratio = math.sqrt(2 / 10) * math.gamma(5.5) / math.gamma(5)
    assert math.isclose(ratio, 0.975, abs_tol=5e-4)
    # A norm of ten Gaussians scatters by 22 %, so a mean of 3,000 by 0.4 %; the floor itself scatters less.
    assert math.isclose(mean_logit_divergence(a, b) / noise_floor(a, b), ratio, abs_tol=0.02)


@pytest.mark.parametrize("gap", [0.0, 0.4])
def test_unbiased_squared_divergence_has_no_floor(gap):
    """Its mean over samples is the squared gap, within four standard errors of what the samples themselves scatter."""
    a, b = gaussian(4, 12, 2000, 3), gaussian(5, 7, 2000, 3, shift=gap, spread=1.5)
    single = [unbiased_squared_divergence(a[:, i : i + 1], b[:, i : i + 1]) for i in range(2000)]
    error = np.std(single) / math.sqrt(2000)
    assert error < 0.1 * noise_floor(a, b) ** 2  # a floor left in, or taken off twice, would show
    assert abs(unbiased_squared_divergence(a, b) - 3 * gap**2) < 4 * error


def test_bootstrap_interval_covers_the_truth():
    """Nominally 95 % of the time.

    Fewer by half a percent with 50 members, as their scatter is estimated; by less than another as D lies above the
    true gap, twelve noise floors, by a fraction of its own scatter; and 200 resamples place the ends roughly. With 400
    trials the rate itself scatters by 1.1 %: 90 to 98 % allows four of that, and refuses intervals a fifth too narrow.
    """
    trials, members, gap = 400, 50, 1.0
    inside = 0
    for trial in range(trials):
        a, b = gaussian(2 * trial, members, 3, 4, spread=0.3), gaussian(2 * trial + 1, members, 3, 4, gap, spread=0.3)
        low, high = bootstrap_interval(a, b, seed=trial)
        assert low < mean_logit_divergence(a, b) < high
        inside += low < gap * math.sqrt(4) < high
    assert 0.90 < inside / trials < 0.98


def test_bootstrap_interval_follows_level_and_seed():
    a, b = gaussian(0, 20, 5), gaussian(1, 20, 5, shift=1)
    narrow, wide = (bootstrap_interval(a, b, level=level) for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]
    assert bootstrap_interval(a, b) == bootstrap_interval(a, b) != bootstrap_interval(a, b, seed=1)


def test_bootstrap_tails_widen_as_members_get_fewer():
    """∝ 1/√size where the means lie many noise floors apart; 2,000 resamples place each end to a few percent."""
    a, b = gaussian(0, 64, 3, spread=0.3), gaussian(1, 64, 3, shift=1, spread=0.3)
    low, high = np.array([bootstrap_tails(a, b, size, draws=2000) for size in (4, 16, 64, 1000)]).T
    assert np.all((low < 0) & (high > 0))
    np.testing.assert_allclose((high - low)[:3] / (high - low)[2], [4, 2, 1], rtol=0.15)
    assert (high - low)[3] == (high - low)[2]  # no more are drawn than there are


def test_bootstrap_interval_of_a_distance_is_not_negative():
    a = gaussian(0, 3, 1, 1)
    low, high = bootstrap_interval(a, a + 1e-9)
    assert low == 0 < high


def test_divergence_falls_with_the_ensembles_size():
    """Equal means: ∝ 1/√size. The subsets overlap, so the largest sizes scatter together; ten percent allows for it."""
    a, b, sizes = gaussian(0, 400, 40), gaussian(1, 400, 40), (1, 4, 16, 64)
    by_size = divergence_by_size(a, b, sizes, draws=30)
    assert by_size.shape == (4, 30)
    np.testing.assert_allclose(by_size.mean(1) * np.sqrt(sizes) / by_size[0].mean(), 1, rtol=0.1)


def test_the_whole_ensemble_is_its_only_subset_of_that_size():
    a, b = gaussian(0, 6, 4), gaussian(1, 6, 4)
    drawn = divergence_by_size(a, b, (1, 6), draws=40)
    # Without replacement: the members in another order, so sums round differently.
    np.testing.assert_allclose(drawn[1], mean_logit_divergence(a, b), rtol=1e-12)
    pairs = [mean_logit_divergence(a[i : i + 1], b[j : j + 1]) for i in range(6) for j in range(6)]
    assert all(np.isclose(value, pairs, rtol=1e-12).any() for value in drawn[0])
    assert len(np.unique(drawn[0].round(9))) > 15  # of 36 pairs, drawn 40 times
    np.testing.assert_array_equal(drawn, divergence_by_size(a, b, (1, 6), draws=40))


@pytest.mark.parametrize("size", [0, 4])
def test_sizes_beyond_the_smaller_ensemble_are_refused(size):
    with pytest.raises(ValueError, match=rf"sizes are \[2, {size}\]; .* the smaller ensemble's 3 members"):
        divergence_by_size(gaussian(0, 5, 2), gaussian(1, 3, 2), (2, size))
