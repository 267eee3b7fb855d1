"""Statistics of kernels over training time: against loops over entries, and cases that are known in closed form."""

import jax.numpy as jnp
import numpy as np
import pytest

from widesym.analysis.empirical import empirical_ntk
from widesym.analysis.estimators.kernel_evolution import (
    distance,
    drift,
    kernel_evolution,
    kernel_statistics,
    mean_drift,
    spectra,
    target_alignment,
)
from widesym.analysis.estimators.power_law import fit_power_law
from widesym.analysis.figures.drawing import save_figure
from widesym.analysis.figures.kernel_evolution import evolution_figure

TIMES, MEMBERS, N = 3, 4, 5


@pytest.fixture(scope="module")
def kernels():
    """Positive matrices, in float32 as networks have them."""
    factors = np.random.default_rng(0).standard_normal((TIMES, MEMBERS, N, 2 * N)) / N
    return (factors @ np.swapaxes(factors, -1, -2)).astype(np.float32)


@pytest.fixture(scope="module")
def targets():
    return np.eye(3)[[0, 1, 2, 0, 1]] - 1 / 3


def frobenius(matrix):
    return sum(float(entry) ** 2 for row in matrix for entry in row) ** 0.5


def test_drift_is_what_the_loops_say(kernels):
    """In float64, so up to its rounding; float32 differences would be off by 1e-7 and more."""
    for time in range(TIMES):
        for member in range(MEMBERS):
            start, now = (kernels[at, member].astype(np.float64) for at in (0, time))
            expected = frobenius(now - start) / frobenius(start)
            np.testing.assert_allclose(drift(kernels)[time, member], expected, rtol=1e-12)
        start, now = (sum(kernels[at].astype(np.float64)) / MEMBERS for at in (0, time))
        np.testing.assert_allclose(mean_drift(kernels)[time], frobenius(now - start) / frobenius(start), rtol=1e-12)


def test_a_kernel_that_grows_by_a_factor_drifts_by_it(kernels):
    """In float64, up to its rounding; the mean's drift is that of all members."""
    grown = kernels[:1].astype(np.float64) * np.array([1, 1.5, 0.25])[:, None, None, None]
    np.testing.assert_allclose(drift(grown), np.tile([[0], [0.5], [0.75]], MEMBERS), rtol=1e-14)
    np.testing.assert_allclose(mean_drift(grown), [0, 0.5, 0.75], rtol=1e-14)


def test_opposite_changes_cancel_in_the_mean():
    change = np.stack([np.eye(2), -np.eye(2)]) / 2
    kernels = np.stack([np.stack([np.eye(2)] * 2), np.eye(2) + change])
    np.testing.assert_array_equal(drift(kernels), [[0, 0], [0.5, 0.5]])
    np.testing.assert_array_equal(mean_drift(kernels), [0, 0])


def test_alignment_is_what_the_loops_say(kernels, targets):
    gram = [[sum(a * b for a, b in zip(row, other, strict=True)) for other in targets] for row in targets]
    product = sum(kernels[1, 2, i, j] * gram[i][j] for i in range(N) for j in range(N))
    expected = product / (frobenius(kernels[1, 2]) * frobenius(gram))
    np.testing.assert_allclose(target_alignment(kernels, targets)[1, 2], expected, rtol=1e-6)  # the loop is in float32


def test_alignments_that_are_known(targets):
    gram = targets @ targets.T
    np.testing.assert_allclose(target_alignment(7 * gram, targets), 1, rtol=1e-14)
    np.testing.assert_allclose(target_alignment(-gram, targets), -1, rtol=1e-14)
    # Of the identity: tr YYᵀ/(√n ‖YYᵀ‖); rows have norm² 2/3, and products 2/3 within and -1/3 between classes.
    within, between = 1 + 4 + 4, 25 - 9
    norm = (within * 4 / 9 + between / 9) ** 0.5
    np.testing.assert_allclose(target_alignment(np.eye(5), targets), 5 * 2 / 3 / (5**0.5 * norm), rtol=1e-14)
    orthogonal = np.ones((5, 5))  # not centred: the constant kernel is aligned by the sum of YYᵀ
    np.testing.assert_allclose(target_alignment(orthogonal, targets), gram.sum() / (5 * norm), rtol=1e-13)


