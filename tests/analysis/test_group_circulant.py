"""Group-circulant matrices against the same matrices whole, in NumPy (theory.md §4)."""

import numpy as np
import pytest

from tests.support.networks import C4, LOGITS, NETWORKS, inputs
from widesym.analysis import analytic_kernel
from widesym.analysis.dynamics import Descent, Flow, covariance, largest_eigenvalue, largest_learning_rate, predict
from widesym.analysis.kernels import GroupCirculant, Kernel, OrbitKernel, orbit_blocks, orbit_kernel
from widesym.analysis.kernels.group_circulant import eigenvalues, invariant_block, multiply, on_orbit, solve
from widesym.analysis.kernels.irreps import from_sectors, irreps, to_sectors
from widesym.models import Architecture, Conv, Flatten, Relu, cyclic, dihedral

GROUPS = [cyclic(1), cyclic(2), cyclic(3), cyclic(4), cyclic(7), cyclic(8), *map(dihedral, (1, 2, 3, 4, 6))]
# Sums of at most a hundred float64 terms of order one, and solves at condition numbers below 100.
FLOAT64 = {"rtol": 1e-11, "atol": 1e-11}
COUNT = 5


def gram_blocks(group, seed=0):
    """Blocks of a positive kernel on orbits: B[g] = Σ_p J(p)ᵀ J(pg) for features J(p) = J R(p) of one random J."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((group.order, 2 * COUNT, COUNT)) / np.sqrt(group.order * COUNT)
    blocks = [
        sum(features[p].T @ features[group.product(p, g)] for p in group.elements) + (g == 0) * np.eye(COUNT)
        for g in group.elements
    ]
    return GroupCirculant.of_blocks(group, np.stack(blocks))


def whole(matrix):
    """Block (p, q) is blocks[p⁻¹q], one by one."""
    group = matrix.group
    return np.block(
        [[matrix.blocks[group.product(group.inverse(p), q)] for q in group.elements] for p in group.elements]
    )


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_irreps_are_unitary_homomorphisms_and_all_there_are(group):
    """σ(g)σ(h) = σ(gh), Schur's orthogonality of all matrix entries, Σ d² = |G|."""
    found = irreps(group)
    assert sum(irrep.conjugates * irrep.dimension**2 for irrep in found) == group.order
    assert (found[0].matrices == 1).all()
    entries = []
    for irrep in found:
        for g in group.elements:
            for h in group.elements:
                product = irrep.matrices[g] @ irrep.matrices[h]
                np.testing.assert_allclose(product, irrep.matrices[group.product(g, h)], **FLOAT64)
        flat = irrep.matrices.reshape(group.order, -1).T * np.sqrt(irrep.dimension / group.order)
        entries += [flat, flat.conj()][: irrep.conjugates]
    every = np.concatenate(entries)
    np.testing.assert_allclose(every @ every.conj().T, np.eye(group.order), **FLOAT64)


def test_irreps_of_c4_and_d4_are_exact():
    """Zeros and signs, without rounding."""
    for group in (cyclic(4), dihedral(4)):
        for irrep in irreps(group):
            assert set(np.abs(irrep.matrices).ravel()) <= {0.0, 1.0}


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_everything_is_as_of_the_whole_matrix(group):
    matrix, rng = gram_blocks(group), np.random.default_rng(1)
    dense, v = whole(matrix), rng.standard_normal((group.order * COUNT, 3))
    np.testing.assert_array_equal(matrix.dense(), dense)
    assert matrix.shape == dense.shape
    np.testing.assert_allclose(multiply(matrix, v), dense @ v, **FLOAT64)
    np.testing.assert_allclose(eigenvalues(matrix), np.linalg.eigvalsh(dense), **FLOAT64)
    np.testing.assert_allclose(largest_eigenvalue(matrix), np.linalg.eigvalsh(dense)[-1], **FLOAT64)
    for ridge in (0.0, 0.5):
        expected = np.linalg.solve(dense + ridge * np.eye(len(dense)), v)
        np.testing.assert_allclose(solve(matrix, v, ridge), expected, **FLOAT64)


@pytest.mark.parametrize("group", GROUPS, ids=str)
def test_sectors_keep_scalar_products_and_come_back(group):
    rng = np.random.default_rng(0)
    v, w = rng.standard_normal((2, group.order * COUNT, 3))
    parts = [to_sectors(group, of) for of in (v, w)]
    products = sum(
        irrep.conjugates * np.einsum("imc,imc->c", a.conj(), b).real
        for irrep, a, b in zip(irreps(group), *parts, strict=True)
    )
    np.testing.assert_allclose(products, np.sum(v * w, axis=0), **FLOAT64)
    np.testing.assert_allclose(from_sectors(group, parts[0]), v, **FLOAT64)


