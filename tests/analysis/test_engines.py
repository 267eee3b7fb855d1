"""The engines against one another: lags, functions on SO(3) and full covariances are forms of one recursion."""

import jax
import numpy as np
import pytest

from tests.support.networks import COMPOSITES, MIXING, NETWORKS, SPHERES, STDS, inputs, partly_slow
from widesym.analysis import analytic_kernel
from widesym.analysis.kernels import engines
from widesym.analysis.kernels.full import FullEngine
from widesym.analysis.kernels.lags import LagEngine
from widesym.analysis.kernels.spherical import SphericalEngine
from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    LiftingConv,
    Relu,
    SO3Conv,
    SO3Pool,
    SphereLifting,
    cyclic,
    zoo,
)
from widesym.models.spherical.harmonics import rotate_sphere

# Θ of an input with itself rounds by the square root of K's rounding (test_analytic_kernel.py); in float64, 1e-8.
ROUNDING = {"rtol": 1e-7, "atol": 1e-10}


def kernels(engine, x):
    with jax.enable_x64(True):
        return np.stack(engines.gram_by_engine(engine, np.float64(x), np.float64(x)))


def test_engines_are_chosen_by_what_stays_apart():
    for cases, kind in [(NETWORKS, LagEngine), (MIXING, FullEngine)]:
        for shape, layers in cases.values():
            assert isinstance(engines.choose_engine(Architecture(layers), shape), kind)
    shape, layers = SPHERES["sphere"]
    assert isinstance(engines.choose_engine(Architecture(layers), shape), SphericalEngine)
    planar = Architecture((Conv(2, 3), Relu(), *layers))  # on the grid of a sphere, but not equivariant there
    assert isinstance(engines.choose_engine(planar, shape), FullEngine)
    c8 = Architecture((LiftingConv(cyclic(8), 2, 3), Flatten(), Dense(1)))
    assert isinstance(engines.choose_engine(c8, (4, 4, 1)), FullEngine)


@pytest.mark.parametrize(
    "name",
    [
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("residual, normalised", "D4, VALID, pooled")),
        *("D2, CIRCULAR, flattened", "MLP"),
    ],
)
@pytest.mark.parametrize("independent", [False, True])
def test_lags_are_full_covariances(name, independent):
    shape, layers = NETWORKS[name]
    architecture = Architecture((*layers, Relu()))  # a nonlinearity at the end: independent networks have K left
    lags, full = (kernels(kind(architecture, shape, independent), inputs(shape)) for kind in (LagEngine, FullEngine))
    np.testing.assert_allclose(lags, full, **ROUNDING)
    assert np.all(full[0] > 0.01)
    assert np.any(full[1]) != independent


@pytest.mark.parametrize("name", [pytest.param("sphere, on the group", marks=pytest.mark.slow), "sphere, flattened"])
def test_spherical_recursion_is_that_of_full_covariances(name):
    """Up to aliasing, on both sides, of nonlinearities on a grid of finite oversampling; L = 2 has most of it."""
    shape, layers = SPHERES[name]
    spherical, full = (
        kernels(kind(Architecture(layers), shape), inputs(shape)) for kind in (SphericalEngine, FullEngine)
    )
    np.testing.assert_allclose(spherical, full, rtol=1e-2)


@pytest.mark.slow
def test_aliasing_falls_with_oversampling():
    gaps = []
    for oversampling in (1, 2):
        layers = (
            *(SphereLifting(2, 2, 2, oversampling=oversampling), Relu()),
            *(SO3Conv(2, 2, 2, oversampling=oversampling, **STDS), Relu(), SO3Pool(), Dense(1)),
        )
        engine = SphericalEngine(Architecture(layers), (4, 3, 2))
        full = FullEngine(Architecture(layers), (4, 3, 2))
        x = inputs((4, 3, 2))
        gaps.append(np.max(np.abs(kernels(engine, x) / kernels(full, x) - 1)))
    assert gaps[0] < 0.1
    assert gaps[1] < gaps[0] / 5


@pytest.mark.slow
def test_linear_spherical_networks_have_no_aliasing():
    layers = (SphereLifting(2, 3, 3, **STDS), SO3Conv(2, 3, 2, **STDS), Flatten(), Dense(1))
    spherical, full = (
        kernels(kind(Architecture(layers), (6, 5, 2)), inputs((6, 5, 2))) for kind in (SphericalEngine, FullEngine)
    )
    np.testing.assert_allclose(spherical, full, **ROUNDING)


def test_pooled_spherical_kernel_is_invariant():
    """Of band-limited inputs under any rotation; aliasing is that of Relu's dual on the kernel's grid.

    In float32 Θ has the root of what rounding makes of the cosine between an input and its turn: some 1e-5 of the mean.
    """
    architecture, shape = zoo.spherical_cnn(2, bandlimits=(4, 3)), (8, 7, 2)
    x = np.moveaxis(inputs(shape), (0, -1), (-1, 0))
    x, turned = (
        np.moveaxis(rotate_sphere(x, angles), (0, -1), (-1, 0)) for angles in [(0.0, 0.0, 0.0), (0.5, 1.0, -2.0)]
    )
    kernel = analytic_kernel(architecture)
    first, second = np.stack(kernel(x)), np.stack(kernel(x, turned))
    np.testing.assert_allclose(first, second, rtol=5e-5)
    unpooled = analytic_kernel(Architecture((*architecture.layers[:-2], Flatten(), Dense(1))))
    assert np.max(np.abs(np.stack(unpooled(x)) / np.stack(unpooled(x, turned)) - 1)) > 0.05


@pytest.mark.parametrize(
    ("L", "inner"),
    [pytest.param(*limits, marks=pytest.mark.slow) for limits in ((3, 3), (4, 3), (6, 6))] + [(8, 4)],
)
def test_pooled_spherical_kernel_is_invariant_at_every_bandlimit(L, inner):
    """Between different inputs, and between an input and its own turn, where Θ has a cusp."""
    layers = (SphereLifting(2, L, inner, **STDS), Relu(), SO3Conv(2, inner, inner, **STDS), Relu(), SO3Pool(), Dense(1))
    engine = SphericalEngine(Architecture(layers), (2 * L, 2 * L - 1, 2))
    rng = np.random.default_rng(L)
    signals = rng.standard_normal((2, 2 * L, 2 * L - 1, 2))
    with jax.enable_x64(True):
        x = [rotate_sphere(signals, angles) for angles in [(0.0, 0.0, 0.0), tuple(rng.uniform(0, np.pi, 3))]]
        kernel = np.stack(engines.gram_by_engine(engine, np.moveaxis(np.concatenate(x, -1), (0, -1), (-1, 0)), None))
    np.testing.assert_allclose(kernel[:, 2:, :2], kernel[:, :2, :2], rtol=1e-5)


@pytest.mark.parametrize(
    "name",
    partly_slow([*COMPOSITES, *SPHERES, "conv before lifting", "strides, SAME"], "C8 filters", "sphere, on the group"),
)
def test_diagonal_is_that_of_the_kernel(name):
    shape, layers = {**COMPOSITES, **SPHERES, **MIXING, **NETWORKS}[name]
    kernel, x = analytic_kernel(Architecture(layers)), inputs(shape)
    found, expected = kernel.diagonal(x), kernel(x)
    np.testing.assert_allclose(found.nngp, np.diag(expected.nngp), rtol=3e-6)
    np.testing.assert_allclose(found.ntk, np.diag(expected.ntk), rtol=5e-4)
