"""What is done to normalised inputs is what is done to the values that they were made of, by NumPy on the bytes."""

from dataclasses import replace

import numpy as np
import pytest

from widesym.ensembles.data import (
    DataError,
    Dataset,
    Digits,
    Normalisation,
    from_arrays,
    like,
    matched_noise,
    ood_sets,
    standardised,
)
from widesym.ensembles.data.corruptions import CONTRASTS, blur, contrast
from widesym.ensembles.data.out_of_distribution import corrupted, drawn, permuted_pixels, printed_letters
from widesym.ensembles.data.transforms import grayscale, in_grey, pad_or_crop, resize, rgb, to_sphere, transformed

ROUNDING = 1e-5  # inputs are float32 numbers of up to about 10 deviations; undone, of up to 255


def bytes_of_colours(samples=30, rows=6, columns=6, seed=0):
    """A red that varies much, a green that hardly varies and a dark blue: deviations of about 74, 6 and 9."""
    rng = np.random.default_rng(seed)
    ranges = ((0, 256), (100, 120), (0, 30))
    return np.stack([rng.integers(*each, (samples, rows, columns)) for each in ranges], -1).astype(np.uint8)


def coloured(**shape):
    """The set of these bytes, all but one sample of it, and the bytes in the same order."""
    pixels = bytes_of_colours(**shape)
    splits = from_arrays((pixels[1:], np.arange(1, len(pixels)) % 2), (pixels[:1], np.zeros(1, int)), ("a", "b"))
    return splits.splits().train, pixels[1:].astype(float)


def luminance(pixels):
    return 0.299 * pixels[..., 0] + 0.587 * pixels[..., 1] + 0.114 * pixels[..., 2]


def each_at_unit_variance(images):
    axes = tuple(range(1, images.ndim))
    return (images - images.mean(axes, keepdims=True)) / images.std(axes, keepdims=True)


def test_inputs_say_what_they_were_made_of():
    data, pixels = coloured()
    np.testing.assert_allclose(data.normalisation.shift, pixels.mean((0, 1, 2)), rtol=1e-12)  # of sums in float64
    np.testing.assert_allclose(data.normalisation.scale, pixels.std((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(data.normalisation.undone(data.inputs), pixels, atol=255 * ROUNDING)
    np.testing.assert_array_equal(data.normalisation.applied(pixels), data.inputs)
    np.testing.assert_allclose(data.normalisation.undone(np.array(data.normalisation.of(7))), 7, rtol=1e-12)


def test_another_set_is_made_grey_before_it_was_normalised():
    """On normalised channels the weights would count the dark blue eight times, and the correlation be .59."""
    data, pixels = coloured(samples=40, rows=8, columns=8)
    probe = standardised(like(data, Digits(20, 10).load().train))
    np.testing.assert_allclose(probe.inputs[..., 0], each_at_unit_variance(luminance(pixels)), atol=ROUNDING)


@pytest.mark.parametrize(
    "make_grey", [in_grey, lambda data: transformed(data, grayscale)], ids=["in_grey", "grayscale"]
)
def test_luminance_is_of_values_as_they_came_and_normalised_again(make_grey):
    data, pixels = coloured()
    found = make_grey(data)
    assert found.inputs.shape == (29, 6, 6, 1)
    assert found.inputs.dtype == np.float32
    np.testing.assert_allclose(found.normalisation.undone(found.inputs)[..., 0], luminance(pixels), atol=255 * ROUNDING)
    assert abs(found.inputs.mean()) < ROUNDING
    expected = luminance(pixels).std() / luminance(pixels.std((0, 1, 2)))
    np.testing.assert_allclose(found.inputs.std(), expected, rtol=ROUNDING)
    assert found.provenance.endswith("; grayscale of values as they came")
    # Equal channels vary together: their luminance is one of them.
    np.testing.assert_allclose(make_grey(transformed(found, rgb)).inputs, found.inputs, atol=ROUNDING)


def test_a_set_that_was_squeezed_turned_or_standardised_before_is_made_grey_alike():
    data, pixels = coloured(rows=6, columns=6)
    blocks = luminance(pixels.reshape(29, 3, 2, 3, 2, 3).mean((2, 4)))
    for order in ((standardised, in_grey, standardised), (in_grey, standardised)):
        found = transformed(data, resize, 3, 3)
        for step in order:
            found = step(found)
        np.testing.assert_allclose(found.inputs[..., 0], each_at_unit_variance(blocks), atol=ROUNDING)
    for make in ood_sets(data).values():
        probe = make(data, 5, 0)
        if probe.name != "letters":  # which were never in colour
            assert probe.normalisation == data.normalisation
    noise = matched_noise(data, 5)
    weights = np.array([0.299, 0.587, 0.114]) * pixels.std((0, 1, 2))
    grey = each_at_unit_variance(noise.inputs.astype(float) @ weights)
    np.testing.assert_allclose(standardised(in_grey(noise)).inputs[..., 0], grey, atol=ROUNDING)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda data: transformed(data, resize, 3, 2), lambda v: v.reshape(29, 3, 2, 2, 3, 3).mean((2, 4))),
        (lambda data: corrupted(data, 29, 1, corruption=contrast, severity=5), lambda v: faded(shuffled(v, 1))),
        (lambda data: corrupted(data, 29, 1, corruption=blur), lambda v: blur(shuffled(v, 1), 3)),
        (lambda data: permuted_pixels(data, 29), lambda v: permuted(shuffled(v, 0))),
        (
            lambda data: transformed(data, pad_or_crop, 8, 6, data.normalisation.of(0)),
            lambda v: np.pad(v, ((0, 0), (1, 1), (0, 0), (0, 0))),
        ),
        (
            lambda data: transformed(data, to_sphere, 4, background=data.normalisation.of(0)),
            lambda v: to_sphere(v, 4),
        ),
    ],
    ids=["resize", "contrast", "blur", "permuted", "pad", "sphere"],
)
def test_on_each_channel_it_is_the_same_before_and_after(made, expected):
    data, pixels = coloured()
    found = made(data)
    np.testing.assert_allclose(found.normalisation.undone(found.inputs), expected(pixels), atol=255 * ROUNDING)


