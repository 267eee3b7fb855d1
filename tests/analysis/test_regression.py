"""Kernel regression against scikit-learn and dense solves, subset by subset (theory.md §4)."""

import numpy as np
import pytest
import scipy.linalg
import xarray as xr
from sklearn.kernel_ridge import KernelRidge

from widesym.analysis import analytic_kernel
from widesym.analysis.dynamics import Descent, largest_eigenvalue, predict
from widesym.analysis.dynamics.regression import (
    NestedSubsets,
    accuracy_by_size,
    kernel_regression,
    mean_absolute_error_by_size,
)
from widesym.analysis.dynamics.ridge import choose_ridge
from widesym.analysis.kernels import Kernel, orbit_kernel
from widesym.analysis.kernels.group_circulant import invariant_block, on_orbit
from widesym.analysis.kernels.orbits import orbit_blocks
from widesym.ensembles.data.dataset import Quantity
from widesym.models import Architecture, Conv, Dense, GlobalAvgPool, Relu, cyclic

TRAIN, TEST, CLASSES = 40, 12, 3
# Solves in float64 at condition numbers up to 2e5, of numbers up to 100.
SOLVED = {"rtol": 1e-8, "atol": 1e-8}
SUBSETS = NestedSubsets((4, 9, 25, 40), draws=3, seed=5)
ENERGY = (Quantity("energy", "meV"), Quantity("gap", "eV"))


