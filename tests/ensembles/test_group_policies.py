"""Policies of finite planar groups: which elements they take, how often, and what these do to images."""

import math
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import turned_fields
from widesym.ensembles.augmentation import (
    FixedElements,
    FullOrbit,
    Images,
    Points,
    RandomElement,
    RandomElements,
    Vectors,
)
from widesym.ensembles.augmentation.elements import matrices
from widesym.models import cyclic, dihedral

EXACT = [make(n) for make in (cyclic, dihedral) for n in (1, 2, 4)]
INTERPOLATED = [cyclic(3), cyclic(8), cyclic(16), dihedral(8)]
KEY = jax.random.key(0)
# In these images all pixels differ, so that every element shows.
IMAGES = jnp.asarray(np.random.default_rng(0).permutation(3 * 4 * 4 * 2).reshape(3, 4, 4, 2), jnp.float32)
NAMES = jnp.arange(3.0)[:, None]


def rotated(x, group, g):
    """NumPy's flip and rot90, element r + n·f."""
    f, r = divmod(g, group.rotations)
    return np.rot90(x[:, :, ::-1] if f else x, 4 // group.rotations * r, (1, 2))


def drawn(policy, draws):
    """The elements that a policy takes for the samples of IMAGES: [draw, copy, sample]."""
    keys = jax.random.split(KEY, draws)
    moved, names = jax.jit(jax.vmap(lambda key: policy(key, IMAGES, NAMES)))(keys)
    np.testing.assert_array_equal(
        names[..., 0].reshape(draws, -1, 3), np.broadcast_to(range(3), (draws, moved.shape[1] // 3, 3))
    )
    orbit = np.stack([rotated(IMAGES, policy.group, g) for g in policy.group.elements])
    moved = np.asarray(moved)
    same = np.all(np.reshape(moved, (draws, -1, 1, 3, 4, 4, 2)) == orbit, axis=(4, 5, 6))
    assert np.all(same.sum(2) == 1)
    return same.argmax(2)


def assert_uniform(counts):
    """Every outcome as often as any other, to five standard deviations of a binomial count."""
    expected, outcomes = np.mean(counts), np.size(counts)
    bound = 5 * math.sqrt(expected * (1 - 1 / outcomes))
    assert np.all(np.abs(counts - expected) <= bound)


@pytest.mark.parametrize("group", EXACT, ids=str)
def test_full_orbit_moves_pixels(group):
    x, y = FullOrbit(group)(KEY, IMAGES, NAMES)
    expected = np.concatenate([rotated(IMAGES, group, g) for g in group.elements])
    np.testing.assert_array_equal(x, expected)
    np.testing.assert_array_equal(y, np.tile(NAMES, (group.order, 1)))
    np.testing.assert_array_equal(x, group.orbit(IMAGES))
    assert FullOrbit(group).size == group.order


@pytest.mark.parametrize("group", EXACT, ids=str)
def test_full_orbit_is_closed(group):
    """Moving the images beforehand permutes the orbit."""
    orbit = FullOrbit(group).copies(IMAGES)
    for h in group.elements:
        moved = FullOrbit(group).copies(group.rotate_images(IMAGES, h))
        for g in group.elements:
            np.testing.assert_array_equal(moved[g], orbit[group.product(g, h)])


@pytest.mark.parametrize("group", [*EXACT, *INTERPOLATED], ids=str)
def test_matrices_multiply_as_the_group_does(group):
    M = matrices(group)
    for g, h in product(group.elements, repeat=2):
        np.testing.assert_allclose(M[g] @ M[h], M[group.product(g, h)], atol=1e-14)  # float64 of numbers up to one


@pytest.mark.parametrize("group", [cyclic(8), cyclic(16), dihedral(8)], ids=str)
def test_orbits_between_pixels_are_those_of_the_continuous_image(group):
    """Sums of round bumps, known at every point: .3 % of the norm measured, 2 % with bilinear interpolation."""
    image = [values[0, :1] for values in turned_fields.random_bumps(seed=0, images=1, maps=1)]
    exact = np.stack([turned_fields.sampled(image, g, group.rotations)[0] for g in group.elements])
    found = FullOrbit(group, space=Images("bicubic")).copies(jnp.asarray(exact[:1, ..., None], jnp.float32))[
        :, 0, ..., 0
    ]
    errors = np.linalg.norm(found - exact, axis=(1, 2)) / np.linalg.norm(exact, axis=(1, 2))
    assert np.all(errors < 0.005)
    right_angles = [g for g in group.elements if g * 4 % group.rotations == 0]
    assert np.all(errors[right_angles] < 1e-6)  # float32's rounding of the exact image, and of no interpolation


@pytest.mark.parametrize("group", [cyclic(8), dihedral(8)], ids=str)
def test_orbits_between_pixels_are_closed(group):
    """Interpolated twice or once: .7 % of the norm measured, for bumps with finer detail than the test above's."""
    image = [values[0, :1] for values in turned_fields.random_bumps(seed=1, images=1, maps=1)]
    x = jnp.asarray(turned_fields.sampled(image)[:, ..., None], jnp.float32)
    policy = FullOrbit(group, space=Images("bicubic"))
    orbit = np.asarray(policy.copies(x))
    for h in (1, group.order - 1):
        again = policy.copies(orbit[h])
        for g in group.elements:
            gap = np.linalg.norm(again[g] - orbit[group.product(g, h)]) / np.linalg.norm(x)
            assert gap < 0.01
            assert np.linalg.norm(again[g] - orbit[group.product(g, h) - 1]) > 0.1 * np.linalg.norm(x)


@pytest.mark.parametrize("group", [cyclic(8), dihedral(8)], ids=str)
@pytest.mark.parametrize("method", ["nearest", "bilinear", "bicubic"])
def test_right_angles_between_others_are_exact(group, method):
    orbit = FullOrbit(group, space=Images(method)).copies(IMAGES)
    exact = dihedral(4) if group.reflections else cyclic(4)
    for g in exact.elements:
        np.testing.assert_array_equal(orbit[2 * g], exact.rotate_images(IMAGES, g))


@pytest.mark.parametrize("group", [cyclic(4), dihedral(4), dihedral(8)], ids=str)
def test_fixed_elements_are_those_of_the_orbit(group):
    chosen = (3, 0, 2)
    policy = FixedElements(group, chosen, targets=Vectors())
    y = jnp.asarray(np.random.default_rng(1).standard_normal((3, 4)), jnp.float32)
    full = FullOrbit(group, targets=Vectors())
    np.testing.assert_array_equal(policy.copies(IMAGES), full.copies(IMAGES)[np.array(chosen)])
    np.testing.assert_array_equal(policy.target_copies(y), full.target_copies(y)[np.array(chosen)])
    x, targets = policy(KEY, IMAGES, y)
    np.testing.assert_array_equal(x, policy.copies(IMAGES).reshape(-1, 4, 4, 2))
    np.testing.assert_array_equal(targets, policy.target_copies(y).reshape(-1, 4))
    assert policy.size == 3
    assert policy == FixedElements(group, list(np.array(chosen)), targets=Vectors())


@pytest.mark.parametrize("group", [cyclic(1), cyclic(2), cyclic(4), dihedral(1), dihedral(4)], ids=str)
def test_random_elements_are_uniform_and_independent(group):
    g = drawn(RandomElement(group), 4000)[:, 0]
    for sample in range(3):
        assert_uniform(np.bincount(g[:, sample], minlength=group.order))
    pairs = g[:, 0] * group.order + g[:, 1]  # of two samples: independent if all pairs are equally likely
    assert_uniform(np.bincount(pairs, minlength=group.order**2))


@pytest.mark.parametrize(("group", "count"), [(cyclic(4), 1), (cyclic(4), 2), (dihedral(4), 3)], ids=str)
def test_several_random_elements_are_drawn_without_replacement(group, count):
    g, order = drawn(RandomElements(group, count), 4000), group.order
    assert g.shape[1] == count
    assert all(len(set(g[draw, :, sample])) == count for draw in range(100) for sample in range(3))
    assert_uniform(np.bincount(g[:, 0, 0] * order + g[:, 0, 1], minlength=order**2))
    if count > 1:
        pairs = np.bincount(g[:, 0, 2] * order + g[:, 1, 2], minlength=order**2).reshape(order, order)
        assert_uniform(pairs[~np.eye(order, dtype=bool)])


@given(seed=st.integers(0, 2**32 - 1), group=st.sampled_from([cyclic(2), cyclic(4), dihedral(4)]))
def test_as_many_elements_as_there_are_make_the_orbit(seed, group):
    x, y = RandomElements(group, group.order)(jax.random.key(seed), IMAGES, NAMES)
    np.testing.assert_array_equal(y, np.tile(NAMES, (group.order, 1)))
    found = np.asarray(x).reshape(group.order, 3, -1)
    orbit = np.asarray(group.orbit(IMAGES)).reshape(group.order, 3, -1)
    for sample in range(3):
        assert sorted(map(tuple, found[:, sample])) == sorted(map(tuple, orbit[:, sample]))


@pytest.mark.parametrize("policy", [RandomElement(cyclic(4)), RandomElements(dihedral(4), 2)], ids=str)
def test_random_elements_average_to_the_orbit(policy):
    """E[x] = mean over the orbit: five standard errors of 2000 draws, from the orbit's own spread."""
    orbit = np.asarray(policy.group.orbit(IMAGES)).reshape(-1, *IMAGES.shape)
    x, _ = jax.vmap(lambda key: policy(key, IMAGES, NAMES))(jax.random.split(jax.random.key(3), 2000))
    first = np.asarray(x[:, :3])
    assert np.all(np.abs(first.mean(0) - orbit.mean(0)) <= 5 * orbit.std(0) / math.sqrt(2000))


@pytest.mark.parametrize("make", [RandomElement, lambda group, **kw: RandomElements(group, 2, **kw)])
def test_random_elements_between_pixels_are_of_the_orbit(make):
    """Each moved image is one of the full orbit's, to the rounding of the same interpolation in another program."""
    policy = make(dihedral(8), targets=Vectors())
    y = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2)), jnp.float32)
    full = FullOrbit(dihedral(8), targets=Vectors())
    orbit, orbit_y = full.copies(IMAGES), full.target_copies(y)
    x, moved_y = policy(jax.random.key(5), IMAGES, y)
    chosen = set()
    for k, (image, target) in enumerate(zip(x, moved_y, strict=True)):
        gaps = np.abs(orbit[:, k % 3] - image).max(axis=(1, 2, 3))
        chosen.add(int(gaps.argmin()))
        np.testing.assert_allclose(image, orbit[gaps.argmin(), k % 3], atol=1e-4)  # of pixels up to 96
        np.testing.assert_allclose(target, orbit_y[gaps.argmin(), k % 3], atol=1e-6)
    assert len(chosen) > 1


