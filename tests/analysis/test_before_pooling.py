"""Kernels between group elements and pixels, before pooling."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from widesym.analysis import analytic_kernel
from widesym.models import (
    Architecture,
    AtomSum,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    GroupConv,
    GroupPool,
    InvariantScalars,
    LiftingConv,
    Relu,
    cyclic,
    dihedral,
)

C4, HE = cyclic(4), {"features": 2, "size": 3, "w_std": 2**0.5, "b_std": 0.3}
ROUNDING = {"rtol": 2e-4, "atol": 1e-6}  # float32: Θ where a point meets itself; sums in another order


def images(samples, side=4, seed=0):
    return np.random.default_rng(seed).standard_normal((samples, side, side, 2)).astype("f")


@pytest.mark.parametrize("group", [cyclic(2), pytest.param(dihedral(1), marks=pytest.mark.slow)], ids=str)
def test_their_mean_is_the_pooled_kernel(group):
    """An affine head after the pool: K = σ_w² mean + σ_b², Θ likewise with K added (theory.md §2)."""
    layers = (
        LiftingConv(group, **HE),
        Relu(),
        GroupConv(group, **HE),
        Relu(),
        GroupPool(),
        Dense(1, w_std=1.5, b_std=0.2),
    )
    kernel, x1, x2 = analytic_kernel(Architecture(layers)), images(2, 3), images(3, 3, seed=1)
    points, pooled = kernel.before_pooling(x1, x2), kernel(x1, x2)
    assert points.nngp.shape == points.ntk.shape == (2, 3, 2, 3, 3, 2, 3, 3)
    nngp, ntk = (k.reshape(2, 3, 18, 18).mean((2, 3)) for k in map(np.asarray, points))
    assert_allclose(1.5**2 * nngp + 0.04, pooled.nngp, **ROUNDING)
    assert_allclose(1.5**2 * (nngp + ntk) + 0.04, pooled.ntk, **ROUNDING)


def test_between_group_elements_it_is_the_cnn_of_rotated_images():
    """Element r of f sees f turned back: it is K_CNN(ρ_r⁻¹ f, ρ_r'⁻¹ f') with both pixel grids turned back."""
    lifted = Architecture((LiftingConv(C4, **HE), GroupPool(), Dense(1)))
    plain = Architecture((Conv(**HE), GlobalAvgPool(), Dense(1)))
    x = images(2)
    found = np.asarray(analytic_kernel(lifted).before_pooling(x).nngp)
    assert found.shape == (2, 2, 4, 4, 4, 4, 4, 4)
    for r, s in ((0, 0), (1, 0), (1, 3), (2, 1)):
        turned = [np.asarray(C4.rotate_images(x, C4.inverse(q))) for q in (r, s)]
        cnn = np.asarray(analytic_kernel(plain).before_pooling(*turned).nngp)
        # Both pixel grids back to where the group-CNN has them: an image of one channel is turned for each pair.
        there = cnn.reshape(4, 4, 4, 16).transpose(0, 3, 1, 2).reshape(-1, 4, 4, 1)
        there = np.asarray(C4.rotate_images(there, r)).reshape(4, 16, 4, 4).transpose(0, 2, 3, 1)
        there = there.reshape(4, 16, 4, 4).reshape(-1, 4, 4, 1)
        there = np.asarray(C4.rotate_images(there, s)).reshape(2, 2, 4, 4, 4, 4)
        assert_allclose(found[:, :, r, :, :, s], there, rtol=1e-5, atol=1e-6)


def test_flatten_reads_its_diagonal():
    layers = (Conv(2, 3, "VALID", w_std=1.2), Relu(), Conv(2, 1, b_std=0.1), Flatten(), Dense(1))
    kernel, x = analytic_kernel(Architecture(layers)), images(3)
    points = np.asarray(kernel.before_pooling(x).nngp).reshape(3, 3, 4, 4)
    assert_allclose(np.diagonal(points, axis1=2, axis2=3).mean(-1), kernel(x).nngp, **ROUNDING)


@pytest.mark.parametrize(
    ("layers", "x", "message"),
    [
        ((Dense(1),), np.ones((2, 3)), "inputs are vectors"),
        ((InvariantScalars(), Dense(1)), np.ones((2, 4, 3)), "InvariantScalars acts on the input"),
        (
            (AtomSum((Flatten(), Dense(2)), shared=False), Dense(1)),
            np.ones((2, 3, 4, 4, 1)),
            "AtomSum acts on the input",
        ),
    ],
)
def test_networks_without_points_are_refused(layers, x, message):
    with pytest.raises(ValueError, match=f"there are no points before pooling: {message}"):
        analytic_kernel(Architecture(layers)).before_pooling(x)


def test_kernels_that_overflow_are_refused():
    layers = (Conv(2, 3), Relu(), Conv(2, 1), Flatten(), Dense(1))
    x = images(2) * np.array([1, 1e25], "f")[:, None, None, None]
    with pytest.raises(
        ValueError, match=r"kernels of \d pairs are not finite, the first between inputs 0 and 1|1 and 1"
    ):
        analytic_kernel(Architecture(layers)).before_pooling(x)
