"""How right float32 kernels are, and what is made of the digits that they do not have."""

import warnings

import jax
import numpy as np
import pytest

from tests.support.networks import C4, partly_slow
from widesym.analysis import analytic_kernel
from widesym.analysis.dynamics import Flow, decompose, predict
from widesym.analysis.dynamics.regression import kernel_regression
from widesym.analysis.dynamics.ridge import choose_ridge
from widesym.analysis.gram import measure_quality
from widesym.analysis.kernels.accuracy import UnresolvedWarning, entry_error, kernel_error
from widesym.models import (
    Abs,
    Architecture,
    Conv,
    Dense,
    Erf,
    Flatten,
    Gelu,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    LayerNorm,
    LeakyRelu,
    LiftingConv,
    Relu,
    Residual,
    Sin,
)

HE = {"w_std": 2**0.5}
PROMISED = 1e-6  # of √(Θ(x,x) Θ(x',x')) in float32, docs/kernels.md


def mlp(activation, b_std=0.0):
    dense = Dense(1, b_std=b_std, **HE)
    return Architecture((dense, activation, dense, activation, dense))


def test_parallel_inputs_of_a_homogeneous_network():
    """Without biases f(ax) = a f(x): Θ(x, ax) is the geometric mean of Θ(x, x) and Θ(ax, ax), and so is K."""
    x = np.array([[1, 2, 3], [2, 4, 6], [0.25, 0.5, 0.75]], np.float32)  # exact multiples
    for activation in (Relu(), Abs(), LeakyRelu(0.3)):
        for values in analytic_kernel(mlp(activation))(x):
            diagonal = np.float64(np.diag(values))
            np.testing.assert_allclose(values, np.sqrt(np.outer(diagonal, diagonal)), rtol=5e-7)  # a few roundings


def nearly_parallel(shape):
    """An input, multiples of it (one negative), and others beside it, at angles of 1e-1 to 1e-6 and about π − 1e-3."""
    rng = np.random.default_rng(0)
    x, others = rng.standard_normal(shape), rng.standard_normal((5, *shape))
    if len(shape) == 3:  # a black border, and a flat half
        x[:2], x[2:4] = 0, 0.7
    beside = [x + size * other for size, other in zip((1e-1, 1e-2, 1e-3, 1e-4, 1e-6), others, strict=True)]
    return np.float32([x, 1.1 * x, -0.9 * x, *beside, -1.2 * beside[2]])


LAG_NETWORKS = {
    "Relu": ((3,), mlp(Relu())),
    "Relu, bias": ((3,), mlp(Relu(), 0.3)),
    "Abs": ((3,), mlp(Abs())),
    "LeakyRelu": ((3,), mlp(LeakyRelu(0.3), 0.1)),
    "Erf": ((3,), mlp(Erf(), 0.1)),
    "Gelu": ((3,), mlp(Gelu())),
    "Sin": ((3,), mlp(Sin(1.5))),
    "many channels": ((40,), mlp(Relu(), 0.1)),
    "CNN, flattened, MLP": (
        (6, 6, 2),
        Architecture((Conv(1, 3, **HE), Relu(), Conv(1, 3, stride=2, **HE), Relu(), Flatten(), *mlp(Relu()).layers)),
    ),
    "CNN, residual, pooled": (
        (6, 5, 2),
        Architecture(
            (
                *(Conv(2, 3, "CIRCULAR", b_std=0.1, **HE), Residual((LayerNorm(), Relu(), Conv(2, 3, **HE)))),
                *(Relu(), Conv(1, 2, "VALID"), Abs(), GlobalAvgPool(), Dense(1)),
            )
        ),
    ),
    "C4, one channel": (
        (5, 5, 1),
        Architecture((LiftingConv(C4, 1, 3, **HE), Relu(), GroupConv(C4, 1, 3, **HE), Relu(), GroupPool(), Dense(1))),
    ),
}


@pytest.mark.parametrize("name", partly_slow(LAG_NETWORKS, "CNN, residual, pooled"))
def test_nearly_parallel_inputs_are_right_to_rounding(name):
    """Against the same in float64, where an angle is off by √ε = 1e-8 at most."""
    shape, architecture = LAG_NETWORKS[name]
    x = nearly_parallel(shape)
    found = analytic_kernel(architecture)(x)
    with jax.enable_x64(True):
        exact = analytic_kernel(architecture)(np.float64(x))
    for values, expected in zip(np.float64(found), np.asarray(exact), strict=True):
        scale = np.sqrt(np.diag(expected))
        assert np.max(np.abs(values - expected) / np.outer(scale, scale)) < PROMISED
    assert kernel_error(architecture, shape, np.dtype("f")) == entry_error(np.float32(0)) < 2 * PROMISED