def test_spectra_are_descending_eigenvalues(kernels):
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((4, 4)))
    np.testing.assert_allclose(spectra(turn @ np.diag([1, 5, 3, 0.5]) @ turn.T), [5, 3, 1, 0.5], rtol=1e-12)
    found = spectra(kernels)
    assert found.shape == (TIMES, MEMBERS, N)
    np.testing.assert_allclose(found.sum(-1), np.trace(kernels, axis1=2, axis2=3), rtol=1e-6)  # traces in float32


def test_distance_is_relative_to_the_reference():
    np.testing.assert_allclose(distance(3 * np.eye(2), 2 * np.eye(2)), 0.5, rtol=1e-14)
    with pytest.raises(ValueError, match=r"the reference has shape \(3, 3\), but the kernels \(2, 2\)"):
        distance(np.eye(2), np.eye(3))


def test_everything_is_gathered_with_its_names(kernels, targets):
    found = kernel_evolution(kernels, [0, 2, 8], np.array([0, 0.2, 0.8]), targets, kernels[0, 0], [0, 1, 3, 4])
    assert found.ntk.dims == ("time", "member", "input", "other_input")
    np.testing.assert_array_equal(found.ntk, kernels)
    np.testing.assert_array_equal(found.step, [0, 2, 8])
    np.testing.assert_array_equal(found.drift.sel(time=0.8, member=3), drift(kernels)[2, 2])
    np.testing.assert_array_equal(found.mean_alignment, target_alignment(kernels.mean(1, dtype=np.float64), targets))
    np.testing.assert_array_equal(
        found.distance_from_analytic, distance(kernels.mean(1, dtype=np.float64), kernels[0, 0])
    )
    for name, dims in {
        "mean_drift": ("time",),
        "alignment": ("time", "member"),
        "spectrum": ("time", "member", "eigenvalue"),
        "mean_spectrum": ("time", "eigenvalue"),
    }.items():
        assert found[name].dims == dims
    assert all({"long_name", "units"} <= set(array.attrs) for array in found.data_vars.values())


def test_times_may_differ_between_members(kernels):
    times = np.arange(TIMES)[:, None] * np.arange(1, MEMBERS + 1)
    found = kernel_evolution(kernels, [0, 1, 2], times)
    assert "time" not in found.variables
    np.testing.assert_array_equal(found.training_time, times)
    assert not {"alignment", "mean_alignment", "distance_from_analytic"} & set(found)


@pytest.mark.parametrize(
    ("times", "scale", "threshold"),
    [([0, 0.1, 4], "symlog", 0.1), ([0, 0, 0.1], "linear", None), ([0, 0, 0], "linear", None)],
)
def test_figures_of_times_that_begin_with_a_warmup(kernels, targets, tmp_path, times, scale, threshold):
    """A logarithmic axis, where there is one, is linear up to the first positive time."""
    figure = evolution_figure(kernel_evolution(kernels, [0, 1, 4], np.array(times, float), targets), "")
    assert figure.axes[0].get_xscale() == scale
    assert getattr(figure.axes[0].xaxis.get_transform(), "linthresh", None) == threshold
    save_figure(figure, tmp_path / "figure")


def test_figures_of_a_long_training_after_a_warmup(kernels, tmp_path):
    found = kernel_evolution(kernels[[0, 0, 1, 2]], [0, 1, 4, 400], np.array([0, 0, 0.3, 30]))
    figure = evolution_figure(found, "")
    assert figure.axes[0].xaxis.get_transform().linthresh == 0.3
    save_figure(figure, tmp_path / "figure")


