"""Mean and variance over training time, against descent carried out step by step (theory.md §4)."""

import math

import numpy as np
import pytest

from analysis import analytic_kernel
from analysis.dynamics import largest_eigenvalue, predict
from analysis.kernels import Kernel
from ensembles import TrainingRecipe, train_ensemble
from models import Architecture, Dense

STEPS = (0, 1, 2, 7, 60)
TRAIN, TEST, LOGITS = 5, 3, 2
# Sums of a few hundred float64 terms of order one; predictions go through an eigendecomposition.
assert_close = np.testing.assert_allclose
FLOAT64 = {"rtol": 1e-10, "atol": 1e-10}


def problem(rank):
    """Features J and prior features P of test and training inputs, with Θ = J Jᵀ and K = P Pᵀ; targets, rate."""
    rng = np.random.default_rng(rank)
    features, prior = (rng.standard_normal((TEST + TRAIN, size)) / math.sqrt(size) for size in (rank, TEST + TRAIN + 2))
    targets = rng.standard_normal((TRAIN, LOGITS))
    rate = 0.6 * 2 * TRAIN / largest_eigenvalue(features[TEST:] @ features[TEST:].T)
    return features, prior, targets, rate


def prediction(features, prior, targets, rate, steps=STEPS):
    ntk, nngp = features @ features.T, prior @ prior.T
    train, cross = (Kernel(nngp[rows, TEST:], ntk[rows, TEST:]) for rows in (slice(TEST, None), slice(TEST)))
    return predict(train, cross, np.diag(nngp)[:TEST], targets, rate, steps)


@pytest.mark.parametrize("rank", [9, 3], ids=["full rank", "Θ singular"])
def test_mean_is_descent_on_the_parameters_of_a_linear_model(rank):
    """f = J θ from θ = 0: θ ← θ − η ∂L/∂θ with L = 1/(2N) Σ ‖f − y‖²; its kernel is Θ = J Jᵀ."""
    features, prior, targets, rate = problem(rank)
    found = prediction(features, prior, targets, rate)
    theta, on_train = np.zeros((rank, LOGITS)), features[TEST:]
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            assert_close(found.mean[STEPS.index(step)], features[:TEST] @ theta, **FLOAT64)
        theta -= rate / TRAIN * on_train.T @ (on_train @ theta - targets)


@pytest.mark.parametrize("rank", [9, 3], ids=["full rank", "Θ singular"])
def test_mean_and_variance_are_those_of_the_affine_iteration(rank):
    """One step is z ← A z + b on z = [f(x); f(X)], with z Gaussian of covariance K at initialisation."""
    features, prior, targets, rate = problem(rank)
    found = prediction(features, prior, targets, rate)
    to_train = rate / TRAIN * features @ features[TEST:].T  # (η/N) Θ(·, X)
    step_matrix = np.eye(TEST + TRAIN)
    step_matrix[:, TEST:] -= to_train
    mean, covariance = np.zeros((TEST + TRAIN, LOGITS)), prior @ prior.T
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            assert_close(found.mean[STEPS.index(step)], mean[:TEST], **FLOAT64)
            assert_close(found.variance[STEPS.index(step)], np.diag(covariance)[:TEST], **FLOAT64)
        mean, covariance = step_matrix @ mean + to_train @ targets, step_matrix @ covariance @ step_matrix.T


@pytest.mark.parametrize("small", [0.0, 1e-18])
def test_directions_without_kernel_move_evenly(small):
    """(1 − (1 − ηλ/N)^s)/λ → ηs/N at λ → 0: exact training never divides by an eigenvalue."""
    train, cross = Kernel(np.eye(2), np.diag([1.0, small])), Kernel(np.eye(1, 2), np.array([[0.0, 1.0]]))
    found = predict(train, cross, np.ones(1), np.array([[0.0], [5.0]]), 0.3, (4,))
    assert_close(found.mean, 4 * 0.3 / 2 * 5.0, rtol=1e-12)


def test_training_inputs_end_at_their_targets():
    """With all residual modes gone, mean → y and variance → 0 (interpolation)."""
    features, _, targets, rate = problem(rank=9)
    ntk = features[TEST:] @ features[TEST:].T
    train = Kernel(ntk, ntk)  # K = Θ will do
    (mean,), (variance,) = predict(train, train, np.diag(ntk), targets, rate, (10**6,))
    assert_close(mean, targets, rtol=1e-9)
    assert_close(variance, 0, atol=1e-9)  # a difference of terms of order one


@pytest.mark.parametrize("rate", [1.0001, 2.0, -0.5, 0.0, math.nan], ids=lambda share: f"{share} of the limit")
def test_rates_without_convergence_are_refused(rate):
    features, prior, targets, _ = problem(rank=9)
    limit = 2 * TRAIN / largest_eigenvalue(features[TEST:] @ features[TEST:].T)
    with pytest.raises(ValueError, match=f"descent converges between 0 and 2N/λ_max = {limit:.4g}"):
        prediction(features, prior, targets, rate * limit)
    assert np.isfinite(prediction(features, prior, targets, 0.9999 * limit).mean).all()


def test_largest_eigenvalue():
    assert math.isclose(largest_eigenvalue(np.array([[2.0, 1.0], [1.0, 2.0]])), 3, rel_tol=1e-12)


def test_trained_linear_networks_follow_the_prediction():
    """One dense layer is linear in its parameters: theory is exact at any width, and only the members' number counts.

    Of `members` Gaussian logits the mean has standard error σ/√M, the variance relative standard error √(2/(M − 1)).
    """
    rng, members, steps = np.random.default_rng(0), 3000, (0, 1, 4, 30)
    x, y, x_eval = (rng.standard_normal(shape).astype("f") for shape in ((4, 3), (4, LOGITS), (3, 3)))
    arch = Architecture((Dense(LOGITS, w_std=1.2, b_std=0.5),))
    kernel = analytic_kernel(arch)
    train = kernel(x)
    rate = 0.5 * 2 * len(x) / largest_eigenvalue(np.asarray(train.ntk))
    theory = predict(train, kernel(x_eval, x), np.asarray(kernel.diagonal(x_eval).nngp), y, rate, steps)
    logits = train_ensemble(arch, TrainingRecipe(rate), x, y, x_eval, members, steps)
    standard_error = np.sqrt(theory.variance[..., None] / members)
    # Four standard errors: the largest of the 24 logits exceeds them once in 650 seeds.
    assert np.all(abs(logits.mean(1) - theory.mean) < 4 * standard_error)
    relative = logits.var(1, ddof=1) / theory.variance[..., None] - 1
    assert np.all(abs(relative) < 4 * math.sqrt(2 / (members - 1)))
    # Training moved the mean by many of these errors and the variance by much of itself: the bounds bite.
    assert abs(theory.mean[-1] / standard_error[-1]).max() > 20
    assert np.all(theory.variance[-1] < 0.9 * theory.variance[0])
