"""Sets made of formulas: Ising spins and their energies, the toy function, cross products."""

import json
import math

import numpy as np
import pytest

from widesym.ensembles.augmentation import DrawnRotations
from widesym.ensembles.data import DataError, Dataset, Source
from widesym.ensembles.data.generators.cross_product import CrossProduct, other_norms
from widesym.ensembles.data.generators.ising import IsingEnergies
from widesym.ensembles.data.generators.letters import FONTS, draw, rendered
from widesym.ensembles.data.generators.toy import Toy, evenly_spaced
from widesym.models.description import describe

SOURCES = (IsingEnergies(4, 6, 5), Toy(6, 5), Toy(6, 5, dimension=2), CrossProduct(6, 5))


def within(found, expected, standard_error, times=5):
    assert abs(found - expected) < times * standard_error, (found, expected, standard_error)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: type(source).__name__)
def test_sources_are_described_seeded_and_of_two_parts(source):
    assert isinstance(source, Source)
    assert json.loads(json.dumps(describe(source)))["type"] == type(source).__name__
    again, other = type(source)(**vars(source)), type(source)(**{**vars(source), "seed": 1})
    first, same, changed = (made.load() for made in (source, again, other))
    assert (len(first.train), len(first.test)) == (6, 5)
    for part, equal, unequal in zip(first, same, changed, strict=True):
        assert part.fingerprint == equal.fingerprint != unequal.fingerprint
        assert part.inputs.dtype == part.values.dtype == np.float32
        assert part.labels is None
        assert "seed 0" in part.provenance
    assert not np.array_equal(first.train.inputs[:5], first.test.inputs)


@pytest.mark.parametrize("dimension", [1, 2])
def test_toy_points_are_uniform_in_the_ball(dimension):
    data = Toy(4000, 1, dimension).load().train
    radius = np.linalg.norm(data.inputs.astype(float), axis=1)
    np.testing.assert_allclose(data.values[:, 0], np.cos(np.pi * radius), atol=1e-6)  # float32 rounding
    assert radius.max() <= 1 + 1e-6
    # r^d is uniform in [0, 1]; so are directions: the components' mean square is 1/(d + 2).
    within((radius**dimension).mean(), 0.5, math.sqrt(1 / 12 / 4000))
    for component in data.inputs.T:
        spread = component.std() / math.sqrt(4000)
        within(component.mean(), 0, spread)
        within((component**2).mean(), 1 / (dimension + 2), (component**2).std() / math.sqrt(4000))


def test_points_to_draw_on():
    line = evenly_spaced(5)
    np.testing.assert_array_equal(line.inputs, [[-2], [-1], [0], [1], [2]])
    np.testing.assert_allclose(line.values, [[1], [-1], [1], [-1], [1]], atol=1e-6)  # float32 rounding
    plane = evenly_spaced(3, 2, reach=0.5)
    np.testing.assert_array_equal(plane.inputs[:4], [[-0.5, -0.5], [-0.5, 0], [-0.5, 0.5], [0, -0.5]])
    np.testing.assert_allclose(plane.values.reshape(3, 3)[1], [0, 1, 0], atol=1e-6)


def test_cross_products_are_products_and_turn_with_their_factors():
    data = CrossProduct(200, 1).load().train
    assert (data.inputs.shape, data.values.shape) == ((200, 2, 3), (200, 3))
    u, v = np.moveaxis(data.inputs.astype(float), 1, 0)
    levi_civita = np.zeros((3, 3, 3))
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        levi_civita[i, j, k], levi_civita[i, k, j] = 1, -1
    expected = np.einsum("ijk,sj,sk->si", levi_civita, u, v)
    np.testing.assert_allclose(data.values, expected, atol=1e-6)  # float32 rounding of values of order one
    turned = data.inputs @ DrawnRotations(1, 0).matrices[0].T
    np.testing.assert_allclose(
        np.cross(turned[:, 0], turned[:, 1]), data.values @ DrawnRotations(1, 0).matrices[0].T, atol=2e-6
    )
    assert [quantity.name for quantity in data.quantities] == ["(u × v)_x", "(u × v)_y", "(u × v)_z"]