def shuffled(pixels, seed):
    """As `drawn` orders all samples."""
    numbers = np.arange(29.0)[:, None]
    return pixels[drawn(Dataset("numbers", numbers, None, (), ""), 29, seed).inputs[:, 0].astype(int)]


def faded(pixels):
    mean = pixels.mean((1, 2), keepdims=True)
    return mean + CONTRASTS[-1] * (pixels - mean)


def permuted(pixels):
    order = np.random.default_rng((0, 1)).permutation(36)
    return pixels.reshape(29, 36, 3)[:, order].reshape(29, 6, 6, 3)


def test_colours_of_which_nothing_is_known_are_not_made_grey():
    data, _ = coloured()
    grey = Digits(20, 10).load().train
    unknown = [replace(data, normalisation=None), transformed(data, np.tanh)]
    for each in unknown:
        for make in (in_grey, lambda colours: like(colours, grey), lambda colours: transformed(colours, grayscale)):
            with pytest.raises(DataError, match="train: luminance is of colours as they came, and it is not known how"):
                make(each)
    with pytest.raises(ValueError, match="train: images have 1 channels; red, green and blue"):
        in_grey(grey)
    raw = replace(data, inputs=bytes_of_colours().astype("f"), labels=None)
    as_they_came = replace(raw, normalisation=Normalisation((0, 0, 0), (1, 1, 1)))
    np.testing.assert_allclose(in_grey(as_they_came).inputs[..., 0], luminance(bytes_of_colours() * 1.0), rtol=1e-6)


@pytest.mark.parametrize(
    ("shift", "scale"), [((), ()), ((0,), (1, 1)), ((0,), (0,)), ((0,), (-1,)), ((np.nan,), (1,)), ((0,), (np.inf,))]
)
def test_what_is_no_normalisation_is_refused(shift, scale):
    with pytest.raises(ValueError, match="they must be one finite number for each channel, scales positive"):
        Normalisation(shift, scale)


def test_a_normalisation_is_of_the_channels_that_there_are():
    data, _ = coloured()
    with pytest.raises(ValueError, match="train: the normalisation is of 1 channels, but inputs have 3"):
        replace(data, normalisation=Normalisation((0,), (1,)))


def test_letters_are_at_unit_variance_however_they_were_squeezed():
    data, _ = coloured(rows=6, columns=9)
    images = printed_letters(data, 20).inputs.astype(float)
    np.testing.assert_allclose(images.mean((1, 2, 3)), 0, atol=ROUNDING)
    np.testing.assert_allclose(images.std((1, 2, 3)), 1, rtol=ROUNDING)
