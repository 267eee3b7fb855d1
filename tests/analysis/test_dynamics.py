"""Mean and covariance over training time, against descent carried out step by step (theory.md §4)."""

import math
import re

import numpy as np
import pytest

from tests.support.linear_models import FLOAT64, LOGITS, TEST, TRAIN, kernels, problem
from widesym.analysis.dynamics import (
    Descent,
    Flow,
    covariance,
    decompose,
    largest_eigenvalue,
    largest_learning_rate,
    predict,
)
from widesym.analysis.kernels import Kernel
from widesym.analysis.kernels.accuracy import UnresolvedWarning

STEPS = (0, 1, 2, 7, 60)
assert_close = np.testing.assert_allclose
RANKS = pytest.mark.parametrize("rank", [9, 3], ids=["full rank", "Θ singular"])
RIDGES = pytest.mark.parametrize("ridge", [0.0, 0.7], ids=["no ridge", "ridge"])


def prediction(features, prior, targets, progress):
    train, cross, own = kernels(features, prior)
    return predict(train, cross, np.diag(own), targets, progress)


@RANKS
@RIDGES
def test_mean_is_descent_on_the_parameters_of_a_linear_model(rank, ridge):
    """f = J θ from θ = 0: θ ← θ − η ∂L/∂θ with L = 1/(2N) (Σ ‖f − y‖² + β ‖θ‖²); its kernel is Θ = J Jᵀ."""
    features, prior, targets, rate = problem(rank, ridge)
    found = prediction(features, prior, targets, Descent(rate, STEPS, ridge))
    theta, on_train = np.zeros((rank, LOGITS)), features[TEST:]
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            assert_close(found.mean[STEPS.index(step)], features[:TEST] @ theta, **FLOAT64)
        theta -= rate / TRAIN * (on_train.T @ (on_train @ theta - targets) + ridge * theta)


@RANKS
@RIDGES
def test_mean_and_covariance_are_those_of_the_affine_iteration(rank, ridge):
    """f(x) = f₀(x) + Θ(x,X) a with a ← a + η/N (y − f₀(X) − (Θ + β) a), from Gaussian f₀ of covariance K.

    All of it is linear in f₀: a = A f₀(X) + b with the matrices A and b iterated, f(x) = f₀(x) + Θ(x,X)(A f₀(X) + b).
    """
    features, prior, targets, rate = problem(rank, ridge)
    train, cross, own = kernels(features, prior)
    progress = Descent(rate, STEPS, ridge)
    found, covariances = predict(train, cross, np.diag(own), targets, progress), covariance(train, cross, own, progress)
    response, drive = np.zeros((TRAIN, TRAIN)), np.zeros((TRAIN, LOGITS))
    forward = np.eye(TRAIN) - rate / TRAIN * (train.ntk + ridge * np.eye(TRAIN))
    for step in range(STEPS[-1] + 1):
        if step in STEPS:
            of_initial = np.hstack([np.eye(TEST), cross.ntk @ response])  # of [f₀(x); f₀(X)]
            expected, time = of_initial @ prior @ prior.T @ of_initial.T, STEPS.index(step)
            assert_close(found.mean[time], cross.ntk @ drive, **FLOAT64)
            assert_close(covariances[time], expected, **FLOAT64)
            assert_close(found.variance[time], np.diag(expected), **FLOAT64)
        response = forward @ response - rate / TRAIN * np.eye(TRAIN)
        drive = forward @ drive + rate / TRAIN * targets


@pytest.mark.parametrize("small", [0.0, 1e-300, 1e-18])
@pytest.mark.parametrize("progress", [Descent(0.3, (4,)), Flow((1.2,))], ids=["descent", "flow"])
def test_directions_without_kernel_move_evenly(small, progress):
    """E → ηs/N and t/N at λ → 0: exact training never divides by an eigenvalue."""
    train, cross = Kernel(np.eye(2), np.diag([1.0, small])), Kernel(np.eye(1, 2), np.array([[0.0, 1.0]]))
    found = predict(train, cross, np.ones(1), np.array([[0.0], [5.0]]), progress)
    assert progress.times == pytest.approx((1.2,), rel=1e-15)
    assert_close(found.mean, 1.2 / 2 * 5.0, rtol=1e-12)