@pytest.mark.parametrize(
    ("shape", "layers"),
    [
        ((4, 4, 1), (Conv(1, 3, **HE), Relu(), GlobalAvgPool(), Dense(1, b_std=0.1), Relu(), Dense(1))),
        ((3,), (Dense(1), Erf(), Dense(1, **HE), Relu(), Dense(1))),
    ],
    ids=["after a pool", "after a smooth activation"],
)
def test_angles_that_are_lost_are_known_to_be(shape, layers):
    """Within the estimate, √ε, but not within what is promised elsewhere."""
    architecture, x = Architecture(layers), nearly_parallel(shape)
    found = analytic_kernel(architecture)(x).ntk
    with jax.enable_x64(True):
        exact = np.asarray(analytic_kernel(architecture)(np.float64(x)).ntk)
    scale = np.sqrt(np.diag(exact))
    error = kernel_error(architecture, shape, np.dtype("f"))
    assert error == pytest.approx(3.45e-4, rel=1e-3)
    assert 2 * PROMISED < np.max(np.abs(found - exact) / np.outer(scale, scale)) < error


# What is solved with them


def line(count, end=1.0):
    """Points on a line, as (x, 1)."""
    x = np.linspace(-end, end, count, dtype=np.float32)
    return np.stack([x, np.ones_like(x)], axis=1)


def kernels(architecture, dtype):
    x, test = (of.astype(dtype) for of in (line(60), line(41, 0.95)))
    with jax.enable_x64(dtype == np.float64):
        kernel = analytic_kernel(architecture)
        return kernel(x), kernel(test, x), np.asarray(kernel.diagonal(test).nngp)


@pytest.fixture(scope="module", params=[Relu(), Erf()], ids=str)
def on_a_line(request):
    return [kernels(mlp(request.param, 0.1), dtype) for dtype in (np.float32, np.float64)]


@pytest.mark.parametrize("frequency", [1.0, 20.0, 80.0])
def test_smooth_data_end_right_or_with_a_warning(on_a_line, frequency):
    """t → ∞ in float32 against a solve in float64 with the eigenvalues that float64 resolves."""
    single, (train, cross, _) = on_a_line
    y = np.sin(frequency * line(60)[:, :1].astype(np.float64)) + 0.2
    expected = np.asarray(cross.ntk) @ np.linalg.lstsq(np.asarray(train.ntk), y, rcond=1e-13)[0]
    for solved in (
        lambda: predict(*single, y, Flow((np.inf,))).mean[0],
        lambda: kernel_regression(np.asarray(single[0].ntk), np.asarray(single[1].ntk), y).prediction.values,
    ):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            found = solved()
        error = np.sqrt(np.mean((found - expected) ** 2))
        assert error < 0.01 or any(issubclass(of.category, UnresolvedWarning) for of in told)


def test_eigenvalues_are_off_by_no_more_than_is_estimated(on_a_line):
    """And what is taken for zero is no more than a hundred times what is wrong."""
    (single, *_), (exact, *_) = on_a_line
    off = np.linalg.norm(np.float64(single.ntk) - np.asarray(exact.ntk), 2)
    null = decompose(single).null
    assert off < null < 100 * off
    ridge = choose_ridge(np.asarray(single.ntk))
    assert ridge.smallest + ridge.value > 0.99 * null
    quality = measure_quality(np.asarray(single.ntk))
    assert quality.is_positive
    assert quality.tolerance * quality.largest == pytest.approx(null, rel=1e-9)


def test_targets_beyond_the_precision_are_warned_of():
    """An alternating target lies along the smallest eigenvalues of a smooth kernel."""
    single = kernels(mlp(Erf(), 0.1), np.float32)
    with pytest.warns(UnresolvedWarning, match="compute the kernels in float64, stop earlier, or add a ridge"):
        predict(*single, np.tile([[1.0], [-1.0]], (30, 1)), Flow((np.inf,)))