def with_nan(kernels):
    changed = kernels.copy()
    changed[1, 2, 0, 0] = np.nan
    return changed


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda k, y: drift(k[0]), r"kernels have shape \(4, 5, 5\); it must be \[time, member, n, n\]"),
        (lambda k, y: drift(k[:0]), "not empty"),
        (lambda k, y: drift(with_nan(k)), "member 2 at time 1 .* is not finite"),
        (
            lambda k, y: kernel_statistics(with_nan(k), [0, 1, 2], np.arange(3.0), members=[0, 1, 5, 7]),
            "member 5 at time 1",
        ),
        (lambda k, y: kernel_statistics([], [], np.zeros(0)), "there are no kernels, of no time"),
        (lambda k, y: drift(0 * k), "the first kernel of member 0 is zero"),
        (lambda k, y: target_alignment(k, y[:3]), r"targets have shape \(3, 3\); kernels of 5 inputs"),
        (lambda k, y: target_alignment(k, 0 * y), "targets are all zero"),
        (lambda k, y: kernel_evolution(k, [0, 1], np.arange(3.0)), "2 steps and times of shape"),
        (lambda k, y: kernel_evolution(k, [0, 1, 2], np.arange(2.0)), r"times of shape \(2,\) do not fit 3 times"),
        (lambda k, y: kernel_evolution(k, [0, 1, 2], np.arange(3.0), members=[0]), "1 members are named"),
        (lambda k, y: fit_power_law([8], np.ones((1, 3))), "needs two widths"),
        (lambda k, y: fit_power_law([8, 16], np.zeros((2, 3))), "6 values are not positive"),
    ],
)
def test_what_does_not_fit_is_refused(kernels, targets, make, message):
    with pytest.raises(ValueError, match=message):
        make(kernels, targets)


def test_power_laws_are_found():
    widths = np.array([8, 16, 32, 64])
    exact = fit_power_law(widths, np.tile(3 / widths[:, None], 5))
    np.testing.assert_allclose((exact.exponent, exact.factor, *exact.interval), (-1, 3, -1, -1), rtol=1e-12)
    np.testing.assert_allclose(exact.at(np.array([10])), 0.3, rtol=1e-12)


def test_intervals_of_few_members_are_open():
    values = np.array([8.0, 16.0])[:, None] ** -1 * np.exp(0.1 * np.random.default_rng(0).standard_normal((2, 5)))
    assert None not in fit_power_law([8, 16], values).interval
    assert fit_power_law([8, 16], values[:, :4]).interval == (None, None)


def test_the_interval_holds_the_exponent_as_often_as_it_says():
    """Of 100 noisy ensembles of 20 members; resampling is a little too sure of itself for so few."""
    widths, rng, inside = [8, 32, 128], np.random.default_rng(0), 0
    for _ in range(100):
        values = np.array(widths)[:, None] ** -0.5 * np.exp(0.3 * rng.standard_normal((3, 20)))
        low, high = fit_power_law(widths, values, draws=200).interval
        inside += low < -0.5 < high
    assert 85 <= inside <= 99


def test_any_function_and_its_parameters_will_do():
    """A linear function of its weights has the same kernel whatever they are; a square has not."""

    x = jnp.array([[1.0, 2.0], [0.5, -1.0]])
    path = jnp.array([[[1.0, 2.0], [3.0, 1.0]], [[4.0, 4.0], [6.0, 2.0]]])  # of two members, at two times
    for apply, expected in ((lambda w, x: (x @ w)[:, None], 0), (lambda w, x: 0.5 * (x**2 @ w**2)[:, None], None)):
        kernels = np.array([empirical_ntk(apply, weights, x) for weights in path])
        if expected is not None:
            np.testing.assert_array_equal(drift(kernels), 0)
        else:
            np.testing.assert_allclose(drift(kernels)[1, 1], 3, rtol=1e-6)  # all weights doubled: Θ quadruples
