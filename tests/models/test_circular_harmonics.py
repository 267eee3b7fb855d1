"""Filters that turn by any angle: exact where the grid is, of an invariant law, and turning no worse than escnn's."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from tests.support import turned_fields
from widesym.models.layers.circular_harmonics import filter_basis, outer_width, rotated_basis

ARRAYS = np.load(Path(__file__).parent / "escnn" / "arrays.npz")
BUMPS = [ARRAYS[f"bumps/{part}"] for part in ("heights", "centres", "widths")]
APPROXIMATE = {"C8": (8, False), "C16": (16, False), "D8": (8, True)}
DRAWS = {"lifting": 64, "group": 12}  # as many as of escnn's
ANY_SIZE = range(1, 8)


@pytest.mark.parametrize("size", ANY_SIZE)
@pytest.mark.parametrize("rotations", [1, 2, 4])
def test_exact_on_the_grid(rotations, size):
    """Turned functions are turned arrays, to the last bit: rotations after flips of the columns."""
    basis = filter_basis(size)
    for g, turned in enumerate(np.moveaxis(rotated_basis(rotations, True, size), 1, 0)):
        flipped = np.flip(basis, axis=2) if g >= rotations else basis
        np.testing.assert_array_equal(turned, np.rot90(flipped, g % rotations * 4 // rotations, axes=(1, 2)))


def test_turns_as_jax_does():
    """rot90 of JAX is that of NumPy, on (row, column)."""
    basis = filter_basis(3)
    turned = rotated_basis(4, False, 3)[:, 1]
    np.testing.assert_array_equal(jnp.rot90(basis, axes=(1, 2)), np.float32(turned))


@pytest.mark.parametrize("rotations", [3, 8, 12])
def test_elements_are_turns(rotations):
    """The element g holds B_b at g⁻¹y: e^{ikφ} gains the phase e^{−2πikr/n}, after a flip that negates e^{−iφ}."""
    size, harmonics = 5, {1: slice(2, 4), 2: slice(4, 6)}  # of the middle ring: cosine and sine
    basis, turned = filter_basis(size), rotated_basis(rotations, True, size)
    for k, pair in harmonics.items():
        cosine, sine = basis[pair]
        for g in range(2 * rotations):
            phase = np.exp(-2j * np.pi * k * (g % rotations) / rotations)
            expected = phase * (cosine + 1j * sine)
            if g >= rotations:
                expected = (-1) ** k * np.conj(expected)
            # Rounding in float64 of numbers below one.
            np.testing.assert_allclose(turned[pair, g], [expected.real, expected.imag], atol=1e-14)


@pytest.mark.parametrize("size", ANY_SIZE)
@pytest.mark.parametrize("rotations", [1, 3, 4, 8])
def test_law_is_invariant(rotations, size):
    """The covariance of W(g⁻¹y) for w ~ N(0, 1) is the same for all g, and of total variance one per function."""
    turned = rotated_basis(rotations, True, size).reshape(-1, 2 * rotations, size**2)
    covariances = np.einsum("bgy,bgz->gyz", turned, turned)
    # Rounding in float64 of sums of a few dozen numbers below one.
    np.testing.assert_allclose(covariances, np.broadcast_to(covariances[0], covariances.shape), atol=1e-13)
    np.testing.assert_allclose(np.trace(covariances[0]), len(turned), rtol=1e-13)
    if rotations == 8:
        np.testing.assert_allclose(np.mean(np.sum(turned**2, axis=2), axis=1), 1, rtol=1e-13)


@pytest.mark.parametrize("size", ANY_SIZE)
def test_functions_are_independent(size):
    """None is a combination of the others, as aliases would be, nor nearly so."""
    basis = filter_basis(size).reshape(-1, size**2)
    values = np.linalg.svd(basis, compute_uv=False)
    assert values[-1] > 0.1 * values[0]


@pytest.mark.parametrize(("size", "functions"), [(1, 1), (3, 6), (5, 11), (7, 18)])
def test_as_many_functions_as_escnn(size, functions):
    """escnn's R2Conv from a scalar to one regular field of C8 has so many weights."""
    assert len(filter_basis(size)) == functions


@pytest.mark.parametrize("size", range(3, 16))
def test_outermost_ring_has_its_width(size):
    """The second harmonics' second moments are those of one function turned by 45°."""
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    cosine, sine = filter_basis(size)[-2:]
    turned_moment, moment = np.sum(sine * -2 * row * column), np.sum(cosine * (column**2 - row**2))
    assert 0.3 < outer_width(size) < 0.5
    # Bisection to float64's precision, of sums of size ten.
    np.testing.assert_allclose(turned_moment, moment, rtol=1e-12)


def filters(kind, rotations, reflections, size):
    """Banks W(g⁻¹y, g⁻¹p) with i.i.d. normal coefficients, [draw, element, element or 1, row, column]."""
    basis = rotated_basis(rotations, reflections, size)
    elements, rng = range(basis.shape[1]), np.random.default_rng(0)
    if kind == "lifting":
        return np.einsum("db,bgij->dgij", rng.standard_normal((DRAWS[kind], len(basis))), basis)[:, :, None]
    weight = rng.standard_normal((DRAWS[kind], len(elements), len(basis)))
    # g⁻¹p = q where gq = p.
    origin = [np.argsort([turned_fields.product(g, q, rotations) for q in elements]) for g in elements]
    return np.einsum("dgpb,bgij->dgpij", weight[:, np.array(origin)], basis)


@pytest.mark.parametrize("size", [3, 5, 7])
@pytest.mark.parametrize("kind", DRAWS)
@pytest.mark.parametrize("group", APPROXIMATE)
def test_turns_no_worse_than_escnn(group, kind, size):
    """The error of equivariance under one step of rotation, on the same images as escnn's (make_arrays.py).

    It is less than that of filters as escnn draws them, and than that of escnn's functions under our law.
    """
    rotations, reflections = APPROXIMATE[group]
    g = 1 + (rotations if reflections else 0)
    banks = filters(kind, rotations, reflections, size)
    ours = turned_fields.layer_error(banks, rotations, g, BUMPS)
    escnns, evenly = (float(ARRAYS[f"error/{group}/{kind}/{size}/{law}"]) for law in ("escnn", "even"))
    print(f"{group} {kind} {size}×{size}: {ours:.5f}, escnn {escnns:.5f}, under our law {evenly:.5f}")
    assert turned_fields.spline_error(rotations, g, BUMPS) < ours / 10  # so it is the layer's error that is measured
    assert ours <= min(escnns, evenly)


@pytest.mark.parametrize("group", ["C4", "D4"])
def test_no_error_under_right_angles(group):
    """The measure itself: for groups of the grid it finds rounding alone."""
    rotations, reflections = 4, group == "D4"
    banks = filters("group", rotations, reflections, 5)[:1]
    # Float64's rounding, and the quintic splines' at their own knots.
    assert turned_fields.layer_error(banks, rotations, 1 + 4 * reflections, BUMPS) < 1e-12


def test_arrays_are_kept_and_safe():
    assert rotated_basis(8, True, 5) is rotated_basis(8, True, 5)
    with pytest.raises(ValueError, match="read-only"):
        filter_basis(3)[...] = 0
    with pytest.raises(ValueError, match="read-only"):
        rotated_basis(8, False, 3)[...] = 0


@pytest.mark.parametrize(("rotations", "size", "told"), [(0, 3, "rotations is 0"), (8, 2.5, "size is 2.5")])
def test_bad_input(rotations, size, told):
    with pytest.raises(ValueError, match=told):
        rotated_basis(rotations, False, size)