def test_groups_act_on_points_of_the_plane():
    points = jnp.asarray([[[1.0, 0.0], [0.5, 2.0]]])
    copies = FullOrbit(dihedral(4), space=Points(2)).copies(points)
    np.testing.assert_array_equal(copies[1, 0], [[0, 1], [-2, 0.5]])  # a quarter turn to the left
    np.testing.assert_array_equal(copies[4, 0], [[-1, 0], [-0.5, 2]])  # mirrored left to right
    np.testing.assert_array_equal(copies[5, 0], [[0, -1], [-2, -0.5]])  # mirrored, then turned


@pytest.mark.parametrize("elements", [(), (0, 4), (-1,), (1, 1), (0.5,), (True,), ("0",)], ids=str)
def test_elements_that_are_none_are_refused(elements):
    with pytest.raises(ValueError, match=r"must be different indices of C4, 0 to 3, one at least") as error:
        FixedElements(cyclic(4), elements)
    assert repr(elements) in str(error.value)


@pytest.mark.parametrize("count", [0, 9, 2.0, True, None])
def test_numbers_of_elements_that_cannot_be_drawn_are_refused(count):
    with pytest.raises(ValueError, match=f"count is {count}; of D4 it must be 1 to 8"):
        RandomElements(dihedral(4), count)


@pytest.mark.parametrize("policy", [FullOrbit, RandomElement])
def test_what_is_no_planar_group_is_refused(policy):
    with pytest.raises(ValueError, match=f"{policy.__name__}: the group is 4; it must be cyclic"):
        policy(4)
    with pytest.raises(ValueError, match=r"C4 acts on the plane, but Points\(dimension=3\) has 3 dimensions"):
        policy(cyclic(4), space=Points(3))


@pytest.mark.parametrize("policy", [FullOrbit(cyclic(4)), RandomElement(cyclic(4)), FullOrbit(cyclic(8))], ids=str)
def test_what_are_no_images_is_refused(policy):
    with pytest.raises(ValueError, match=r"shape \((3, )?5,?\)"):
        policy(KEY, jnp.zeros((3, 5)), NAMES)