def problem(seed=0):
    """A kernel exp(−|x − x'|²/4) in three dimensions, labels that depend on x, and two smooth values."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((TRAIN + TEST, 3))
    kernel = np.exp(-((x[:, None] - x) ** 2).sum(-1) / 4)
    labels = np.digitize(x[:, 0] + 0.3 * x[:, 1], [-0.4, 0.4])
    values = np.stack([100 + 10 * np.sin(x[:, 0]), x[:, 1] - 3], axis=1)
    return kernel[:TRAIN, :TRAIN], kernel[TRAIN:, :TRAIN], labels, values


def by_sklearn(train, cross, targets, ridge):
    return KernelRidge(alpha=ridge, kernel="precomputed").fit(train, targets).predict(cross)


@pytest.mark.parametrize("largest", [30.0, 1e3], ids=["30", "1e3"])
def test_regression_is_kernel_ridge(largest):
    train, cross, _, values = problem()
    found = kernel_regression(train, cross, values[:TRAIN], largest)
    mean = values[:TRAIN].mean(0)
    expected = by_sklearn(train, cross, values[:TRAIN] - mean, found.attrs["ridge"]) + mean
    np.testing.assert_allclose(found.prediction.values, expected, **SOLVED)
    assert found.attrs["ridge"] > 0
    with_ridge = train + found.attrs["ridge"] * np.eye(TRAIN)
    # Eigenvalues to 1e-15 of the largest: the smallest, and so the condition number, to 1e-9.
    np.testing.assert_allclose(np.linalg.cond(with_ridge), largest, rtol=1e-6)
    np.testing.assert_allclose(found.attrs["condition_number"], largest, rtol=1e-6)


def test_a_ridge_that_is_given():
    train, cross, _, values = problem()
    found = kernel_regression(train, cross, values[:TRAIN], ridge=0.3)
    mean = values[:TRAIN].mean(0)
    np.testing.assert_allclose(
        found.prediction.values, by_sklearn(train, cross, values[:TRAIN] - mean, 0.3) + mean, **SOLVED
    )
    assert found.attrs["ridge"] == 0.3
    np.testing.assert_allclose(found.attrs["condition_number"], np.linalg.cond(train + 0.3 * np.eye(TRAIN)), rtol=1e-6)


def test_no_ridge_where_none_is_needed():
    kernel = np.diag([1.0, 2.0, 4.0])
    found = choose_ridge(kernel, 4.5)
    assert found == (0.0, 4.0, 4.0, 1.0)
    np.testing.assert_allclose(choose_ridge(kernel, 3).value, 0.5, rtol=1e-12)  # (4 + ½)/(1 + ½) = 3
    # What rounding has made negative becomes positive: (1 + r)/(−0.1 + r) = 12.
    np.testing.assert_allclose(choose_ridge(np.diag([1.0, -0.1]), 12).value, 0.2, rtol=1e-12)


def test_the_ridge_follows_the_precision():
    kernel = np.diag([1.0, 1e-9])
    assert choose_ridge(kernel).value == 0
    np.testing.assert_allclose(choose_ridge(kernel.astype(np.float32)).condition_number, 741455, rtol=1e-5)


def test_training_targets_are_reached_without_ridge():
    """Interpolation, at the condition number 2e5 of this kernel."""
    train, _, _, values = problem()
    found = kernel_regression(train, train, values[:TRAIN], 1e12)
    assert found.attrs["ridge"] == 0
    np.testing.assert_allclose(found.prediction.values, values[:TRAIN], rtol=1e-7)


def test_it_is_where_descent_ends():
    """t → ∞ of the dynamics, without ridge; targets centred, as the dynamics starts from a mean of zero."""
    train, cross, _, values = problem()
    train = train + 0.3 * np.eye(TRAIN)  # descent along λ = 0.3 ends in thousands of steps
    y = values[:TRAIN] - values[:TRAIN].mean(0)
    rate = TRAIN / largest_eigenvalue(train)
    for steps in (10**6, np.inf):
        progress = Descent(rate, (steps,))
        ended = predict(Kernel(train, train), Kernel(cross, cross), np.ones(TEST), y, progress).mean[0]
        np.testing.assert_allclose(kernel_regression(train, cross, y).prediction.values, ended, **SOLVED)


def subset(draw, size):
    return SUBSETS.orders(TRAIN)[draw][:size]


def test_accuracy_of_every_subset():
    train, cross, labels, _ = problem()
    found = accuracy_by_size(train, cross, (labels[:TRAIN], labels[TRAIN:]), CLASSES, SUBSETS, 1e6)
    assert found.accuracy.dims == ("draw", "size")
    for draw in range(SUBSETS.draws):
        for size in SUBSETS.sizes:
            rows = subset(draw, size)
            targets = np.eye(CLASSES)[labels[rows]] - 1 / CLASSES
            outputs = by_sklearn(train[np.ix_(rows, rows)], cross[:, rows], targets, found.attrs["ridge"])
            expected = np.mean(outputs.argmax(1) == labels[TRAIN:])
            assert found.accuracy.sel(draw=draw, size=size) == expected
            part = train[np.ix_(rows, rows)] + found.attrs["ridge"] * np.eye(size)
            assert np.linalg.cond(part) <= found.attrs["condition_number"] * (1 + 1e-6)
    means = found.accuracy.mean("draw").values
    assert means[0] < means[-1]
    assert found.accuracy.sel(size=40).std() == 0  # all of the rows, whatever their order


def test_errors_of_every_subset_in_their_units():
    train, cross, _, values = problem()
    found = mean_absolute_error_by_size(train, cross, (values[:TRAIN], values[TRAIN:]), ENERGY, SUBSETS, 1e6)
    assert found.mae.dims == ("draw", "size", "quantity")
    assert found.attrs["quantities"] == ["energy", "gap"]
    assert found.attrs["units"] == ["meV", "eV"]
    for draw in range(SUBSETS.draws):
        for size in SUBSETS.sizes:
            rows = subset(draw, size)
            mean = values[rows].mean(0)
            outputs = by_sklearn(train[np.ix_(rows, rows)], cross[:, rows], values[rows] - mean, found.attrs["ridge"])
            expected = np.abs(outputs + mean - values[TRAIN:]).mean(0)
            np.testing.assert_allclose(found.mae.sel(draw=draw, size=size), expected, **SOLVED)


def test_subsets_are_nested_and_seeded():
    """Whatever sizes are asked for, and however many draws."""
    orders = SUBSETS.orders(TRAIN)
    assert orders.shape == (3, 40)
    assert all(len(set(order)) == 40 for order in orders)
    assert not np.array_equal(orders[0], orders[1])
    np.testing.assert_array_equal(NestedSubsets((4, 9), draws=5, seed=5).orders(TRAIN)[:3], orders[:, :9])
    assert not np.array_equal(NestedSubsets((4, 9), seed=6).orders(TRAIN)[0], orders[0, :9])


def test_one_factorisation_serves_all_sizes(monkeypatch):
    factored, cholesky = [], scipy.linalg.cholesky
    monkeypatch.setattr(
        scipy.linalg, "cholesky", lambda a, **options: factored.append(len(a)) or cholesky(a, **options)
    )
    train, cross, labels, _ = problem()
    accuracy_by_size(train, cross, (labels[:TRAIN], labels[TRAIN:]), CLASSES, SUBSETS)
    assert factored == [40, 40, 40]


def test_results_go_through_files(tmp_path):
    train, cross, _, values = problem()
    found = mean_absolute_error_by_size(train, cross, (values[:TRAIN], values[TRAIN:]), ENERGY, SUBSETS)
    found.to_zarr(tmp_path / "curve.zarr", zarr_format=3, consolidated=False)
    with xr.open_zarr(tmp_path / "curve.zarr", consolidated=False) as stored:
        xr.testing.assert_identical(stored.load(), found)


def test_augmented_sets_with_invariant_targets_take_the_averaged_kernel():
    """Regression on the full orbit by n × n kernels summed over the group: the ridge is the same, |G| fewer rows."""
    group = cyclic(4)
    kernel = analytic_kernel(Architecture((Conv(2, 3), Relu(), GlobalAvgPool(), Dense(1))))
    rng = np.random.default_rng(0)
    x, test, y = *rng.standard_normal((2, 5, 4, 4, 1)).astype(np.float32), rng.standard_normal((5, 2))
    y -= y.mean(0)
    crossed = np.float64(kernel(test, group.orbit(x)).ntk)
    small, summed = invariant_block(orbit_blocks(kernel, group, x).ntk), crossed.reshape(5, 4, 5).sum(1)
    found = kernel_regression(small, summed, y, 1e4)
    whole = np.float64(orbit_kernel(kernel, group, x).ntk) + found.attrs["ridge"] * np.eye(20)
    expected = crossed @ np.linalg.solve(whole, on_orbit(group, y))
    np.testing.assert_allclose(found.prediction.values, expected, **SOLVED)


train_, cross_, labels_, values_ = problem()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: NestedSubsets((5, 3)), r"sizes are \[5, 3\]; they must be ascending"),
        (lambda: NestedSubsets((0, 3)), "must be ascending, distinct and positive"),
        (lambda: NestedSubsets((3,), draws=0), "draws is 0"),
        (lambda: NestedSubsets((41,)).orders(40), "the largest of sizes is 41, but there are 40 training inputs"),
        (lambda: choose_ridge(train_, 1.0), r"largest_condition is 1\.0; condition numbers exceed 1"),
        (
            lambda: kernel_regression(train_, cross_, values_[:TRAIN], 9.0, 0.1),
            "ridge is 0.1 and largest_condition 9.0",
        ),
        (
            lambda: kernel_regression(train_, cross_, values_[:TRAIN], ridge=-1.0),
            r"ridge is -1\.0; it must be a finite",
        ),
        (
            lambda: kernel_regression(train_ - 0.01 * np.eye(TRAIN), cross_, values_[:TRAIN], ridge=0.0),
            "eigenvalue is -",
        ),
        (lambda: choose_ridge(-train_), "the largest eigenvalue of the kernel is -"),
        (
            lambda: kernel_regression(train_, cross_[:, 1:], values_[:TRAIN]),
            r"\(12, 39\) \(test with training inputs\)",
        ),
        (lambda: choose_ridge(train_, np.inf), "largest_condition is inf; .* must be finite"),
        (lambda: kernel_regression(train_[:0, :0], cross_[:, :0], values_[:0]), "with n and m above 0"),
        (lambda: kernel_regression(train_, cross_[:0], values_[:TRAIN]), "with n and m above 0"),
        (lambda: kernel_regression(train_, cross_, values_[:TRAIN] * np.nan), r"\(40, 2\), of which 80 are not finite"),
        (lambda: kernel_regression(train_, cross_, values_[:TRAIN, 0]), r"targets have shape \(40,\), of which 0 are"),
        (lambda: kernel_regression(train_, cross_, values_), "for 52 training targets; they must be"),
        (lambda: kernel_regression(train_, cross_ * np.nan, values_[:TRAIN]), "480 entries of the kernels are not fin"),
        (
            lambda: accuracy_by_size(train_, cross_, (labels_[:TRAIN], labels_[TRAIN:]), 2, SUBSETS),
            "training labels have shape .* run from 0 to 2; 40 between 0 and 1 are needed",
        ),
        (
            lambda: mean_absolute_error_by_size(
                train_, cross_, (values_[:TRAIN], values_[TRAIN:]), ENERGY[:1], SUBSETS
            ),
            r"training values have shape \(40, 2\); \(40, 1\) finite numbers are needed",
        ),
    ],
    ids=[
        "descending",
        "zero",
        "draws",
        "more than there are",
        "condition",
        "ridge and condition",
        "negative ridge",
        "no inverse",
        "negative",
        "cross",
        "no bound",
        "no training inputs",
        "no test inputs",
        "targets not finite",
        "targets in one row",
        "targets",
        "nan",
        "labels",
        "quantities",
    ],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