@pytest.mark.parametrize("x", [1e-13, 1e-5, 0.3, 0.5, 0.9, 1.0, 1.2, 1.999])
@pytest.mark.parametrize("steps", [1, 2, 7, 10**5])
def test_descent_keeps_its_digits(x, steps):
    """(1 − (1 − x)^s)/x = Σ_{k<s} (1 − x)^k, terms summed exactly."""
    found = Descent(x, (steps,)).factor(np.array([1.0]), 1, 0, 0.0)
    expected = x * math.fsum((1 - x) ** k for k in range(steps))
    assert_close(found, expected, rtol=1e-11)  # 1 − x has lost digits of x = 1e-13 in the oracle alone: k·1e-16


def test_training_inputs_end_at_their_targets():
    """With all residual modes gone, mean → y and variance → 0 (interpolation), at infinity as after very long."""
    features, _, targets, rate = problem(rank=9)
    ntk = features[TEST:] @ features[TEST:].T
    train = Kernel(ntk, ntk)  # K = Θ will do
    for progress in (Descent(rate, (10**6, math.inf)), Flow((1e9, math.inf))):
        found = predict(train, train, np.diag(ntk), targets, progress)
        assert_close(found.mean, [targets, targets], rtol=1e-9)
        assert_close(found.variance, 0, atol=1e-9)  # differences of terms of order one
        assert_close(covariance(train, train, ntk, progress), 0, atol=1e-9)


@RANKS
@RIDGES
def test_infinity_is_kernel_ridge_regression(rank, ridge):
    """Θ(x,X) (Θ + β)⁻¹ Y, by the pseudo-inverse where Θ is singular; the covariance is that of
    f₀(x) − Θ(x,X) (Θ + β)⁻¹ f₀(X).
    """
    features, prior, targets, rate = problem(rank, ridge)
    train, cross, own = kernels(features, prior)
    weights = cross.ntk @ np.linalg.pinv(train.ntk + ridge * np.eye(TRAIN), rcond=1e-10, hermitian=True)
    left = np.hstack([np.eye(TEST), -weights])
    for progress in (Descent(rate, (math.inf,), ridge), Flow((math.inf,), ridge)):
        assert_close(predict(train, cross, np.diag(own), targets, progress).mean[0], weights @ targets, **FLOAT64)
        assert_close(covariance(train, cross, own, progress)[0], left @ prior @ prior.T @ left.T, **FLOAT64)


def test_rounding_of_float32_is_no_direction_to_learn():
    """λ = −1e-8 beside λ = 1 is zero for a float32 kernel, and no growth; −0.01 is none of a kernel's."""

    def first_input(second, *times):
        train = Kernel(np.eye(2, dtype="f"), np.diag([1.0, second]).astype("f"))
        cross = Kernel(np.zeros((1, 2)), np.ones((1, 2)))
        return predict(train, cross, np.ones(1), np.array([[3.0], [5.0]]), Flow(times)).mean[:, 0, 0]

    for second in (-1e-8, 0.0, 1e-8):
        expected = [3 * -math.expm1(-0.5) + 5 / 2, 3]
        assert_close(first_input(second, 1.0, math.inf), expected, rtol=1e-7)  # λ itself makes 1e-8
    with pytest.warns(
        UnresolvedWarning, match="is not resolved by the kernel's precision"
    ):  # errors of Θ(x, X) grow, too
        assert_close(first_input(-1e-8, 1e12), 3 + 5e12 / 2, rtol=1e-12)
    with pytest.raises(ValueError, match=r"eigenvalues from -0\.01 to 1; those of a kernel are not negative"):
        first_input(-0.01, 1.0)


@RIDGES
@pytest.mark.parametrize("rate", [1.0001, 2.0, -0.5, 0.0, math.nan], ids=lambda share: f"{share} of the limit")
def test_rates_without_convergence_are_refused(rate, ridge):
    features, prior, targets, _ = problem(rank=9)
    train, cross, own = kernels(features, prior)
    limit = 2 * TRAIN / (np.linalg.eigvalsh(train.ntk)[-1] + ridge)
    assert largest_learning_rate(train, ridge) == pytest.approx(limit, rel=1e-12)
    bound = "2N/(λ_max + ridge)" if ridge else "2N/λ_max"
    message = re.escape(f"descent converges between 0 and {bound} = {limit:.4g}")
    with pytest.raises(ValueError, match=message):
        prediction(features, prior, targets, Descent(rate * limit, STEPS, ridge))
    with pytest.raises(ValueError, match=message):
        covariance(train, cross, own, Descent(rate * limit, STEPS, ridge))
    assert np.isfinite(prediction(features, prior, targets, Descent(0.9999 * limit, STEPS, ridge)).mean).all()


