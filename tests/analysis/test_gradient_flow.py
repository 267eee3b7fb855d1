"""Gradient flow against matrix exponentials, an ODE solver, descent with small steps, and neural-tangents."""

import math
from importlib.util import find_spec

import jax
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from tests.support.linear_models import FLOAT64, LOGITS, TEST, TRAIN, kernels, problem
from widesym.analysis.dynamics import Descent, Flow, covariance, predict
from widesym.analysis.kernels import Kernel
from widesym.analysis.tangents import import_neural_tangents

TIMES = (0.0, 0.3, 2.0, 40.0)
RIDGES = pytest.mark.parametrize("ridge", [0.0, 0.7], ids=["no ridge", "ridge"])


@pytest.mark.parametrize("rank", [9, 3], ids=["full rank", "Θ singular"])
@RIDGES
def test_flow_is_a_matrix_exponential(rank, ridge):
    """da/dt = 1/N (y − f₀ − (Θ + β) a): a = ∫₀ᵗ exp(−(t−u)(Θ + β)/N) du (y − f₀)/N, from one larger exponential.

    That is free of inverses: exp of [[−M, 1], [0, 0]] t holds ∫₀ᵗ exp(−M u) du in its upper right corner.
    """
    features, prior, targets, _ = problem(rank)
    train, cross, own = kernels(features, prior)
    found = predict(train, cross, np.diag(own), targets, Flow(TIMES, ridge))
    covariances = covariance(train, cross, own, Flow(TIMES, ridge))
    generator = np.zeros((2 * TRAIN, 2 * TRAIN))
    generator[:TRAIN] = np.hstack([-(train.ntk + ridge * np.eye(TRAIN)) / TRAIN, np.eye(TRAIN)])
    for time, t in enumerate(TIMES):
        learnt = cross.ntk @ scipy.linalg.expm(t * generator)[:TRAIN, TRAIN:] / TRAIN
        of_initial = np.hstack([np.eye(TEST), -learnt])
        expected = of_initial @ prior @ prior.T @ of_initial.T
        np.testing.assert_allclose(found.mean[time], learnt @ targets, **FLOAT64)
        np.testing.assert_allclose(covariances[time], expected, **FLOAT64)
        np.testing.assert_allclose(found.variance[time], np.diag(expected), **FLOAT64)


@RIDGES
def test_flow_is_that_of_a_linear_models_parameters(ridge):
    """dω/dt = −∂L/∂ω, L = 1/(2N) (Σ ‖J ω − y‖² + β ‖ω‖²), by an adaptive Runge-Kutta method."""
    features, prior, targets, _ = problem(9)
    train, cross, own = kernels(features, prior)
    found = predict(train, cross, np.diag(own), targets, Flow(TIMES, ridge))
    on_train = features[TEST:]

    def velocity(_, flat):
        omega = flat.reshape(-1, LOGITS)
        return -((on_train.T @ (on_train @ omega - targets) + ridge * omega) / TRAIN).ravel()

    solved = scipy.integrate.solve_ivp(
        velocity, (0, TIMES[-1]), np.zeros(9 * LOGITS), "DOP853", TIMES, rtol=1e-10, atol=1e-12
    )
    expected = [features[:TEST] @ omega.reshape(-1, LOGITS) for omega in solved.y.T]
    np.testing.assert_allclose(found.mean, expected, atol=1e-8)  # the solver's tolerance, over some hundred steps


@RIDGES
def test_descent_with_small_steps_comes_to_the_flow(ridge):
    """With an error in proportion to the learning rate: halved rates halve it."""
    features, prior, *_ = problem(9)
    train, cross, own = kernels(features, prior)
    flow = covariance(train, cross, own, Flow((2.0, 6.0), ridge))
    gaps = []
    for rate in (2e-3, 1e-3):
        descent = Descent(rate, (round(2 / rate), round(6 / rate)), ridge)
        gaps.append(np.abs(covariance(train, cross, own, descent) - flow).max((1, 2)))
    assert np.all(gaps[0] < 1e-3)
    np.testing.assert_allclose(gaps[0] / gaps[1], 2, rtol=1e-2)  # the next order: rate·λ/N, here 1e-3


@pytest.fixture(scope="module")
def nt():
    if find_spec("neural_tangents") is None:
        pytest.skip("neural-tangents is not installed")
    return import_neural_tangents()


@RIDGES
def test_neural_tangents_agrees(nt, ridge):
    """Its loss is ½ the mean over samples *and* logits: our time t is its t·logits. At infinity it solves instead."""
    features, prior, targets, _ = problem(9)
    train, cross, own = kernels(features, prior)
    with jax.enable_x64(True):

        def kernel_fn(x1, x2, get):
            """Inputs are [J, P] side by side."""
            x2 = x1 if x2 is None else x2
            values = {"ntk": x1[:, :9] @ x2[:, :9].T, "nngp": x1[:, 9:] @ x2[:, 9:].T}
            return values[get] if isinstance(get, str) else Kernel(**values)

        inputs = jax.numpy.asarray(np.hstack([features, prior]))
        ensemble = nt.predict.gradient_descent_mse_ensemble(
            kernel_fn, inputs[TEST:], targets, LOGITS, diag_reg=ridge, diag_reg_absolute_scale=True
        )
        one = nt.predict.gradient_descent_mse(train.ntk, targets, LOGITS, diag_reg=ridge, diag_reg_absolute_scale=True)
        for t in (*TIMES, None):
            progress = Flow((math.inf if t is None else t,), ridge)
            expected = ensemble(t, inputs[:TEST], "ntk", compute_cov=True)
            found = predict(train, cross, np.diag(own), targets, progress)
            np.testing.assert_allclose(found.mean[0], expected.mean, **FLOAT64)
            np.testing.assert_allclose(covariance(train, cross, own, progress)[0], expected.covariance, **FLOAT64)
            _, mean = one(t, np.zeros((TRAIN, LOGITS)), np.zeros((TEST, LOGITS)), cross.ntk)
            np.testing.assert_allclose(found.mean[0], mean, **FLOAT64)
