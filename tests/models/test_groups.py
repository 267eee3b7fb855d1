"""The groups: axioms, and the action (ρ_g f)(t) = f(ρ_g⁻¹ t) straight from its definition."""

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.oracles import matrix
from widesym.models import cyclic, dihedral

EXACT = [make(n) for make in (cyclic, dihedral) for n in (1, 2, 4)]
ALL = [*EXACT, cyclic(3), cyclic(8), dihedral(3), dihedral(8)]


def grid_for(group):
    """A grid that the group maps to itself: not square where the group allows it."""
    return (4, 4) if group.needs_square else (3, 4)


def rotated_by_definition(f, group, g):
    """(ρ_g f)(t) = f(ρ_g⁻¹ t) on [row, column, …], with t counted from the centre of the grid."""
    out, centre = np.zeros_like(f), (np.array(f.shape[:2]) - 1) / 2
    for t in product(*map(range, f.shape[:2])):
        source = np.linalg.inv(matrix(group, g)) @ (np.array(t) - centre) + centre
        out[t] = f[tuple(np.rint(source).astype(int))]
    return out


@pytest.mark.parametrize("group", ALL, ids=str)
def test_group_axioms(group):
    assert list(group.elements) == list(range(group.rotations * (2 if group.reflections else 1)))
    for g, h, k in product(group.elements, repeat=3):
        assert group.product(g, group.product(h, k)) == group.product(group.product(g, h), k)
        assert group.product(g, 0) == group.product(0, g) == g
        assert group.product(g, group.inverse(g)) == group.product(group.inverse(g), g) == 0
    for g in group.elements:  # a Latin square: every element once in every row
        assert sorted(group.product(g, h) for h in group.elements) == list(group.elements)


@pytest.mark.parametrize("group", ALL, ids=str)
def test_product_is_that_of_rotations_and_mirrors(group):
    """As 2 × 2 matrices; n rotations by 2π/n, then the same after a mirroring."""
    angles = 2 * np.pi * np.arange(group.rotations) / group.rotations
    turns = [np.array([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]]) for a in angles]
    matrices = [*turns, *(turn @ np.diag([1, -1]) for turn in turns)]
    for g, h in product(group.elements, repeat=2):
        np.testing.assert_allclose(matrices[group.product(g, h)], matrices[g] @ matrices[h], atol=1e-12)


@pytest.mark.parametrize("group", EXACT, ids=str)
def test_rotation_is_its_definition(group):
    f = np.arange(np.prod(grid_for(group)) * 2).reshape(*grid_for(group), 2)
    for g in group.elements:
        np.testing.assert_array_equal(group.rotate(f, g, (0, 1)), rotated_by_definition(f, group, g))


@pytest.mark.parametrize("group", EXACT, ids=str)
def test_images_and_orbit(group):
    images = np.arange(np.prod(grid_for(group)) * 6).reshape(3, *grid_for(group), 2)
    by_element = [[rotated_by_definition(image, group, g) for image in images] for g in group.elements]
    for g in group.elements:
        np.testing.assert_array_equal(group.rotate_images(images, g), by_element[g])
    np.testing.assert_array_equal(group.orbit(images), np.concatenate(by_element))


@pytest.mark.parametrize("group", EXACT, ids=str)
def test_stack_action_is_its_definition(group):
    """(ρ_g z)(t, r) = z(ρ_g⁻¹ t, g⁻¹ r)."""
    shape = (2, group.order, *grid_for(group), 3)
    z = np.arange(np.prod(shape)).reshape(shape)
    for g, r in product(group.elements, repeat=2):
        (before,) = (h for h in group.elements if group.product(g, h) == r)
        source = np.moveaxis(z[:, before], (1, 2), (0, 1))
        expected = np.moveaxis(rotated_by_definition(source, group, g), (0, 1), (1, 2))
        np.testing.assert_array_equal(group.rotate_stack(jnp.asarray(z), g)[:, r], expected)


@pytest.mark.parametrize("group", EXACT, ids=str)
def test_actions_compose(group):
    """ρ_g ρ_h = ρ_gh on images and on stacks."""
    shape = (1, group.order, *grid_for(group), 1)
    z = jnp.arange(np.prod(shape)).reshape(shape)
    images = z[0]
    for g, h in product(group.elements, repeat=2):
        gh = group.product(g, h)
        np.testing.assert_array_equal(
            group.rotate_images(group.rotate_images(images, h), g), group.rotate_images(images, gh)
        )
        np.testing.assert_array_equal(group.rotate_stack(group.rotate_stack(z, h), g), group.rotate_stack(z, gh))


@pytest.mark.parametrize("n", [0, -4, 2.5, "4", None])
@pytest.mark.parametrize("make", [cyclic, dihedral])
def test_numbers_of_rotations_that_do_not_exist_are_refused(make, n):
    with pytest.raises(ValueError, match=r"a group of n rotations has n = 1, 2, 3, …, not ") as error:
        make(n)
    assert repr(n) in str(error.value)


@pytest.mark.parametrize("group", [cyclic(8), cyclic(3), dihedral(8)], ids=str)
def test_groups_off_the_grid_rotate_no_images(group):
    with pytest.raises(ValueError, match=f"{group} does not map a pixel grid to itself.*1, 2, 4"):
        group.rotate_images(np.zeros((1, 5, 5, 1)), 1)
