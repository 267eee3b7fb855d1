"""Rotations of points and of signals on the sphere: their laws, finite subgroups, and targets that turn along."""

import math
from collections import Counter
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.so3_oracles import BandLimited, dh_sphere, rotation
from widesym.ensembles.augmentation import (
    DrawnRotations,
    FixedRotations,
    GivenRotations,
    Points,
    RandomRotation,
    RegularSolid,
    SphereSignals,
    Vectors,
)
from widesym.ensembles.augmentation.representations import turned_each
from widesym.models.spherical.wigner import sphere_weights

KEY = jax.random.key(0)
SOLIDS = {"tetrahedron": 12, "octahedron": 24, "icosahedron": 60}
assert_close = partial(np.testing.assert_allclose, rtol=0, atol=2e-6)  # float32, sums of a few terms of size one


def rotation_entries(draws, samples=2):
    """Matrices that RandomRotation(Points()) draws, read off the images of the unit vectors: [draw, sample, 3, 3]."""
    x = jnp.tile(jnp.eye(3), (samples, 1, 1))
    keys = jax.random.split(KEY, draws)
    moved, _ = jax.jit(jax.vmap(lambda key: RandomRotation(Points())(key, x, jnp.zeros((samples, 1)))))(keys)
    return np.swapaxes(np.float64(moved), -1, -2)  # row i of x is R e_i, column i of R


def levi_civita():
    epsilon = np.zeros((3, 3, 3))
    for i in range(3):
        epsilon[i, (i + 1) % 3, (i + 2) % 3], epsilon[i, (i + 2) % 3, (i + 1) % 3] = 1, -1
    return epsilon


def assert_mean(values, expected):
    """To five standard errors over the first axis."""
    error = values.std(0) / math.sqrt(len(values))
    assert np.all(np.abs(values.mean(0) - expected) < 5 * error + 1e-6)


def test_random_rotations_are_haar():
    """E[R] = 0, E[R ⊗ R] = δδ/3, E[R ⊗ R ⊗ R] = εε/6, E[tr(R²)²] = 3: moments that SO(3)'s invariants fix.

    In characters tr R² = χ₂ − χ₁ + χ₀, whose squares have mean one each, and products mean zero.
    """
    R = rotation_entries(20_000)
    assert_close(np.swapaxes(R, -1, -2) @ R, np.broadcast_to(np.eye(3), R.shape))
    assert_close(np.linalg.det(R), np.ones(R.shape[:2]))
    R, other = R[:, 0], R[:, 1]
    assert_mean(R, 0)
    assert_mean(np.einsum("nij,nkl->nijkl", R, R), np.einsum("ik,jl->ijkl", np.eye(3), np.eye(3)) / 3)
    epsilon = levi_civita()
    third = np.einsum("nij,nkl,npq->nijklpq", R[:5000], R[:5000], R[:5000])
    assert_mean(third, np.einsum("ikp,jlq->ijklpq", epsilon, epsilon) / 6)
    assert_mean(np.trace(R @ R, axis1=1, axis2=2) ** 2, 3)
    assert_mean(np.einsum("nij,nkl->nijkl", R, other), 0)  # each sample draws its own


@pytest.mark.parametrize("shape", [(4, 3), (4, 5, 3), (4, 2)], ids=str)
def test_points_of_a_sample_move_together(shape):
    """Lengths, angles and, in space, triple products stay; targets turn by the same rotation."""
    d = shape[-1]
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.standard_normal(s), jnp.float32) for s in (shape, (4, 2 * d)))
    moved, targets = RandomRotation(Points(d), Vectors())(KEY, x, y)
    together = [
        np.concatenate([v.reshape(4, -1, d), t.reshape(4, 2, d)], axis=1) for v, t in ((x, y), (moved, targets))
    ]
    # Products of three numbers up to about 2, in float32.
    np.testing.assert_allclose(*(v @ np.swapaxes(v, 1, 2) for v in together), atol=1e-5)
    np.testing.assert_allclose(*(np.linalg.det(v[:, :d]) for v in together), atol=1e-5)
    assert np.abs(moved - x).max() > 0.5


@pytest.mark.parametrize(
    "policy", [RandomRotation(Points(), Vectors()), FixedRotations(DrawnRotations(5, 0), Points(), Vectors())], ids=str
)
def test_cross_products_turn_with_their_factors(policy):
    """u×v of the moved vectors is the moved u×v."""
    x = jnp.asarray(np.random.default_rng(0).standard_normal((4, 2, 3)), jnp.float32)
    moved, targets = policy(KEY, x, jnp.cross(x[:, 0], x[:, 1]))
    assert_close(targets, np.cross(moved[:, 0], moved[:, 1]))
    assert len(moved) == len(targets) == 4 * getattr(policy, "size", 1)