def test_cyclic_sectors_are_fourier_transforms_of_the_blocks():
    matrix = gram_blocks(cyclic(8))
    expected = np.fft.rfft(matrix.blocks, axis=0).conj()  # σ_k(r) = exp(+2πikr/n)
    for found, block in zip(matrix.sectors(), expected, strict=True):
        np.testing.assert_allclose(found, block, **FLOAT64)


@pytest.mark.parametrize("group", [cyclic(4), dihedral(4)], ids=str)
def test_invariant_targets_need_the_averaged_kernel_alone(group):
    """(arXiv:2406.06504, theorem 5): an n × n solve in place of one with |G| n rows."""
    matrix, y = gram_blocks(group), np.random.default_rng(1).standard_normal((COUNT, 2))
    dense, small = whole(matrix), invariant_block(matrix)
    np.testing.assert_allclose(small, group.order * np.mean(blocks_of(dense, group), (0, 1)), **FLOAT64)
    expected = np.linalg.solve(dense, on_orbit(group, y))
    np.testing.assert_allclose(on_orbit(group, np.linalg.solve(small, y)), expected, **FLOAT64)
    np.testing.assert_allclose(solve(matrix, on_orbit(group, y)), expected, **FLOAT64)


def blocks_of(dense, group):
    """[p, q, n, n]."""
    return dense.reshape(group.order, COUNT, group.order, COUNT).swapaxes(1, 2)


@pytest.mark.parametrize("group", GROUPS, ids=str)
@pytest.mark.parametrize("invariant", [True, False], ids=["invariant targets", "any targets"])
def test_predictions_by_irreps_are_those_of_the_whole_orbit(group, invariant):
    """Mean, variance and covariance at all times, at inputs that are not invariant."""
    rng = np.random.default_rng(2)
    nngp, ntk = gram_blocks(group, seed=3), gram_blocks(group, seed=4)
    rows = group.order * COUNT
    y = on_orbit(group, rng.standard_normal((COUNT, 2))) if invariant else rng.standard_normal((rows, 2))
    cross = Kernel(*rng.standard_normal((2, 6, rows)))
    explained = cross.nngp @ np.linalg.solve(whole(nngp), cross.nngp.T)  # more than that is K of some inputs
    between = explained + np.cov(rng.standard_normal((6, 20)))
    own = np.diag(between)
    dense, blocks = Kernel(whole(nngp), whole(ntk)), OrbitKernel(nngp, ntk)
    rate = 0.7 * 2 * rows / (largest_eigenvalue(ntk) + 0.1)
    assert largest_learning_rate(blocks) == pytest.approx(largest_learning_rate(dense), rel=1e-12)
    for progress in (Descent(rate, (0, 1, 7, 400)), Descent(rate, (3, np.inf), 0.1), Flow((0.5, 20, np.inf), 0.3)):
        expected = predict(dense, cross, own, y, progress)
        found = predict(blocks, cross, own, y, progress)
        for one, other in zip(found, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-10)
        assert np.abs(expected.mean[-1]).max() > 0.1
        covariances = [covariance(train, cross, between, progress) for train in (blocks, dense)]
        np.testing.assert_allclose(*covariances, rtol=1e-10, atol=1e-10)
        assert np.abs(covariances[1][-1] - between).max() > 0.1


def test_blocks_of_a_network_are_those_of_its_orbit():
    """And of g and g⁻¹ only one is computed."""
    shape, layers = NETWORKS["CNN, CIRCULAR, pooled"]
    x, counted = inputs(shape), []
    kernel = analytic_kernel(Architecture(layers))

    class Counting:
        architecture = kernel.architecture

        def __call__(self, *batches):
            counted.append(len(batches))
            return kernel(*batches)

    found = orbit_blocks(Counting(), C4, x)
    assert len(counted) == 3
    whole_orbit = kernel(C4.orbit(x))
    for matrix, dense, assembled in zip(found, whole_orbit, orbit_kernel(kernel, C4, x), strict=True):
        # Float32; Θ of an input with itself to √1e-7.
        np.testing.assert_allclose(matrix.dense(), dense, rtol=5e-4)
        np.testing.assert_array_equal(assembled, matrix.dense())
    with pytest.raises(ValueError, match="C4 does not map all filters of this architecture to themselves"):
        orbit_blocks(analytic_kernel(Architecture((Conv(2, 2), Relu(), Flatten(), LOGITS))), C4, x)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: GroupCirculant(C4, np.zeros((3, 2, 2))),
            r"blocks have shape \(3, 2, 2\); for C4 it must be \(4, n, n",
        ),
        (lambda: GroupCirculant(C4, np.zeros((4, 2, 3))), "it must be"),
        (lambda: GroupCirculant(C4, np.arange(16.0).reshape(4, 2, 2)), "block 0 is not the transpose"),
        (lambda: solve(GroupCirculant(C4, -np.tile(np.eye(2), (4, 1, 1))), np.ones((8, 1))), "not positive definite"),
    ],
    ids=["order", "square", "symmetric", "positive"],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
