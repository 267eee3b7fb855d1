"""Inputs replaced by something invariant: values against loops, exact invariance, and the kernel of what follows."""

from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.networks import C2, C4, D2, D4, HIDDEN, LOGITS, STDS, inputs, random_params
from widesym.analysis import analytic_kernel
from widesym.models import (
    Architecture,
    AtomSum,
    Canonicalize,
    Conv,
    Dense,
    Flatten,
    GlobalAvgPool,
    InvariantScalars,
    Relu,
    Tanh,
)

SETS = st.integers(2, 3).flatmap(lambda d: st.tuples(st.integers(d, 5), st.just(d)))  # (number of vectors, d)
SEEDS = st.integers(0, 2**31)
# Products of up to three numbers of size one, some of them rotated first: float32 errs by less than 1e-6 of a few.
ROUNDING = {"rtol": 1e-5, "atol": 1e-5}


def vectors(shape, seed, samples=2):
    return np.random.default_rng(seed).standard_normal((samples, *shape), dtype=np.float32)


def orthogonal(dimension, seed, determinant):
    """A random element of O(d) of this determinant."""
    q, r = np.linalg.qr(np.random.default_rng(seed).standard_normal((dimension, dimension)))
    q *= np.sign(np.diag(r))  # uniform, as QR alone is not
    q[0] *= determinant * np.sign(np.linalg.det(q))
    np.testing.assert_allclose(
        [np.linalg.det(q), *(q @ q.T).ravel()], [determinant, *np.eye(dimension).ravel()], atol=1e-12
    )
    return np.float32(q)


def one_network(layers, shape):
    architecture = Architecture(layers)
    return architecture, jax.tree.map(lambda leaf: leaf[0], random_params(architecture, shape, 1))


def scalars(x, determinants):
    """What InvariantScalars alone makes, as an architecture without weights."""
    return np.asarray(Architecture((InvariantScalars(determinants),)).apply({}, jnp.asarray(x)))


@settings(max_examples=10)
@given(SETS, st.booleans(), SEEDS)
def test_scalars_are_inner_products_then_determinants(shape, determinants, seed):
    """v_a·v_b for a ≤ b, row by row of the triangle, then det(v_a, v_b, …) for a < b < …, in order."""
    x = vectors(shape, seed)
    expected = []
    for sample in np.float64(x):
        inner = [sum(sample[a] * sample[b]) for a in range(len(sample)) for b in range(a, len(sample))]
        minors = [np.linalg.det(sample[list(subset)]) for subset in combinations(range(len(sample)), shape[1])]
        expected.append([*inner, *(minors if determinants else [])])
    found = scalars(x, determinants)
    assert found.shape == np.shape(expected)
    np.testing.assert_allclose(found, expected, **ROUNDING)


@settings(max_examples=10)
@given(SETS, SEEDS, st.sampled_from([1, -1]))
def test_scalars_are_invariant_and_a_reflection_flips_the_determinants(shape, seed, determinant):
    """O(d) leaves the inner products; the determinants take the sign of the element, so SO(d) leaves them, too."""
    x, products = vectors(shape, seed), shape[0] * (shape[0] + 1) // 2
    before, after = (scalars(x, True) for x in (x, x @ orthogonal(shape[1], seed + 1, determinant)))
    np.testing.assert_allclose(after[:, :products], before[:, :products], **ROUNDING)
    np.testing.assert_allclose(after[:, products:], determinant * before[:, products:], **ROUNDING)
    np.testing.assert_array_equal(scalars(x, False), before[:, :products])


@pytest.mark.parametrize(("determinants", "determinant"), [(False, 1), (False, -1), (True, 1), (True, -1)])
def test_networks_on_scalars_are_invariant(determinants, determinant):
    """To rounding; but a reflection shows in a network that sees determinants."""
    architecture, params = one_network((InvariantScalars(determinants), HIDDEN, Tanh(), Dense(3)), (4, 3))
    x = vectors((4, 3), 0, samples=5)
    f, moved = (architecture.apply(params, jnp.asarray(x)) for x in (x, x @ orthogonal(3, 1, determinant)))
    if determinants and determinant < 0:
        assert np.all(np.max(np.abs(moved - f), axis=1) > 0.05)
    else:
        # 1e-6 in scalars of size ten, through two layers of gain about one.
        np.testing.assert_allclose(moved, f, atol=1e-4)


@pytest.mark.parametrize("determinants", [False, True])
def test_kernel_of_scalars_is_that_of_the_network_on_them(determinants):
    x, tail = inputs((4, 3)), (HIDDEN, Relu(), LOGITS)
    whole, alone = (
        analytic_kernel(Architecture((InvariantScalars(determinants), *tail))),
        analytic_kernel(Architecture(tail)),
    )
    expected = alone(scalars(x, determinants))
    for field in ("nngp", "ntk"):
        # The same program on the same numbers, but for the scalars' own rounding.
        np.testing.assert_allclose(getattr(whole(x), field), getattr(expected, field), rtol=1e-4)
        np.testing.assert_allclose(getattr(whole.diagonal(x), field), np.diag(getattr(expected, field)), rtol=1e-4)