def test_one_decomposition_serves_all_predictions():
    features, prior, targets, rate = problem(rank=9)
    train, cross, own = kernels(features, prior)
    basis, progress = decompose(train), Descent(rate, STEPS)
    for one, other in zip(
        predict(basis, cross, np.diag(own), targets, progress),
        predict(train, cross, np.diag(own), targets, progress),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    assert decompose(basis) is basis
    assert largest_learning_rate(basis) == largest_learning_rate(train)


def test_largest_eigenvalue():
    assert math.isclose(largest_eigenvalue(np.array([[2.0, 1.0], [1.0, 2.0]])), 3, rel_tol=1e-12)
    assert largest_learning_rate(Kernel(np.eye(2), np.zeros((2, 2)))) == math.inf


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Descent(0.1, (0, 1.5)), "a number of steps is 1.5; it must be whole, or math.inf"),
        (lambda: Descent(0.1, (-1,)), "a number of steps is -1; it must be a number, at least 0"),
        (lambda: Flow((math.nan,)), "a time is nan; it must be a number, at least 0"),
        (lambda: Flow((1.0,), -0.1), "ridge is -0.1; it must be a finite number, at least 0"),
        (lambda: Descent(0.1, (1,), math.inf), "ridge is inf"),
    ],
    ids=["fraction", "negative step", "nan", "negative ridge", "infinite ridge"],
)
def test_times_that_cannot_be_are_refused(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"train": Kernel(np.eye(2), np.eye(3))}, "shapes (2, 2) and (3, 3); both must be (N, N)"),
        ({"train": Kernel(np.eye(2), np.eye(2) * np.nan)}, "kernels of the training set have values that are not"),
        (
            {"cross": Kernel(np.ones((1, 3)), np.ones((1, 2)))},
            "K between inputs and training set has shape (1, 3), not",
        ),
        ({"cross": Kernel(np.ones((1, 2)), np.full((1, 2), np.inf))}, "kernels of the inputs have values that are not"),
        ({"own": np.ones((1, 1))}, "own has shape (1, 1); it must be K(x, x), (samples,)"),
        ({"targets": np.ones((3, 1))}, "targets have shape (3, 1); it must be (2, logits)"),
    ],
    ids=["training set", "NaN", "cross", "infinite", "own", "targets"],
)
def test_kernels_that_do_not_fit_are_refused(change, message):
    given = {
        "train": Kernel(np.eye(2), np.eye(2)),
        "cross": Kernel(np.ones((1, 2)), np.ones((1, 2))),
        "own": np.full(1, 3.0),
        "targets": np.ones((2, 1)),
        "progress": Flow((1.0,)),
    }
    assert np.isfinite(predict(**given).mean).all()
    with pytest.raises(ValueError, match=re.escape(message)):
        predict(**given | change)


def test_covariance_wants_all_of_the_inputs_kernel():
    ones = Kernel(np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(ValueError, match=re.escape("own has shape (1,); it must be K(x, x'), (samples, samples)")):
        covariance(Kernel(np.eye(2), np.eye(2)), ones, np.ones(1), Flow((1.0,)))


def test_variances_are_not_negative():
    """On trained inputs they end at zero, but for rounding; users take roots."""
    features, prior, targets, _ = problem(rank=9)
    ntk = features[TEST:] @ features[TEST:].T
    kernel, progress = Kernel((prior @ prior.T)[TEST:, TEST:], ntk), Flow((0.0, 1e9, math.inf))
    single = Kernel(*(np.float32(values) for values in kernel))
    for train, rounding in ((kernel, 1e-12), (single, 1e-3)):  # K is of size 10, condition numbers are 1e3
        own = np.diag(np.asarray(train.nngp))
        found = predict(train, train, own, targets, progress).variance
        assert (found >= 0).all()
        assert_close(found[1:], 0, atol=rounding)
        assert (np.diagonal(covariance(train, train, train.nngp, progress), axis1=1, axis2=2) >= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_variances_far_below_zero_are_a_fault(dtype):
    """K(x, X) beyond √(K(x,x) K(X,X)): of another kernel, or of inputs in another order."""
    one = np.eye(2, dtype=dtype)
    cross = Kernel(np.full((1, 2), 0.8, dtype), one[:1])
    with pytest.raises(ValueError, match=r"variance of input 0 at time 1 comes out as -0\.2.* must be one kernel's"):
        predict(Kernel(one, one), cross, np.full(1, 0.4), np.ones((2, 1)), Flow((0.0, math.inf)))
    with pytest.raises(ValueError, match="must be one kernel's"):
        covariance(Kernel(one, one), cross, np.full((1, 1), 0.4), Flow((0.0, math.inf)))
