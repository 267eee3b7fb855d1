"""Orbit statistics against loops, and on functions whose equivariance is known exactly (theory.md §5)."""

import math

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from widesym.analysis.estimators.orbits import (
    equivariance_error,
    orbit_same_prediction,
    orbit_statistics,
    pooled_orbit_deviation,
    pulled_back,
    relative_orbit_deviation,
    target_matrices,
)
from widesym.ensembles.augmentation import (
    DrawnRotations,
    FixedElements,
    FixedRotations,
    FullOrbit,
    GivenRotations,
    Images,
    Invariant,
    Points,
    RegularSolid,
    Vectors,
)
from widesym.models import Architecture, Dense, GroupPool, LiftingConv, Relu, cyclic, dihedral

ROUNDING = 1e-12  # of sums of some hundred float64 terms
SOLID = FixedRotations(RegularSolid("octahedron"), Points(), targets=Vectors())
ICOSAHEDRON = FixedRotations(RegularSolid("icosahedron"), Points())
TURNS = GivenRotations(np.concatenate([np.eye(3)[None], DrawnRotations(4, 0).matrices]))
FACTORS = np.random.default_rng(0).standard_normal((7, 2, 3))


def logits_of(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


def cross(uv):
    """The equivariant function (u, v) ↦ u × v, in float64."""
    return np.cross(uv[..., 0, :], uv[..., 1, :])


def moved_factors(policy):
    """R u, R v in float64, as the policies' own copies are in float32."""
    return np.einsum("rij,saj->rsai", policy.rotations.matrices, FACTORS)


def test_statistics_are_their_definitions():
    """Element by element, for two members with four elements, three samples and five logits."""
    logits = logits_of(1, 2, 4, 3, 5)
    same, relative, errors = np.zeros((2, 3)), np.zeros((2, 3, 5)), np.zeros((2, 3))
    pooled = []
    for member in range(2):
        f = logits[member]
        size = sum(math.sqrt(sum(f[0, x, k] ** 2 for k in range(5))) for x in range(3)) / 3
        spreads, means = [], []
        for x in range(3):
            same[member, x] = sum(max(range(5), key=lambda k: f[g, x, k]) == f[0, x].argmax() for g in range(4))
            gaps = [math.dist(f[g, x], f[0, x]) for g in range(4)]
            errors[member, x] = sum(gaps) / 4 / size
            for k in range(5):
                mean = sum(f[g, x, k] for g in range(4)) / 4
                std = math.sqrt(sum((f[g, x, k] - mean) ** 2 for g in range(4)) / 4)
                relative[member, x, k] = std / abs(mean)
                spreads.append(std)
                means.append(abs(mean))
        pooled.append(sum(spreads) / sum(means))
    np.testing.assert_array_equal(orbit_same_prediction(logits), same)
    np.testing.assert_allclose(relative_orbit_deviation(logits), relative, rtol=ROUNDING)
    np.testing.assert_allclose(pooled_orbit_deviation(logits), pooled, rtol=ROUNDING)
    np.testing.assert_allclose(equivariance_error(logits), errors, rtol=ROUNDING)
    found = orbit_statistics(logits)
    assert found.osp.shape == found.orbit_deviation.shape == found.equivariance_error.shape == (2,)
    np.testing.assert_allclose(found.osp, same.mean(1), rtol=ROUNDING)
    np.testing.assert_allclose(found.orbit_deviation, pooled, rtol=ROUNDING)
    np.testing.assert_allclose(found.equivariance_error, errors.mean(1), rtol=ROUNDING)
    assert set(same.ravel()) - {1.0, 4.0}


def test_of_logits_in_float32_statistics_are_in_float64():
    """A common part of 4096, at which float32 has steps of 5e-4: they would show in the mean of the squares."""
    steps = np.arange(4.0, dtype=np.float32)[:, None, None] / 64
    found = relative_orbit_deviation(4096 + steps)
    np.testing.assert_allclose(found, math.sqrt(1.25) / 64 / (4096 + 1.5 / 64), rtol=ROUNDING)


@pytest.mark.parametrize("group", [cyclic(4), dihedral(4)], ids=str)
def test_a_network_that_is_invariant_by_construction_is_found_so(group):
    import jax

    images = jax.random.normal(jax.random.key(0), (5, 6, 6, 1))
    network = Architecture((LiftingConv(group, 8, size=3, w_std=2**0.5), Relu(), GroupPool(), Dense(4)))
    params = network.init(jax.random.key(1), images.shape[1:])
    copies = FullOrbit(group).copies(images)
    logits = np.asarray(network.apply(params, copies.reshape(-1, *images.shape[1:]))).reshape(group.order, 5, 4)
    np.testing.assert_array_equal(orbit_same_prediction(logits), group.order)
    # Sums of some hundred float32 terms in another order; the smallest mean is a fraction of the logits' size.
    assert pooled_orbit_deviation(logits) < 1e-6
    assert equivariance_error(logits).max() < 1e-6
    assert relative_orbit_deviation(logits).max() < 1e-4


def test_a_linear_function_has_the_closed_form():
    """f(x) = w·x + b on the plane's quarter turns: mean b, std |w||x|/√2, as half of the squares lie along w."""
    w, b = np.array([[0.3], [-1.1]]), 0.7
    x = logits_of(2, 6, 2)
    moved = np.asarray(FullOrbit(cyclic(4), space=Points(2)).copies(jnp.asarray(x, jnp.float32)), np.float64)
    std = np.linalg.norm(w) * np.linalg.norm(x, axis=1) / math.sqrt(2)
    logits = moved @ w + b
    # Inputs were turned in float32.
    np.testing.assert_allclose(relative_orbit_deviation(logits)[:, 0], std / b, rtol=1e-5)
    np.testing.assert_allclose(pooled_orbit_deviation(logits), std.mean() / b, rtol=1e-5)
    # |f(gx) − f(x)| for quarter turns: |w·x − w·y| with y = Jx, x, −x, −Jx.
    p, q = x @ w[:, 0], x @ np.array([w[1, 0], -w[0, 0]])
    gaps = (2 * np.abs(p) + np.abs(p - q) + np.abs(p + q)) / 4
    np.testing.assert_allclose(equivariance_error(logits), gaps / np.abs(p + b).mean(), rtol=1e-5)


@pytest.mark.parametrize("policy", [SOLID, FixedRotations(TURNS, Points(), targets=Vectors())], ids=["solid", "drawn"])
def test_the_cross_product_is_equivariant(policy):
    """Without error; under the trivial representation not at all. Scale does not matter."""
    rho = target_matrices(policy, 3)
    np.testing.assert_allclose(rho, policy.rotations.matrices, atol=ROUNDING)
    logits = cross(moved_factors(policy))
    assert equivariance_error(logits, rho).max() < ROUNDING
    found = orbit_statistics(logits, rho)
    assert found.osp == policy.size
    assert found.orbit_deviation < ROUNDING
    assert equivariance_error(logits).mean() > 0.5
    perturbed = logits + 0.1 * logits_of(3, *logits.shape)
    for statistic in (equivariance_error, pulled_back):
        scale = 1 if statistic is equivariance_error else 2
        np.testing.assert_allclose(statistic(2 * perturbed, rho), scale * statistic(perturbed, rho), rtol=ROUNDING)


def test_the_equivariance_error_is_that_of_turned_outputs():
    """‖f(gx) − ρ_g f(x)‖ with ρ_g f(x) by the policy itself, for a function that is not equivariant."""
    logits = cross(moved_factors(SOLID)) + logits_of(4, 24, 7, 3)
    turned = np.asarray(SOLID.target_copies(jnp.asarray(logits[0], jnp.float32)), np.float64)
    gaps = np.linalg.norm(logits - turned, axis=-1).mean(0)
    expected = gaps / np.linalg.norm(logits[0], axis=-1).mean()
    np.testing.assert_allclose(equivariance_error(logits, target_matrices(SOLID, 3)), expected, rtol=1e-6)  # float32
    wrong = np.swapaxes(target_matrices(SOLID, 3), 1, 2)
    assert np.abs(equivariance_error(logits, wrong) / expected - 1).max() > 0.05


@pytest.mark.parametrize(
    ("policy", "logits"),
    [
        (FullOrbit(dihedral(4), targets=Vectors()), 4),
        (FixedElements(cyclic(8), (0, 3), space=Images(), targets=Vectors()), 2),
        (FullOrbit(cyclic(4)), 3),
        (FixedRotations(RegularSolid("tetrahedron"), Points()), 2),
    ],
    ids=["mirrored pairs", "some elements", "classes", "energies"],
)
def test_matrices_turn_targets_as_the_policy_does(policy, logits):
    y = logits_of(5, 6, logits)
    rho = target_matrices(policy, logits)
    turned = policy.target_copies(jnp.asarray(y, jnp.float32))
    np.testing.assert_allclose(np.einsum("gjk,sk->gsj", rho, y), turned, atol=1e-6)  # float32
    if isinstance(policy.targets, Invariant):
        np.testing.assert_array_equal(rho, np.broadcast_to(np.eye(logits), rho.shape))


@given(
    seed=st.integers(0, 1000),
    scale=st.floats(0.01, 100),
    elements=st.integers(1, 8),
    logits=st.integers(1, 4),
)
def test_what_leaves_statistics_as_they_are(seed, scale, elements, logits):
    """Scaling f, other orders of the elements after the first, and elements counted twice; and their ranges."""
    f = logits_of(seed, elements, 5, logits)
    order = [0, *(1 + np.random.default_rng(seed).permutation(elements - 1))]
    found = orbit_statistics(f)
    for same in (scale * f, f[order]):
        for value, expected in zip(orbit_statistics(same), found, strict=True):
            np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-12)  # means that nearly cancel
    twice = orbit_statistics(np.concatenate([f, f]))
    np.testing.assert_allclose(twice.osp, 2 * found.osp, rtol=ROUNDING)  # NaN of a single logit
    np.testing.assert_allclose(twice[1:], found[1:], rtol=1e-9, atol=1e-12)
    assert np.isnan(found.osp) if logits == 1 else 1 <= found.osp <= elements
    assert found.orbit_deviation >= 0