def test_vectors_are_isotropic_and_of_their_norms():
    near = CrossProduct(3000, 1).load().train
    far = other_norms(near, 3000)
    for data, (low, high) in ((near, (0.5, 1.5)), (far, (2, 4))):
        norms = np.linalg.norm(data.inputs, axis=-1)
        # float32 rounding at the ends
        assert low - 1e-6 <= norms.min() < norms.max() <= high + 1e-6
        within(norms.mean(), (low + high) / 2, (high - low) / math.sqrt(12 * norms.size))
        u = (data.inputs / norms[..., None]).reshape(-1, 3)
        # ⟨u_i⟩ = 0, ⟨u_i u_j⟩ = δ_ij/3, ⟨u_i⁴⟩ = 1/5, ⟨u_i⁸⟩ = 1/9, ⟨u_i⁴u_j⁴⟩ = 1/105
        assert abs(u.mean(0)).max() < 5 / math.sqrt(3 * len(u))
        assert abs(u.T @ u / len(u) - np.eye(3) / 3).max() < 5 * math.sqrt((1 / 5 - 1 / 9) / len(u))
        within((u**4).sum(1).mean(), 3 / 5, math.sqrt((3 / 9 + 6 / 105 - 9 / 25) / len(u)))
        assert abs(np.corrcoef(norms.T)[0, 1]) < 5 / math.sqrt(3000)
        assert abs((data.inputs[:, 0] * data.inputs[:, 1] / norms.prod(1)[:, None]).sum(1).mean()) < 5 / math.sqrt(9000)


def test_longer_vectors_are_others():
    """Though both sets have seed 0."""
    near = CrossProduct(50, 1).load().train
    far = other_norms(near, 50)
    u, v = (data.inputs / np.linalg.norm(data.inputs, axis=-1, keepdims=True) for data in (near, far))
    assert abs((u * v).sum(-1)).mean() < 0.7  # 1/2 for independent directions
    assert CrossProduct(1, 1, [1, 2]) == CrossProduct(1, 1, (1, 2))  # as JSON gives it back


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Toy(dimension=3), "Toy: dimension is 3; it must be 1, the line, or 2, the plane"),
        (lambda: Toy(test=0), "Toy: test is 0"),
        (lambda: evenly_spaced(0), "evenly_spaced: points is 0"),
        (lambda: evenly_spaced(3, reach=0), "evenly_spaced: reach is 0; it must be positive"),
        (lambda: CrossProduct(2, 0), "CrossProduct: test is 0"),
        (lambda: CrossProduct(2, 2, (2, 1)), r"CrossProduct: norms are \(2, 1\); they must be a least and a greatest"),
        (lambda: CrossProduct(2, 2, (0, 0)), r"norms are \(0, 0\)"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("shape", "samples", "error", "message"),
    [
        ((3, 3), 2, DataError, r"set: inputs have shape \(3, 3\); pairs of vectors have \(2, 3\)"),
        ((2, 3), 0, ValueError, "other_norms: samples is 0; it must be a positive integer"),
    ],
)
def test_longer_vectors_are_of_pairs_of_vectors(shape, samples, error, message):
    data = Dataset("set", np.ones((2, *shape), np.float32), None, (), "made up")
    with pytest.raises(error, match=message):
        other_norms(data, samples)


@pytest.mark.parametrize("font", FONTS)
def test_wide_letters_are_drawn_whole(font):
    """All of the ink that the letter has at some size, its own or a little less."""
    for letter in "HMWjm":
        ink = draw(font, letter, 8).sum() * 16  # means over blocks of 4 × 4
        assert any(math.isclose(ink, rendered(font, letter, points).sum(), rel_tol=1e-9) for points in range(24, 33))