@given(seed=st.integers(0, 1000), angles=st.tuples(st.floats(-7, 7), st.floats(0, math.pi), st.floats(-7, 7)))
def test_signals_on_the_sphere_turn_exactly(seed, angles):
    """f(R⁻¹x) of functions known at every point, for bandlimit 4 in float32."""
    L, R = 4, rotation(*angles)
    f = BandLimited(L, 2, seed)
    x, expected = (np.moveaxis(f.on_sphere(points), 0, -1) for points in (dh_sphere(L), dh_sphere(L) @ R))
    moved = SphereSignals().turned(jnp.asarray(x[None], jnp.float32), jnp.asarray(R, jnp.float32))[0]
    np.testing.assert_allclose(moved, expected, atol=3e-6 * np.abs(x).max())  # sums of some 30 harmonics


@pytest.mark.parametrize("solid", SOLIDS)
def test_signals_on_the_sphere_turn_by_every_symmetry_of_the_solids(solid):
    """Among them those with β = 0 and π, where Euler angles are not unique; sets of signals turn together."""
    L, f = 3, BandLimited(3, 2, 0)
    policy = FixedRotations(RegularSolid(solid), SphereSignals())
    x = np.moveaxis(f.on_sphere(dh_sphere(L)), 0, -1)
    copies = policy.copies(jnp.asarray(x[None], jnp.float32))[:, 0]
    for moved, R in zip(copies, policy.rotations.matrices, strict=True):
        expected = np.moveaxis(f.on_sphere(dh_sphere(L) @ R), 0, -1)
        np.testing.assert_allclose(moved, expected, atol=3e-6 * np.abs(x).max())
    pair = jnp.asarray(np.stack([x, -2 * x])[None], jnp.float32)
    np.testing.assert_allclose(policy.copies(pair)[:, 0, 1], -2 * copies, atol=1e-5 * np.abs(x).max())


def test_targets_of_signals_on_the_sphere_turn_along():
    """∫ f(x) x dx is a vector; each sample's own rotation moves it as the policy says."""
    L = 4
    x = np.stack([np.moveaxis(BandLimited(L, 1, seed).on_sphere(dh_sphere(L)), 0, -1) for seed in range(3)])

    def moment(x):
        return np.einsum("stpc,tp,tpv->sv", np.asarray(x), sphere_weights(L), dh_sphere(L))

    policy = RandomRotation(SphereSignals(), Vectors())
    moved, targets = policy(KEY, jnp.asarray(x, jnp.float32), jnp.asarray(moment(x), jnp.float32))
    np.testing.assert_allclose(targets, moment(moved), atol=2e-5)  # sums of 56 values up to a few
    assert np.abs(targets - moment(x)).max() > 0.5


@pytest.mark.parametrize("solid", SOLIDS)
def test_solids_have_their_groups(solid):
    """As many different rotations as they should, closed under products and inverses."""
    R = RegularSolid(solid).matrices
    assert len(R) == SOLIDS[solid]
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-12)
    distances = np.abs(R[:, None] - R).max((2, 3))
    assert np.all(distances[~np.eye(len(R), dtype=bool)] > 0.1)
    for products in (np.einsum("gij,hjk->ghik", R, R).reshape(-1, 3, 3), np.swapaxes(R, 1, 2)):
        gaps = np.abs(products[:, None] - R).max((2, 3)).min(1)
        assert gaps.max() < 1e-12  # float64
    turns = Counter(np.rint(np.degrees(np.arccos(np.clip((np.trace(R, axis1=1, axis2=2) - 1) / 2, -1, 1)))).astype(int))
    axes = {
        "tetrahedron": {120: 8, 180: 3},
        "octahedron": {90: 6, 120: 8, 180: 9},
        "icosahedron": {72: 12, 120: 20, 144: 12, 180: 15},
    }
    assert turns == {0: 1, **axes[solid]}


@pytest.mark.parametrize("solid", SOLIDS)
def test_orbits_of_solids_are_closed(solid):
    """Turning the points beforehand permutes the copies, as a multiset."""
    policy = FixedRotations(RegularSolid(solid), Points())
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, 2, 3)), jnp.float32)
    copies = np.asarray(policy.copies(x)).reshape(-1, 6)
    moved = np.asarray(
        policy.copies(turned_each(Points(), x, jnp.asarray(policy.rotations.matrices[5:6], jnp.float32)))
    )
    gaps = np.abs(moved.reshape(-1, 1, 6) - copies).max(-1)
    assert gaps.min(1).max() < 2e-6
    assert sorted(gaps.argmin(1)) == list(range(len(copies)))


