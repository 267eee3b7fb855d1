"""What the theory says of the kernels as a whole (theory.md §3-4; theorems 5-7 of arXiv:2406.06504)."""

from functools import cache, partial

import numpy as np
import pytest

from tests.support.networks import C2, C4, LOGITS, NETWORKS, STDS, inputs
from widesym.analysis import analytic_kernel
from widesym.analysis.kernels import orbit_kernel
from widesym.models import Architecture, Conv, Dense, Flatten, GroupConv, GroupPool, LiftingConv, Relu, dihedral

# Between inputs unlike at every pixel float32 rounds K and Θ by 1e-7 per layer; Θ between nearly equal signals by
# √1e-7 (test_analytic_kernel.py).
assert_equal = partial(np.testing.assert_allclose, rtol=1e-5)
OF_EQUAL_SIGNALS = 5e-4


def kernels(layers, x1, x2=None):
    return np.stack(analytic_kernel(Architecture(layers))(x1, x2))


@cache
def noise_and_smooth(name):
    """Two batches of inputs for a network."""
    shape, _ = NETWORKS[name]
    return inputs(shape), inputs(shape, smooth=True)


@pytest.mark.parametrize(
    ("name", "mate"), [("C4, CIRCULAR, pooled", "CNN, CIRCULAR, pooled"), ("C2, VALID, pooled", "CNN, VALID, pooled")]
)
def test_pooled_gcnn_is_the_group_average_of_the_cnn(name, mate):
    """K_GCNN(f, f') = (1/|R|) Σ_q K_CNN(f, ρ_q f'): also at Θ, as the head is linear."""
    gcnn, cnn = NETWORKS[name][1], NETWORKS[mate][1]
    x1, x2 = noise_and_smooth(name)
    group = gcnn[0].group
    by_element = np.stack([kernels(cnn, x1, group.rotate_images(x2, q)) for q in group.elements])
    assert_equal(kernels(gcnn, x1, x2), by_element.mean(0))
    # The terms differ by far more than the tolerance: the average is not any one of them.
    assert np.max(np.ptp(by_element, axis=0) / by_element.mean(0)) > 1e-3


def test_global_filters_give_the_group_average_of_the_mlp():
    """A filter as large as the image leaves one pixel: the layers after it are dense ones on the group."""
    dense = Dense(8, **STDS)
    mlp = (Flatten(), dense, Relu(), dense, Relu(), LOGITS)
    lift, conv = LiftingConv(C4, 8, 3, "VALID", **STDS), GroupConv(C4, 8, 1, "VALID", **STDS)
    x1, x2 = noise_and_smooth("C4, SAME, pooled")
    average = np.mean([kernels(mlp, x1, C4.rotate_images(x2, q)) for q in C4.elements], axis=0)
    assert_equal(kernels((lift, Relu(), conv, Relu(), GroupPool(), LOGITS), x1, x2), average)


@pytest.mark.parametrize("name", ["C4, SAME, pooled", "C4, VALID, pixels pooled, MLP, pooled"])
def test_pooled_kernel_is_invariant_in_each_argument(name):
    layers, (x1, x2) = NETWORKS[name][1], noise_and_smooth(name)
    expected = kernels(layers, x1, x2)
    for q in range(1, 4):
        assert_equal(kernels(layers, x1, C4.rotate_images(x2, q)), expected)
    assert_equal(kernels(layers, C4.rotate_images(x1, 1), x2), expected)


def test_flattened_kernel_is_not_invariant():
    layers, (x1, x2) = NETWORKS["C4, VALID, flattened"][1], noise_and_smooth("C4, VALID, flattened")
    change = np.abs(kernels(layers, x1, C4.rotate_images(x2, 1)) / kernels(layers, x1, x2) - 1)
    assert np.all(change.max(axis=(1, 2)) > 0.01)


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "MLP"])
def test_kernel_is_symmetric_and_positive(name):
    """On noise and smooth images together; a pair's two orders are different computations (lag and reversed lag)."""
    layers, (x1, x2) = NETWORKS[name][1], noise_and_smooth(name)
    for within1, across, back, within2 in zip(
        kernels(layers, x1), kernels(layers, x1, x2), kernels(layers, x2, x1), kernels(layers, x2), strict=True
    ):
        assert_equal(back, across.T)
        eigenvalues = np.linalg.eigvalsh(np.float64(np.block([[within1, across], [across.T, within2]])))
        assert eigenvalues[0] > -1e-5 * eigenvalues[-1]


@pytest.mark.parametrize(
    ("name", "group"), [("CNN, CIRCULAR, pooled", C4), ("C4, VALID, flattened", C4), ("C2, VALID, pooled", C2)]
)
def test_orbit_kernel_is_the_kernel_of_the_orbit(name, group):
    layers, (x, _) = NETWORKS[name][1], noise_and_smooth(name)
    rotated = [group.rotate_images(x, q) for q in group.elements]
    expected = np.block([[kernels(layers, a, b) for b in rotated] for a in rotated])
    found = np.stack(orbit_kernel(analytic_kernel(Architecture(layers)), group, x))
    assert_equal(found, expected, rtol=OF_EQUAL_SIGNALS)


MOVED = [
    (C4, Conv(2, 2)),  # an even filter, off the pixel's centre
    (C4, Conv(2, 3, stride=2)),  # places off the centre of the grid
    (C4, LiftingConv(dihedral(1), 2, 3)),  # a group that rotations move
]


@pytest.mark.parametrize(("group", "layer"), MOVED, ids=str)
def test_orbit_kernel_of_networks_that_the_group_moves(group, layer):
    """There K(ρ_p x, ρ_q x') ≠ K(x, ρ_{p⁻¹q} x'), and the kernel of the whole orbit is computed."""
    layers = (layer, Relu(), GroupPool() if isinstance(layer, LiftingConv) else Flatten(), LOGITS)
    x = inputs((4, 4, 1))
    kernel = analytic_kernel(Architecture(layers))
    found = orbit_kernel(kernel, group, x).ntk.reshape(4, 3, 4, 3)
    assert_equal(found[1, :, 2], kernel(group.rotate_images(x, 1), group.rotate_images(x, 2)).ntk)
    block = kernel(x, group.rotate_images(x, 1)).ntk
    assert np.max(np.abs(found[1, :, 2] - block)) > 1e-3 * np.max(np.abs(block))
