"""z-scores of ensemble means about theory: values against loops, Student's t where members are normal."""

import math

import numpy as np
import pytest
from scipy.stats import t

from widesym.analysis.estimators.calibration import calibration, z_scores
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import EstimatedMean, estimate_mean


def estimated(seed, members, samples=3, logits=2, shift=0.0):
    values = shift + np.random.default_rng(seed).standard_normal((1, members, samples, logits))
    return values[0], estimate_mean(EnsembleLogits(values), 0)


def test_z_is_the_error_over_the_standard_error():
    values, a = estimated(0, 6)
    theory = np.full((3, 2), 0.1)
    for s in range(3):
        for c in range(2):
            column = values[:, s, c]
            mean = sum(column) / 6
            deviation = math.sqrt(sum((x - mean) ** 2 for x in column) / 5)
            # Logits are read as float32.
            assert math.isclose(z_scores(a, theory)[s, c], (mean - 0.1) / (deviation / math.sqrt(6)), rel_tol=1e-5)


def test_normal_members_have_students_z():
    """3,000 independent z of eight members: 95 % to 0.4 % within the quantile, 7/5 the mean square to 4 %."""
    _, a = estimated(1, 8, samples=1500)
    found = calibration(a, np.zeros((1500, 2)))
    assert abs(found.within - 0.95) < 4 * 0.004
    assert math.isclose(found.rms, math.sqrt(7 / 5), rel_tol=0.05)
    assert found.rms_interval[0] < found.rms < found.rms_interval[1]
    np.testing.assert_allclose(np.mean(found.rms_interval), math.sqrt(7 / 5), rtol=0.04)
    fractions, expected = found.histogram(np.linspace(-4, 4, 9))
    np.testing.assert_allclose(fractions, expected, atol=4 * 0.5 / math.sqrt(3000))
    assert math.isclose(expected.sum(), t.cdf(4, 7) - t.cdf(-4, 7), rel_tol=1e-12)


def test_bias_shows():
    _, a = estimated(2, 50, samples=20, shift=0.5)
    found = calibration(a, np.zeros((20, 2)))
    assert found.rms > found.rms_interval[1]
    assert found.within < 0.5  # a bias of 3.5 standard errors
    assert math.isclose(found.rms, math.sqrt(1 + 50 * 0.25), rel_tol=0.1)  # 40 z of 3.5 ± 1: to 4 %


def test_what_has_no_standard_error_is_refused():
    a = estimated(0, 6)[1]
    stuck = a._replace(variance=a.variance * np.array([1, 0]))
    with pytest.raises(ValueError, match="3 of 6 mean logits have no standard error"):
        z_scores(stuck, 0 * a.mean)
    with pytest.raises(ValueError, match="6 of 6"):
        z_scores(EstimatedMean.exact(a.mean), a.mean)
    with pytest.raises(ValueError, match="5 members"):
        calibration(estimated(0, 4)[1], 0 * a.mean)
