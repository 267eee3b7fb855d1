"""Printed letters, out of distribution to most sets."""

import numpy as np
import pytest

from widesym.ensembles.data import standardise_each
from widesym.ensembles.data.generators.letters import FONTS, draw, letters


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