def test_equal_logits_predict_the_first():
    tied = np.array([[1.0, 1.0, 0.0], [1.0, 0.5, 1.0], [0.5, 1.0, 1.0]])[:, None]
    np.testing.assert_array_equal(orbit_same_prediction(tied), [2])


def scaled(targets):
    """A policy that stretches its targets."""

    class Stretched(FullOrbit):
        def target_copies(self, y):
            return super().target_copies(y) * jnp.asarray([1.0, 2.0, 1.0, 1.0])[:, None, None]

    return Stretched(cyclic(4), targets=targets)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: orbit_same_prediction(np.full((2, 3, 4), np.nan)), "24 of 24 logits are not finite"),
        (lambda: orbit_same_prediction(np.zeros((3, 4))), r"shape \(3, 4\); \[..., element, sample, logit\]"),
        (lambda: orbit_statistics(np.zeros((2, 0, 4))), r"logits have shape \(2, 0, 4\)"),
        (
            lambda: relative_orbit_deviation(np.array([[[1.0, 2.0]], [[1.0, -2.0]]])),
            r"a logit's mean over the orbit is zero at \(0, 1\)",
        ),
        (lambda: pooled_orbit_deviation(np.array([[[1.0]], [[-1.0]]])), "every logit's mean over the orbit is zero"),
        (
            lambda: orbit_statistics(cross(moved_factors(ICOSAHEDRON))),
            "and pull targets back that turn along the orbit",
        ),
        (lambda: equivariance_error(np.array([[[0.0]], [[1.0]]])), r"every f\(x\) is zero"),
        (
            lambda: pulled_back(logits_of(0, 4, 5, 3), target_matrices(SOLID, 3)),
            r"have shape \(4, 5, 3\), but rho \(24, 3, 3\)",
        ),
        (lambda: target_matrices(FixedElements(cyclic(4), (1, 0), targets=Vectors()), 2), "begin with the identity"),
        (lambda: target_matrices(scaled(Invariant()), 2), "differs from 1 by 3.*orthonormal basis"),
        (lambda: target_matrices(SOLID, 4), "it must hold vectors of 3 dimensions"),
    ],
    ids=[
        *("nan", "no orbit", "no sample", "zero mean", "all means zero", "cancelled means", "zero outputs"),
        *("other orbit", "turned first", "stretched", "no vectors"),
    ],
)
def test_what_has_no_statistics_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
