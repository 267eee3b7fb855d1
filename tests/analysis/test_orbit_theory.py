"""The predicted orbit spread of ensembles' means against simulated Gaussian ensembles, and closed forms."""

import math

import numpy as np
import pytest

from widesym.analysis.estimators.orbit_theory import (
    expected_orbit_deviation,
    expected_pooled_deviation,
    mean_orbit_deviation,
)
from widesym.analysis.estimators.orbits import pooled_orbit_deviation

ELEMENTS, SAMPLES, LOGITS = 4, 5, 2


def covariances(rank, seed=0):
    """Positive matrices [sample, element, element], each sample's of another size."""
    factors = np.random.default_rng(seed).standard_normal((SAMPLES, ELEMENTS, rank))
    return factors @ np.swapaxes(factors, 1, 2) * np.geomspace(0.1, 10, SAMPLES)[:, None, None]


def means(spread, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((1, SAMPLES, LOGITS)) + spread * rng.standard_normal((ELEMENTS, SAMPLES, LOGITS))


def ensemble_means(mean, covariance, members, draws, seed=2):
    """Means of so many members drawn one by one, [draw, element, sample, logit]."""
    rng = np.random.default_rng(seed)
    values, vectors = np.linalg.eigh(covariance)
    roots = vectors * np.sqrt(np.maximum(values, 0))[:, None, :]
    z = rng.standard_normal((draws, members, SAMPLES, ELEMENTS, LOGITS)).mean(1)
    return mean + np.einsum("sgh,dshk->dgsk", roots, z)


@pytest.mark.parametrize("members", [1, 6])
@pytest.mark.parametrize("spread", [0.0, 0.5], ids=["invariant", "not invariant"])
@pytest.mark.parametrize("rank", [1, 8], ids=["one direction", "all directions"])
def test_predictions_are_what_simulated_ensembles_do(members, spread, rank):
    """Every sample and logit within five standard errors of 20,000 ensembles: one in a million is outside by chance."""
    mean, covariance = means(spread), covariances(rank)
    drawn = ensemble_means(mean, covariance, members, draws=20_000)
    for found, expected in (
        (drawn.var(1), expected_orbit_deviation(mean, covariance, members) ** 2),
        (drawn.std(1), mean_orbit_deviation(mean, covariance, members)),
    ):
        error = found.std(0) / math.sqrt(len(found))
        assert (error < 0.02 * expected).all()  # so that 1/(|G| − 1) for 1/|G|, or M − 1 for M, would show
        assert (np.abs(found.mean(0) - expected) < 5 * error).all()


@pytest.mark.parametrize("members", [1, 6])
def test_pooled_deviations_are_those_of_simulated_ensembles(members):
    """A ratio of means over samples and draws. It scatters by 0.5 %, of which 2 % are four."""
    mean, covariance = means(0.0), covariances(8)
    drawn = ensemble_means(mean, covariance, members, draws=20_000)
    as_samples = drawn.transpose(1, 0, 2, 3).reshape(ELEMENTS, -1, LOGITS)
    expected = expected_pooled_deviation(mean, covariance, members)
    assert math.isclose(pooled_orbit_deviation(as_samples), expected, rel_tol=0.02)


def test_of_independent_elements_the_mean_std_is_that_of_chi():
    """σ √(2/4) Γ(2)/Γ(3/2) with three degrees of freedom: 8 % below the root of the expected variance."""
    mean, covariance = np.ones((4, 1, 1)), 0.3**2 * np.eye(4)[None]
    chi = 0.3 / math.sqrt(7) * math.sqrt(2 / 4) * math.gamma(2) / math.gamma(1.5)
    found = mean_orbit_deviation(mean, covariance, 7)
    np.testing.assert_allclose(found, chi, rtol=1e-9)  # the quadrature's error, measured 1e-14
    np.testing.assert_allclose(found / expected_orbit_deviation(mean, covariance, 7), 0.9213, atol=1e-4)


def test_one_direction_and_none():
    """Of Σ with one direction across the orbit the std is half-normal, √(2/π) σ; of Σ along the orbit there is none."""
    across = np.array([1.0, -1.0, 1.0, -1.0])
    found = mean_orbit_deviation(np.ones((4, 1, 1)), np.outer(across, across)[None], 4)
    np.testing.assert_allclose(found, math.sqrt(2 / math.pi) / 2, rtol=1e-9)
    for predicted in (mean_orbit_deviation, expected_orbit_deviation):
        np.testing.assert_allclose(predicted(np.ones((4, 1, 1)), np.ones((1, 4, 4)), 4), 0, atol=1e-8)
        std = predicted(np.arange(4.0)[:, None, None], np.zeros((1, 4, 4)), 4)
        np.testing.assert_allclose(
            std, math.sqrt(1.25), rtol=1e-4
        )  # a law without scatter is hardest on the quadrature


def test_the_spread_falls_as_the_root_of_members():
    mean, covariance = means(0.0), covariances(8)
    for predicted in (mean_orbit_deviation, expected_orbit_deviation):
        few, many = (predicted(mean, covariance, members) for members in (3, 300))
        np.testing.assert_allclose(few / many, 10, rtol=1e-9)
    size = np.abs(mean.mean(0)).mean()  # which the mean over the orbit has for many members
    expected = mean_orbit_deviation(mean, covariance, 10**8).mean() / size
    assert math.isclose(expected_pooled_deviation(mean, covariance, 10**8), expected, rel_tol=1e-6)


def test_before_training_the_relative_spread_does_not_depend_on_members():
    covariance = covariances(8)
    few, many = (expected_pooled_deviation(np.zeros((4, 5, 1)), covariance, members) for members in (1, 100))
    assert math.isclose(few, many, rel_tol=1e-9)


@pytest.mark.parametrize(
    ("mean", "covariance", "members", "message"),
    [
        (np.ones((4, 5, 2)), np.ones((5, 3, 3)), 2, r"mean has shape \(4, 5, 2\), covariance \(5, 3, 3\)"),
        (np.ones((4, 5, 2)), np.ones((5, 4, 4)), 0, "members is 0"),
        (np.ones((2, 1, 1)), -np.eye(2)[None], 2, "covariance has the eigenvalue -1"),
        (np.full((2, 1, 1), np.nan), np.eye(2)[None], 2, "mean or covariance is not finite"),
    ],
    ids=["shapes", "members", "negative", "nan"],
)
def test_what_has_no_spread_is_refused(mean, covariance, members, message):
    for predicted in (mean_orbit_deviation, expected_orbit_deviation, expected_pooled_deviation):
        with pytest.raises(ValueError, match=message):
            predicted(mean, covariance, members)


def test_zero_has_no_relative_deviation():
    with pytest.raises(ValueError, match="mean and covariance over the orbit are zero"):
        expected_pooled_deviation(np.zeros((2, 1, 1)), np.zeros((1, 2, 2)), 3)
