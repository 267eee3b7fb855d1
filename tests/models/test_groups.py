"""The rotation groups: axioms, and the action (ρ_g f)(t) = f(ρ_g⁻¹ t) straight from its definition."""

from itertools import product

import jax.numpy as jnp
import numpy as np
import pytest
from oracles import turn

from models import cyclic

ORDERS = [1, 2, 4]


def grid_for(order):
    """A grid that the group maps to itself: not square where the group allows it."""
    return (4, 4) if order == 4 else (3, 4)


def rotated_by_definition(f, order, g):
    """(ρ_g f)(t) = f(ρ_g⁻¹ t) on [row, column, …], with t counted from the centre of the grid."""
    out, centre = np.zeros_like(f), (np.array(f.shape[:2]) - 1) / 2
    for t in product(*map(range, f.shape[:2])):
        source = np.linalg.inv(turn(order, g)) @ (np.array(t) - centre) + centre
        out[t] = f[tuple(np.rint(source).astype(int))]
    return out


@pytest.mark.parametrize("order", ORDERS)
def test_group_axioms(order):
    group = cyclic(order)
    assert list(group.elements) == list(range(order))
    for g, h, k in product(group.elements, repeat=3):
        assert group.product(g, group.product(h, k)) == group.product(group.product(g, h), k)
        assert group.product(g, 0) == group.product(0, g) == g
        assert group.product(g, group.inverse(g)) == group.product(group.inverse(g), g) == 0
    for g in group.elements:  # a Latin square: every element once in every row
        assert sorted(group.product(g, h) for h in group.elements) == list(group.elements)


@pytest.mark.parametrize("order", ORDERS)
def test_rotation_is_its_definition(order):
    f = np.arange(np.prod(grid_for(order)) * 2).reshape(*grid_for(order), 2)
    for g in range(order):
        np.testing.assert_array_equal(cyclic(order).rotate(f, g, (0, 1)), rotated_by_definition(f, order, g))


@pytest.mark.parametrize("order", ORDERS)
def test_images_and_orbit(order):
    group, images = cyclic(order), np.arange(np.prod(grid_for(order)) * 6).reshape(3, *grid_for(order), 2)
    by_element = [[rotated_by_definition(image, order, g) for image in images] for g in group.elements]
    for g in group.elements:
        np.testing.assert_array_equal(group.rotate_images(images, g), by_element[g])
    np.testing.assert_array_equal(group.orbit(images), np.concatenate(by_element))


@pytest.mark.parametrize("order", ORDERS)
def test_stack_action_is_its_definition(order):
    """(ρ_g z)(t, r) = z(ρ_g⁻¹ t, g⁻¹ r)."""
    group, shape = cyclic(order), (2, order, *grid_for(order), 3)
    z = np.arange(np.prod(shape)).reshape(shape)
    for g, r in product(group.elements, repeat=2):
        source = np.moveaxis(z[:, (r - g) % order], (1, 2), (0, 1))
        expected = np.moveaxis(rotated_by_definition(source, order, g), (0, 1), (1, 2))
        np.testing.assert_array_equal(group.rotate_stack(jnp.asarray(z), g)[:, r], expected)


@pytest.mark.parametrize("order", ORDERS)
def test_actions_compose(order):
    """ρ_g ρ_h = ρ_gh on images and on stacks."""
    group, shape = cyclic(order), (1, order, *grid_for(order), 1)
    z = jnp.arange(np.prod(shape)).reshape(shape)
    images = z[0]
    for g, h in product(group.elements, repeat=2):
        gh = group.product(g, h)
        np.testing.assert_array_equal(
            group.rotate_images(group.rotate_images(images, h), g), group.rotate_images(images, gh)
        )
        np.testing.assert_array_equal(group.rotate_stack(group.rotate_stack(z, h), g), group.rotate_stack(z, gh))


@pytest.mark.parametrize("n", [0, 3, 5, 8, -4, "4", None])
def test_groups_off_the_grid_are_refused(n):
    with pytest.raises(ValueError, match=r"cyclic\(.*\) does not map a pixel grid to itself.*\(1, 2, 4\)") as error:
        cyclic(n)
    assert repr(n) in str(error.value)
