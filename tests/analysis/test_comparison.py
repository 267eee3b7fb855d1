"""The comparison of three ensembles with each other and with theory, by its definitions."""

import math

import numpy as np
import pytest

from analysis.comparison import (
    Comparison,
    _bootstrap_interval,
    _divergence_by_size,
    _mean_logit_divergence,
    _noise_floor,
    _unbiased_squared_divergence,
    summarise,
)
from analysis.dynamics import Prediction

TIMES, MEMBERS, SAMPLES, LOGITS = 3, 9, 4, 2
NETWORKS = ("augmented", "gcnn", "control")


@pytest.fixture
def comparison():
    rng = np.random.default_rng(0)
    logits = {name: rng.standard_normal((TIMES, MEMBERS, SAMPLES, LOGITS)) + i for i, name in enumerate(NETWORKS)}
    theory = {
        name: Prediction(rng.standard_normal((TIMES, SAMPLES, LOGITS)), rng.uniform(1, 2, (TIMES, SAMPLES)))
        for name in NETWORKS
    }
    return Comparison(logits, theory)


def norms(gaps):
    """Mean over samples of the Euclidean norms of [sample, logit]."""
    return sum(math.sqrt(sum(gap**2 for gap in row)) for row in gaps) / len(gaps)


@pytest.mark.parametrize("network", ["augmented", "control"])
def test_ensembles_are_held_against_the_gcnn_at_each_time(comparison, network):
    pairs = list(zip(comparison.logits[network], comparison.logits["gcnn"], strict=True))
    assert comparison.divergence(network) == [_mean_logit_divergence(a, b) for a, b in pairs]
    assert comparison.floor(network) == [_noise_floor(a, b) for a, b in pairs]
    assert comparison.excess(network) == [_unbiased_squared_divergence(a, b) for a, b in pairs]
    np.testing.assert_array_equal(comparison.interval(network), [_bootstrap_interval(a, b) for a, b in pairs])


def test_predicted_divergence_is_between_the_predicted_means(comparison):
    theory = comparison.theory
    expected = [norms(theory["control"].mean[t] - theory["gcnn"].mean[t]) for t in range(TIMES)]
    np.testing.assert_allclose(comparison.predicted_divergence("control"), expected, rtol=1e-12)
    assert comparison.predicted_divergence("gcnn") == [0] * TIMES


def test_error_of_mean_is_relative_to_the_last_predicted_mean(comparison):
    mean = comparison.theory["gcnn"].mean
    measured = comparison.logits["gcnn"].mean(1)
    expected = [norms(measured[t] - mean[t]) / norms(mean[-1]) for t in range(TIMES)]
    np.testing.assert_allclose(comparison.error_of_mean("gcnn"), expected, rtol=1e-12)


def test_expected_error_is_what_members_of_that_mean_and_variance_show():
    """√(C Σ/M) is the root of the mean square: above the mean norm by the factor √C Γ(C/2)/(√2 Γ((C+1)/2))."""
    rng, members, samples, logits = np.random.default_rng(1), 40, 4000, 3
    mean, variance = rng.standard_normal((1, samples, logits)), np.full((1, samples), 4.0)
    drawn = mean[:, None] + 2.0 * rng.standard_normal((1, members, samples, logits))
    comparison = Comparison({"gcnn": drawn}, {"gcnn": Prediction(mean, variance)})
    factor = math.sqrt(logits / 2) * math.gamma(logits / 2) / math.gamma((logits + 1) / 2)
    (measured,), (expected,) = comparison.error_of_mean("gcnn"), comparison.expected_error_of_mean("gcnn")
    # 4,000 norms that scatter by 42 % each: their mean by 0.7 %.
    assert math.isclose(expected / measured, factor, rel_tol=0.03)
    assert math.isclose(expected, math.sqrt(3 * 4 / 40) / norms(mean[0]), rel_tol=1e-12)


@pytest.mark.parametrize(
    ("members", "sizes"), [(2, [2]), (6, [2, 4, 6]), (8, [2, 4, 8]), (100, [2, 4, 8, 16, 32, 64, 100])]
)
def test_sizes_are_powers_of_two_and_all(members, sizes):
    assert Comparison({"gcnn": np.zeros((1, members, 1, 1))}, {}).sizes == sizes


def test_by_size_is_at_the_last_time(comparison):
    """The whole ensemble is its only subset, up to the order of its members; its band is the interval."""
    by_size, bands = comparison.by_size("control"), comparison.interval_by_size("control")
    assert (len(by_size), bands.shape) == (4, (4, 2))
    np.testing.assert_allclose(by_size[-1], comparison.divergence("control")[-1], rtol=1e-12)
    np.testing.assert_allclose(bands[-1], comparison.interval("control")[-1], rtol=1e-12)
    pairs = (comparison.logits["control"][-1], comparison.logits["gcnn"][-1])
    np.testing.assert_allclose(by_size, _divergence_by_size(*pairs, (2, 4, 8, 9)).mean(1), rtol=1e-12)
    for distance, (low, high) in zip(by_size, bands, strict=True):
        assert low < distance < high


def test_summary_holds_a_finite_value_for_each_time(comparison):
    summary = summarise(comparison)
    for name, values in summary.items():
        assert len(values) == (len(comparison.sizes) if "ensemble_size" in name else TIMES), name
        assert np.isfinite(values).all(), name
    assert summary["noise_floor"] == comparison.floor("augmented")
    assert summary["divergence_control"] == comparison.divergence("control")
    assert summary["divergence_control_by_ensemble_size"] == comparison.by_size("control")
    assert summary["predicted_divergence_augmented"] == comparison.predicted_divergence("augmented")
    for network in NETWORKS:
        assert summary[f"relative_error_of_mean_vs_theory_{network}"] == comparison.error_of_mean(network)
        assert summary[f"expected_relative_error_{network}"] == comparison.expected_error_of_mean(network)
