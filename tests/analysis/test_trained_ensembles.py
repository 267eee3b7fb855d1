"""Ensembles that were trained, against the prediction of their mean and of all of their covariance (theory.md §4)."""

import math

import numpy as np
import pytest

from widesym.analysis import analytic_kernel
from widesym.analysis.dynamics import Descent, covariance, largest_learning_rate, predict
from widesym.ensembles import TrainingRecipe, train_ensemble
from widesym.models import Architecture, Dense, Relu

LOGITS, TRAIN, TEST = 2, 4, 3
STEPS = (0, 1, 4, 30)


def theory_and_logits(arch, members, seed=0):
    """Predicted mean and covariance, and the logits of an ensemble, at half the largest learning rate."""
    rng = np.random.default_rng(seed)
    x, y, x_eval = (rng.standard_normal(shape).astype("f") for shape in ((TRAIN, 3), (TRAIN, LOGITS), (TEST, 3)))
    kernel = analytic_kernel(arch)
    train, cross, own = kernel(x), kernel(x_eval, x), np.asarray(kernel(x_eval).nngp)
    progress = Descent(largest_learning_rate(train) / 2, STEPS)
    predicted = predict(train, cross, np.diag(own), y, progress), covariance(train, cross, own, progress)
    recipe = TrainingRecipe(progress.learning_rate)
    return *predicted, train_ensemble(arch, recipe, x, y, x_eval, members, STEPS, seed)


def deviations(theory, covariances, logits):
    """Of the members' means and covariances from the predicted ones, in standard errors.

    Of M Gaussian vectors the mean's is √(Σ_ii/M), the covariance's √((Σ_ii Σ_jj + Σ_ij²)/(M − 1)).
    """
    members = logits.shape[1]
    of_mean = (logits.mean(1) - theory.mean) / np.sqrt(theory.variance[..., None] / members)
    centred = logits - logits.mean(1, keepdims=True)
    found = np.einsum("tmil,tmjl->tijl", centred, centred) / (members - 1)
    variance = np.diagonal(covariances, axis1=1, axis2=2)
    scale = np.sqrt((variance[:, :, None] * variance[:, None] + covariances**2) / (members - 1))
    return of_mean, (found - covariances[..., None]) / scale[..., None]


def test_trained_linear_networks_follow_the_prediction():
    """One dense layer is linear in its parameters: theory is exact at any width, and the members' number counts."""
    arch, members = Architecture((Dense(LOGITS, w_std=1.2, b_std=0.5),)), 3000
    theory, covariances, logits = theory_and_logits(arch, members)
    np.testing.assert_allclose(np.diagonal(covariances, axis1=1, axis2=2), theory.variance, rtol=1e-10)
    # Four standard errors: the largest of the 72 different numbers exceeds them once in 200 seeds.
    for deviation in deviations(theory, covariances, logits):
        assert np.abs(deviation).max() < 4
    # Training moved the mean by many of these errors and the covariance by many, too: the bounds bite.
    assert abs(theory.mean[-1] / np.sqrt(theory.variance[-1] / members)[:, None]).max() > 20
    assert np.all(theory.variance[-1] < 0.9 * theory.variance[0])
    _, of_covariance = deviations(theory, covariances[[0] * len(STEPS)], logits)
    assert np.abs(of_covariance[-1]).max() > 20


@pytest.mark.parametrize(
    ("width", "members"), [(1024, 256), pytest.param(4096, 2048, marks=pytest.mark.slow)], ids=["1024", "4096"]
)
def test_wide_networks_follow_the_prediction(width, members):
    """One hidden layer: finite width shifts mean and covariance by 1/width of themselves, far below these errors."""
    arch = Architecture((Dense(width, w_std=math.sqrt(2), b_std=0.3), Relu(), Dense(LOGITS, b_std=0.1)))
    theory, covariances, logits = theory_and_logits(arch, members)
    for deviation in deviations(theory, covariances, logits):
        assert np.abs(deviation).max() < 4
    assert abs(theory.mean[-1] / np.sqrt(theory.variance[-1] / members)[:, None]).max() > 10
    _, of_covariance = deviations(theory, covariances[[0] * len(STEPS)], logits)
    assert np.abs(of_covariance[-1]).max() > 8
