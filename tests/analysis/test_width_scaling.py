"""The bias of finite width, told from noise: against Gaussian ensembles whose bias is known."""

import math

import numpy as np
import pytest

from widesym.analysis.estimators.divergence import squared_divergence, squared_divergence_interval
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import EstimatedMean, estimate_mean
from widesym.analysis.estimators.widths import width_scaling

WIDTHS = (64, 16, 32)


def means(bias, members=100):
    """N(theory + bias·(width/16)⁻¹, 1), of theory 0.5."""
    return {
        width: estimate_mean(EnsembleLogits(0.5 + bias * 16 / width + drawn(width, members)), 0) for width in WIDTHS
    }


def drawn(seed, members):
    return np.random.default_rng(seed).standard_normal((1, members, 4, 3))


THEORY = np.full((4, 3), 0.5)


def test_bias_and_noise_are_told_apart():
    ensembles = means(2.0)
    found = width_scaling(ensembles, THEORY)
    np.testing.assert_array_equal(found.widths, [16, 32, 64])
    exact = EstimatedMean.exact(THEORY)
    squares = [squared_divergence(ensembles[width], exact) for width in (16, 32, 64)]
    np.testing.assert_allclose(found.bias_squared, squares, rtol=1e-12)
    np.testing.assert_array_equal(
        found.bias_squared_interval, [squared_divergence_interval(ensembles[width], exact) for width in (16, 32, 64)]
    )
    # tr S/M of three logits, from 1,200 numbers: to 4 %.
    np.testing.assert_allclose(found.noise, 3 / 100, rtol=0.15)
    # 3·2²·(16/width)², each with an error of 2·√12·(16/width)/√100/√4 of its own noise, or less.
    np.testing.assert_allclose(found.bias_squared, [12, 3, 0.75], rtol=0.15)
    assert found.resolved.all()
    assert found.bias_fit is not None
    low, high = found.bias_fit.interval
    assert low is not None
    assert high is not None
    assert low < -1 < high
    assert high - low < 0.3
    assert math.isclose(found.bias_fit.exponent, -1, abs_tol=0.1)
    assert math.isclose(found.bias_fit.at([16])[0], math.sqrt(12), rel_tol=0.05)


def test_no_law_of_what_is_not_seen():
    found = width_scaling(means(0.0), THEORY)
    assert found.resolved.sum() < 2
    assert found.bias_fit is None


def test_one_width_is_refused():
    with pytest.raises(ValueError, match="ensembles of 1 widths"):
        width_scaling({16: means(1.0)[16]}, THEORY)