BODY = (Conv(3, 2, **STDS), Relu(), Flatten(), Dense(2))
ACTING = [(C2, (3, 4, 2)), (D2, (2, 3, 1)), (C4, (3, 3, 1)), (D4, (4, 4, 1))]


@pytest.mark.parametrize(("group", "shape"), ACTING, ids=str)
@settings(max_examples=3)
@given(SEEDS)
def test_canonical_network_is_its_body_on_one_image_of_the_orbit(group, shape, seed):
    """The same image, so the same bits, from wherever on the orbit; and the others give other values."""
    (architecture, params), body = one_network((Canonicalize(BODY, group),), shape), Architecture(BODY)
    own = {"layers": params["layers"][0]["body"]["layers"]}
    x = vectors(shape, seed)
    f = np.asarray(architecture.apply(params, jnp.asarray(x)))
    on_orbit = []
    for g in group.elements:
        moved = group.rotate_images(x, g)
        np.testing.assert_array_equal(architecture.apply(params, moved), f)
        on_orbit.append(body.apply(own, moved))
    matches = np.all(np.isclose(on_orbit, f, **ROUNDING), axis=-1)
    np.testing.assert_array_equal(matches.sum(0), 1)


def test_images_choose_each_for_themselves():
    """The canonical turn is each sample's own: every element is some image's."""
    x = vectors((3, 3, 1), 0, samples=64)
    mapped = Canonicalize(BODY, C4).mapped(jnp.asarray(x))
    found = [np.argmax([np.array_equal(mapped[n], C4.rotate_images(x, g)[n]) for g in C4.elements]) for n in range(64)]
    assert set(found) == {0, 1, 2, 3}
    for n in (0, 1):
        np.testing.assert_array_equal(Canonicalize(BODY, C4).mapped(jnp.asarray(x[n : n + 1]))[0], mapped[n])


@pytest.mark.parametrize("kind", ["blank", "C2", "mirrored"])
def test_symmetric_images_are_invariant_too(kind):
    """Several of the orbit's images are one, and score alike."""
    x = vectors((4, 4, 1), 0)
    x = {"blank": 0 * x, "C2": x + x[:, ::-1, ::-1], "mirrored": x + x[:, :, ::-1]}[kind]
    architecture, params = one_network((Canonicalize(BODY, D4),), (4, 4, 1))
    f = architecture.apply(params, jnp.asarray(x))
    for g in D4.elements:
        np.testing.assert_array_equal(architecture.apply(params, D4.rotate_images(x, g)), f)


@pytest.mark.parametrize(("group", "shape"), [(C2, (3, 4, 1)), (D4, (3, 3, 1))], ids=str)
def test_kernel_of_canonical_images(group, shape):
    """Of (x, x'): the body's at x̂ and x̂', whatever their turns; so bitwise invariant in each argument."""
    x, tail = inputs(shape), (Relu(), LOGITS)
    conv = Conv(8, 3, **STDS)
    kernel = analytic_kernel(Architecture((Canonicalize((conv, Relu(), GlobalAvgPool(), HIDDEN), group), *tail)))
    alone = analytic_kernel(Architecture((conv, Relu(), GlobalAvgPool(), HIDDEN, *tail)))
    canonical = Canonicalize(BODY, group).mapped(jnp.asarray(x))
    found, expected = kernel(x), alone(canonical)
    between = kernel(x, x.copy())  # alone, x is paired once with itself: the two orders of a pair round differently
    for field in ("nngp", "ntk"):
        np.testing.assert_allclose(getattr(found, field), getattr(expected, field), rtol=1e-6)
        for g in group.elements:
            moved = group.rotate_images(x, g)
            np.testing.assert_array_equal(getattr(kernel(moved, x), field), getattr(between, field))
    np.testing.assert_array_equal(kernel(x, group.rotate_images(x, 1)).ntk, between.ntk)
    np.testing.assert_allclose(kernel.diagonal(x).ntk, np.diag(found.ntk), rtol=5e-4)
    # The body alone would tell: its kernel between turned images is another.
    assert np.max(np.abs(alone(group.rotate_images(x, 1), x).nngp - alone(x).nngp)) > 1e-3


def test_canonical_atoms_turn_each_by_themselves():
    """Inside AtomSum, any atom may turn alone."""
    architecture, params = one_network((AtomSum((Canonicalize(BODY, C4),)),), (2, 3, 3, 1))
    x = inputs((2, 3, 3, 1))
    turned = np.stack([x[:, 0], C4.rotate_images(x[:, 1], 1)], axis=1)
    np.testing.assert_array_equal(*(architecture.apply(params, jnp.asarray(x)) for x in (x, turned)))
