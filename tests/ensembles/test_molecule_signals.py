"""Molecules as signals on the sphere, one for each atom."""

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.polynomial.legendre import Legendre, leggauss

from tests.support.so3_oracles import dh_sphere
from widesym.ensembles.augmentation import DrawnRotations, SphereSignals
from widesym.ensembles.data.transforms import signals_at, spherical_signals
from widesym.models.spherical.wigner import sphere_weights

METHANAL = np.array([[6, 8, 1, 1]])
PLACES = np.array([[[0, 0, 0], [1.2, 0, 0], [-0.6, 0.9, 0.1], [-0.6, -0.9, 0]]])


def random_molecules(count=3, atoms=6, seed=0):
    rng = np.random.default_rng(seed)
    return rng.choice([1, 6, 7, 8, 9], (count, atoms)), rng.uniform(-2.5, 2.5, (count, atoms, 3))


def signals_of(z, r, directions):
    """The formula, term by term."""
    beta = (1 - np.cos(np.pi / 4)) ** 2 / -np.log(0.05)
    signals = np.zeros((len(z), len(directions), 10))
    for i in range(len(z)):
        for j in range(len(z)):
            if i != j:
                offset = r[j] - r[i]
                distance = np.sqrt(offset @ offset)
                gauss = np.exp(-((1 - directions @ offset / distance) ** 2) / beta)
                for k, power in enumerate((2, 6)):
                    channel = 2 * [1, 6, 7, 8, 9].index(z[j]) + k
                    signals[i, :, channel] += z[i] * z[j] / distance**power * gauss
    return signals


def close(found, expected):
    """To float32 rounding of the exponent, up to some 20, times the largest value."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


def test_signals_are_the_formula():
    z, r = random_molecules()
    found = spherical_signals(z, r)
    assert (found.shape, found.dtype) == ((3, 29, 12, 11, 10), np.float32)
    points = dh_sphere(6).reshape(-1, 3)
    for signal, numbers, places in zip(found, z, r, strict=True):
        close(signal[:6].reshape(6, -1, 10), signals_of(numbers, places, points))
    assert not found[:, 6:].any()


def test_a_neighbour_is_a_gaussian_around_its_direction():
    """Oxygen seen from methanal's carbon: 6·8/1.2^p at the centre, 5 % of that at 45°, in oxygen's channels alone."""
    directions = np.array([[1, 0, 0], [np.sqrt(0.5), np.sqrt(0.5), 0], [0, 1, 0]])
    seen = signals_at(directions, METHANAL[:, :2], PLACES[:, :2])[0, 0]
    np.testing.assert_allclose(seen[0, 6:8], [48 / 1.2**2, 48 / 1.2**6], rtol=1e-5)  # float32 rounding
    np.testing.assert_allclose(seen[1, 6:8] / seen[0, 6:8], 0.05, rtol=1e-4)  # of an exponent of 3
    assert not np.delete(seen, [6, 7], axis=1).any()


def test_turning_a_molecule_turns_its_signals():
    """(ρ_R x)(u) = x(R⁻¹u): exactly, and as band-limited signals turn but for the Gaussians' part above bandlimit 6."""
    z, r = random_molecules(atoms=4)
    R = DrawnRotations(1, 5).matrices[0]
    upright, turned = spherical_signals(z, r, atoms=4), spherical_signals(z, r @ R.T, atoms=4)
    close(turned, signals_at(dh_sphere(6) @ R, z, r))
    by_harmonics = np.asarray(SphereSignals().turned(jnp.asarray(upright), jnp.asarray(R, jnp.float32)))
    weights = sphere_weights(6)[:, :, None]
    error, change = (np.sqrt((weights * (x - turned) ** 2).sum()) for x in (by_harmonics, upright))
    norm = np.sqrt((weights * turned**2).sum())
    # What is beyond the bandlimit is dropped on one side and taken for lower degrees on both.
    assert 0.8 * norm_beyond(6) < error / norm < 1.3 * norm_beyond(6)
    assert change / norm > 0.5


def norm_beyond(bandlimit):
    """Of the Gaussian exp(−(1 − cos θ)²/β) the part, in norm, at degrees l ≥ bandlimit: 12 % at 6, 1.4 % at 12."""
    cosines, weights = leggauss(200)
    gauss = np.exp(-((1 - cosines) ** 2) * np.log(20) / (1 - np.cos(np.pi / 4)) ** 2)
    degrees = np.arange(60)
    squares = np.array([np.sum(weights * gauss * Legendre.basis(d)(cosines)) ** 2 * (2 * d + 1) for d in degrees])
    return np.sqrt(squares[bandlimit:].sum() / squares.sum())


def test_signals_do_not_see_shifts_and_follow_their_atoms():
    z, r = random_molecules()
    signals = spherical_signals(z, r, atoms=8)
    close(spherical_signals(z, r + np.array([3, -7, 11]), atoms=8), signals)
    order = np.array([3, 0, 5, 1, 4, 2])
    close(spherical_signals(z[:, order], r[:, order], atoms=8)[:, :6], signals[:, order])


def test_padding_is_silent():
    """Wherever it is, whatever its position, and however many slots there are."""
    z, r = random_molecules(atoms=3)
    alone = spherical_signals(z, r, atoms=3)
    padded_z, padded_r = np.zeros((3, 40), int), np.full((3, 40, 3), np.nan)
    padded_z[:, [0, 2, 4]], padded_r[:, [0, 2, 4]] = z, r
    padded = spherical_signals(padded_z, padded_r, atoms=5)
    assert padded.shape == (3, 5, 12, 11, 10)
    np.testing.assert_array_equal(padded[:, [0, 2, 4]], alone)
    assert not padded[:, [1, 3]].any()
    assert not spherical_signals(np.array([[6]]), np.zeros((1, 1, 3)), atoms=2).any()  # nothing to see


def test_molecules_in_batches(monkeypatch):
    z, r = random_molecules(7)
    expected = spherical_signals(z, r, bandlimit=3, elements=(1, 6, 7, 8, 9, 16), powers=(1, 2, 3))
    assert expected.shape == (7, 29, 6, 5, 18)
    monkeypatch.setattr("widesym.ensembles.data.transforms.molecules.AT_ONCE", 3)
    # Matrix products of other sizes may round differently.
    close(spherical_signals(z, r, bandlimit=3, elements=(1, 6, 7, 8, 9, 16), powers=(1, 2, 3)), expected)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: spherical_signals(METHANAL, PLACES, bandlimit=0), "spherical_signals: bandlimit is 0"),
        (lambda: spherical_signals(METHANAL[0], PLACES), r"atomic numbers have shape \(4,\) and positions \(1, 4, 3\)"),
        (lambda: spherical_signals(METHANAL, PLACES[..., :2]), r"positions \(1, 4, 2\); they must be"),
        (
            lambda: spherical_signals(np.where(METHANAL == 8, 16, METHANAL), PLACES),
            r"atom 1 of molecule 0, atomic number 16, is of no element of \(1, 6, 7, 8, 9\)",
        ),
        (
            lambda: spherical_signals(METHANAL, PLACES, atoms=3),
            "atom 3 of molecule 0, atomic number 1, is beyond the 3",
        ),
        (lambda: spherical_signals(METHANAL, PLACES * np.nan), "atom 0 of .* has a position that is not finite"),
        (lambda: spherical_signals(METHANAL, PLACES * 0), "molecule 0 has 4 atoms in one place"),
    ],
)
def test_what_is_no_molecule_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