@pytest.mark.parametrize("d", [2, 3, 4])
def test_drawn_rotations_are_haar_and_nested(d):
    R = DrawnRotations(4000, 7, d).matrices
    np.testing.assert_allclose(np.swapaxes(R, 1, 2) @ R, np.broadcast_to(np.eye(d), R.shape), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(R), 1, atol=1e-12)
    assert_mean(R, 0)
    assert_mean(np.trace(R, axis1=1, axis2=2) ** 2, 2 if d == 2 else 1)
    np.testing.assert_array_equal(DrawnRotations(5, 7, d).matrices, R[:5])
    assert np.abs(DrawnRotations(5, 8, d).matrices - R[:5]).max() > 0.1


def test_fixed_rotations_turn_by_their_matrices():
    R = DrawnRotations(4, 1).matrices
    x = np.random.default_rng(0).standard_normal((2, 5, 3)).astype("f")
    for rotations in (DrawnRotations(4, 1), GivenRotations(R), GivenRotations(np.float32(R))):
        policy = FixedRotations(rotations, Points(), Vectors())
        assert policy.size == 4
        assert_close(policy.copies(x), np.einsum("gij,saj->gsai", R, x))
        assert_close(policy.target_copies(x[:, 0]), np.einsum("gij,sj->gsi", R, x[:, 0]))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.eye(3), r"values have shape \(3, 3\); matrices \[rotation, d, d\] are needed"),
        (np.zeros((0, 3, 3)), r"values have shape \(0, 3, 3\)"),
        (np.ones((1, 2, 3)), r"values have shape \(1, 2, 3\)"),
        ([np.eye(3), 2 * np.eye(3)], r"matrix 1 is \[\[2.0, .* rotations are orthogonal and have determinant 1"),
        ([np.diag([1, 1, -1])], "matrix 0 is .* determinant 1"),
        ([np.full((2, 2), np.nan)], "matrix 0 is"),
    ],
)
def test_matrices_that_are_no_rotations_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        GivenRotations(values)


@pytest.mark.parametrize(
    ("field", "value", "allowed"),
    [
        ("count", 0, "an integer of at least 1"),
        ("count", 1.5, "an integer of at least 1"),
        ("dimension", 1, "an integer of at least 2"),
        ("seed", -1, "a whole number from 0 to 4294967295"),
        ("seed", True, "a whole number from 0 to 4294967295"),
    ],
)
def test_draws_that_are_none_are_refused(field, value, allowed):
    with pytest.raises(ValueError, match=f"DrawnRotations: {field} is {value}; it must be {allowed}"):
        DrawnRotations(**{"count": 3, "seed": 0, field: value})


def test_other_mistakes_are_refused():
    with pytest.raises(ValueError, match="solid is 'cube'; it must be one of tetrahedron, octahedron, icosahedron"):
        RegularSolid("cube")
    with pytest.raises(ValueError, match="dimension is 1; it must be an integer of at least 2"):
        Points(1)
    with pytest.raises(ValueError, match=r"Points\(dimension=4\) has 4 dimensions; it must have 2 or 3"):
        RandomRotation(Points(4))
    with pytest.raises(ValueError, match=r"space is <class .*Points'>; it must be such as Images\(\)"):
        RandomRotation(Points)
    with pytest.raises(ValueError, match=r"FixedRotations: targets is 'vectors'; it must be such as Vectors\(\)"):
        FixedRotations(RegularSolid("octahedron"), Points(), "vectors")
    with pytest.raises(ValueError, match=r"GivenRotations\(matrices\) makes a set of them"):
        FixedRotations(np.eye(3)[None], Points())
    with pytest.raises(ValueError, match=r"rotations are of 3 dimensions, but Points\(dimension=2\) has 2"):
        FixedRotations(RegularSolid("octahedron"), Points(2))


@pytest.mark.parametrize(
    ("policy", "x", "y", "message"),
    [
        (
            RandomRotation(Points()),
            (4, 6),
            (4, 1),
            r"shape \(6,\); it must be a vector, \(3,\), or a set of them, \(A, 3\)",
        ),
        (FixedRotations(DrawnRotations(2, 0), Points()), (4, 5, 5, 3), (4, 1), r"each input has shape \(5, 5, 3\)"),
        (RandomRotation(SphereSignals()), (4, 6, 6, 1), (4, 1), r"shape \(6, 6, 1\); it must be \(2L, 2L-1, C\)"),
        (RandomRotation(Points(), Vectors()), (4, 3), (4, 4), r"shape \(4,\); it must hold vectors of 3 dimensions"),
    ],
)
def test_batches_of_other_shapes_are_refused(policy, x, y, message):
    with pytest.raises(ValueError, match=message):
        policy(KEY, jnp.zeros(x), jnp.zeros(y))
