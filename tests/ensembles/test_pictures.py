"""The out-of-distribution pictures: Ising spins against exact enumeration, printed letters."""

import math
from itertools import product

import numpy as np
import pytest

from ensembles.data import ising, letters, standardise_each
from ensembles.data.ising import CRITICAL_TEMPERATURE, heat_bath
from ensembles.data.letters import FONTS, draw


def energy(spins):
    """Per site, each of the 2 bonds a site has on the torus counted once."""
    return -np.mean(spins * (np.roll(spins, 1, 1) + np.roll(spins, 1, 2)), axis=(1, 2))


@pytest.mark.parametrize("temperature", [2.0, 3.0, 10.0])
def test_energy_of_spins_is_the_exact_one(temperature):
    """Boltzmann's mean over all 2^16 states of a 4×4 torus, to 4.5 standard errors."""
    states = np.array(list(product((-1, 1), repeat=16))).reshape(-1, 4, 4)
    levels = energy(states)
    weights = np.exp(-16 * (levels - levels.min()) / temperature)
    weights /= weights.sum()
    exact, spread = weights @ levels, math.sqrt(weights @ levels**2 - (weights @ levels) ** 2)
    found = energy(heat_bath(np.random.default_rng(0), 4000, 4, temperature, sweeps=60))
    assert abs(found.mean() - exact) < 4.5 * spread / math.sqrt(4000)


def test_spins_are_standardised_pictures():
    data = ising(6, 8, temperature=3.0)
    assert data.inputs.shape == (6, 8, 8, 1)
    assert data.labels is None
    for image in data.inputs:
        assert len(np.unique(image)) == 2
        # float32 rounding of values of order one.
        np.testing.assert_allclose([image.mean(), image.std()], [0, 1], atol=1e-6)


def test_spins_are_drawn_by_the_seed_and_the_temperature():
    data = ising(4, 4, sweeps=5)
    assert data.fingerprint == ising(4, 4, CRITICAL_TEMPERATURE, sweeps=5).fingerprint
    assert data.fingerprint not in (ising(4, 4, seed=1, sweeps=5).fingerprint, ising(4, 4, 9.0, sweeps=5).fingerprint)
    # Kramers and Wannier: the model on the square lattice is its own dual at sinh(2/T) = 1.
    assert math.isclose(math.sinh(2 / CRITICAL_TEMPERATURE), 1, rel_tol=1e-12)


def test_cold_spins_align_without_overflow():
    """All up or all down nearly everywhere, where exp(8/T) is beyond float64."""
    spins = heat_bath(np.random.default_rng(0), 20, 4, temperature=0.005, sweeps=100)
    assert abs(spins.mean((1, 2))).mean() > 0.8


@pytest.mark.parametrize("size", [0, 3, -2])
def test_ising_refuses_sizes(size):
    with pytest.raises(ValueError, match=f"size is {size}; the checkerboard update needs an even size"):
        ising(1, size)


@pytest.mark.parametrize("temperature", [0, -1, math.nan])
def test_ising_refuses_temperatures(temperature):
    with pytest.raises(ValueError, match=f"temperature is {temperature}; it must be positive"):
        ising(1, 4, temperature)


@pytest.fixture(scope="module")
def alphabet():
    return letters(52 * len(FONTS), size=8)


def test_letters_are_distinct_and_standardised(alphabet):
    images = alphabet.inputs.reshape(len(alphabet), -1)
    assert images.shape == (624, 64)
    assert len(np.unique(images, axis=0)) == 624
    # float32 rounding of values of order one; a blank picture would have variance 0.
    np.testing.assert_allclose(images.mean(1), 0, atol=1e-6)
    np.testing.assert_allclose(images.std(1), 1, atol=1e-6)
    assert np.all(np.bincount(alphabet.labels) == len(FONTS))
    assert "".join(alphabet.classes) == "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz".swapcase()


def test_letters_look_like_their_labels(alphabet):
    """Most letters are nearest to the same letter in another font, up to case: chance would be 1 in 26."""
    images = alphabet.inputs.reshape(len(alphabet), -1)
    distances = ((images[:, None] - images) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    names = np.array([alphabet.classes[label].lower() for label in alphabet.labels])
    assert np.mean(names[distances.argmin(1)] == names) > 0.9


@pytest.mark.parametrize("font", FONTS)
def test_letters_are_drawn_whole_and_centred(font):
    """Margins on opposite sides agree to the pixel that rounding takes; capitals fill about three quarters."""
    for letter in "HLTox":
        picture = draw(font, letter, 32)
        assert 0 <= picture.min() < picture.max() <= 1
        for axis in (0, 1):
            inked = np.flatnonzero(picture.any(axis))
            before, after = inked[0], 31 - inked[-1]
            assert abs(before - after) <= 1
            if axis == 1 and letter in "HLT":
                assert 0.7 <= (inked[-1] - inked[0] + 1) / 32 <= 0.82


def test_letters_are_the_labelled_ones_drawn_by_the_seed():
    some = letters(30, 8)
    for image, label in zip(some.inputs, some.labels, strict=True):
        drawn = standardise_each(np.stack([draw(font, some.classes[label], 8) for font in FONTS])[..., None])
        assert (image == drawn).all((1, 2, 3)).any()  # the labelled letter, in one of the fonts
    assert some.fingerprint == letters(30, 8).fingerprint != letters(30, 8, seed=1).fingerprint
    assert len(np.unique(some.labels)) > 15


@pytest.mark.parametrize("samples", [0, 625])
def test_letters_refuses_what_it_does_not_have(samples):
    with pytest.raises(ValueError, match=f"{samples} samples asked for; it must be between 1 and 624"):
        letters(samples, 8)
