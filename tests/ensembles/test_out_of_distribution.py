"""Probes made of a data set: other images at its size, noise with its statistics, permutations, corruptions."""

import math
from dataclasses import replace

import numpy as np
import pytest

from widesym.ensembles.data import DataError, Dataset, Normalisation, Quantity
from widesym.ensembles.data.corruptions import CONTRASTS, WIDTHS, blur, contrast
from widesym.ensembles.data.out_of_distribution import (
    corrupted,
    drawn,
    like,
    permuted_pixels,
    pixel_noise,
    standardised,
    uniform_noise,
    white_noise,
)
from widesym.ensembles.data.transforms import grayscale, resize, rgb

ROUNDING = 2e-6  # of a few float32 operations on numbers of order one


def dataset(*shape, name="set", seed=0, values=None):
    rng = np.random.default_rng(seed)
    scale, shift = rng.uniform(0.5, 2, shape[1:]), rng.uniform(-2, 2, shape[1:])
    inputs = (rng.standard_normal(shape) * scale + shift).astype(np.float32)
    labels = rng.integers(0, 2, shape[0])
    quantities = () if values is None else (Quantity("q"),)
    return Dataset(name, inputs, labels, ("a", "b"), "made up", values, quantities)


@pytest.mark.parametrize(("found", "wanted"), [(1, 1), (3, 3), (1, 3), (3, 1), (2, 2)])
def test_another_set_is_brought_to_the_shape(found, wanted):
    data, other = dataset(3, 6, 5, wanted), dataset(4, 9, 7, found, name="other", seed=1)
    other = replace(other, normalisation=Normalisation((0,) * found, (1,) * found))  # as they came
    probe = like(other, data)
    recolour = {(1, 3): rgb, (3, 1): grayscale}.get((found, wanted), lambda images: images)
    np.testing.assert_allclose(probe.inputs, resize(recolour(other.inputs), 6, 5), atol=ROUNDING)
    assert (probe.name, len(probe), probe.labels is other.labels) == ("other", 4, True)
    assert probe.provenance.startswith("made up; ")
    assert probe.provenance.endswith("resize(6, 5)")
    assert like(data, data) is data


def test_noise_has_the_mean_and_variance_of_each_pixel():
    """To 5 standard errors of independent Gaussian samples, which have no covariance."""
    data = dataset(50, 3, 2, 2)
    found = pixel_noise(data, 20_000).inputs.reshape(20_000, 12).astype(float)
    pixels = data.inputs.reshape(50, 12).astype(float)
    variance = pixels.var(0)
    assert np.all(abs(found.mean(0) - pixels.mean(0)) < 5 * np.sqrt(variance / len(found)))
    error = np.sqrt((np.outer(variance, variance) + np.diag(variance**2)) / len(found))
    assert np.all(abs(np.cov(found.T) - np.diag(variance)) < 5 * error)


def test_noise_has_the_mean_and_variance_of_all_pixels():
    data = dataset(50, 3, 2, 2)
    found = white_noise(data, 20_000).inputs.reshape(20_000, 12).astype(float)
    mean, variance = data.inputs.mean(), data.inputs.astype(float).var()
    assert np.all(abs(found.mean(0) - mean) < 5 * np.sqrt(variance / len(found)))
    error = variance * np.sqrt((1 + np.eye(12)) / len(found))
    assert np.all(abs(np.cov(found.T) - variance * np.eye(12)) < 5 * error)


def test_uniform_noise_fills_the_range():
    data = dataset(50, 3, 2, 2)
    found = uniform_noise(data, 2000).inputs
    low, high = data.inputs.min(), data.inputs.max()
    places = (found - low) / (high - low)
    assert 0 <= places.min() < 1e-3
    assert 1 - 1e-3 < places.max() <= 1 + ROUNDING
    for power in (1, 2):  # of u^p: mean 1/(p + 1), mean square 1/(2p + 1)
        error = math.sqrt((1 / (2 * power + 1) - 1 / (power + 1) ** 2) / places.size)
        assert abs((places**power).mean() - 1 / (power + 1)) < 5 * error


@pytest.mark.parametrize("noise", [pixel_noise, white_noise, uniform_noise])
@pytest.mark.parametrize("shape", [(4, 4, 1), (5,), (3, 6, 5, 2)])
def test_noise_is_of_the_datas_shape_and_drawn_by_the_seed(noise, shape):
    data = dataset(10, *shape)
    first, again, other = (noise(data, 7, seed) for seed in (0, 0, 1))
    assert first.inputs.shape == (7, *shape)
    assert (first.inputs.dtype, first.labels, first.values) == (np.float32, None, None)
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert first.provenance.endswith("set, seed 0")


def test_probes_are_normalised_on_request():
    probe = standardised(white_noise(dataset(10, 6, 6, 2), 5))
    np.testing.assert_allclose(probe.inputs.mean((1, 2, 3)), 0, atol=ROUNDING)
    np.testing.assert_allclose(probe.inputs.std((1, 2, 3)), 1, rtol=ROUNDING)


def test_pixels_are_permuted_alike_in_all_samples():
    inputs = np.arange(20 * 3 * 4 * 2, dtype=np.float32).reshape(20, 3, 4, 2)  # every number tells where it was
    labels = np.arange(20)
    data = Dataset("set", inputs, labels, tuple(map(str, labels)), "made up", labels[:, None] * 1.0, (Quantity("q"),))
    probe, fewer, other = permuted_pixels(data, 12), permuted_pixels(data, 5), permuted_pixels(data, 12, seed=1)
    sample, pixel, channel = np.unravel_index(probe.inputs.astype(int).reshape(12, 12, 2), (20, 12, 2))
    np.testing.assert_array_equal(sample, np.broadcast_to(probe.labels[:, None, None], sample.shape))
    np.testing.assert_array_equal(channel, np.broadcast_to([0, 1], channel.shape))
    assert (pixel == pixel[:1, :, :1]).all()
    assert sorted(pixel[0, :, 0]) == list(range(12)) != list(pixel[0, :, 0])
    assert (probe.values, probe.quantities, probe.classes) == (None, (), data.classes)
    assert probe.fingerprint == permuted_pixels(data, 12).fingerprint
    of_fewer, of_another_seed = (x.inputs[0, :, :, 0].astype(int).ravel() // 2 % 12 for x in (fewer, other))
    np.testing.assert_array_equal(of_fewer, pixel[0, :, 0])
    assert (of_another_seed != pixel[0, :, 0]).any()


def test_drawn_samples_keep_their_labels_and_values():
    inputs = np.arange(8, dtype=np.float32)[:, None]
    data = Dataset("set", inputs, np.arange(8), tuple("abcdefgh"), "made up", inputs * 10, (Quantity("q"),))
    part = drawn(data, 5, seed=2)
    assert len(np.unique(part.inputs)) == 5
    np.testing.assert_array_equal(part.labels, part.inputs[:, 0])
    np.testing.assert_array_equal(part.values, part.inputs * 10)
    assert part.provenance == "made up; 5 drawn by seed 2"
    assert sorted(drawn(data, 8).inputs[:, 0]) == list(range(8)) != list(drawn(data, 8).inputs[:, 0])


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_contrast_shrinks_deviations_from_each_images_mean(severity):
    images = dataset(4, 5, 6, 3).inputs
    found = contrast(images, severity)
    np.testing.assert_allclose(found.mean((1, 2)), images.mean((1, 2)), atol=ROUNDING)
    np.testing.assert_allclose(found.std((1, 2)), CONTRASTS[severity - 1] * images.std((1, 2)), rtol=1e-5)
    np.testing.assert_allclose(
        found - found[:, :1, :1], CONTRASTS[severity - 1] * (images - images[:, :1, :1]), atol=1e-5
    )


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_blur_spreads_a_point_by_the_gaussians_width(severity):
    """σ for each 32 pixels of width; the sum is kept, as the point is far from the border."""
    image = np.zeros((1, 65, 96, 2), np.float32)
    image[0, 32, 48] = [1, 2]
    found = blur(image, severity)[0].astype(float)
    np.testing.assert_allclose(found.sum((0, 1)), [1, 2], rtol=1e-5)  # float32 rounding of a sum
    width = 3 * WIDTHS[severity - 1]
    row, column = np.indices((65, 96))
    for moment in (((row - 32) ** 2)[..., None], ((column - 48) ** 2)[..., None]):
        # Sampled at whole pixels a Gaussian of 1.2 pixels keeps its variance to 1e-10; cut at 4σ it loses 1e-3 of it.
        np.testing.assert_allclose((found * moment).sum((0, 1)) / [1, 2], width**2, rtol=3e-3)
    ratio = found[32, 49, 0] / found[32, 48, 0]
    np.testing.assert_allclose(ratio, math.exp(-1 / (2 * width**2)), rtol=1e-5)


def test_blur_continues_the_border():
    constant = np.full((1, 4, 7, 1), 3.0)
    np.testing.assert_allclose(blur(constant, 5), 3, rtol=ROUNDING)
    step = np.zeros((1, 1, 32, 1))
    step[0, 0, 0] = 1
    # Not narrower where the image is small.
    np.testing.assert_allclose(blur(step[:, :, :8], 1)[0, 0], blur(step, 1)[0, 0, :8], rtol=ROUNDING)
    beyond = [math.exp(-(k**2) / (2 * 0.4**2)) for k in range(-2, 3)]  # 4σ = 1.6 pixels
    np.testing.assert_allclose(blur(step, 1)[0, 0, 0, 0], sum(beyond[:3]) / sum(beyond), rtol=1e-5)


@pytest.mark.parametrize("corruption", [contrast, blur])
def test_corrupted_samples(corruption):
    data = dataset(6, 8, 8, 1, values=np.ones((6, 1)))
    probe = corrupted(data, 4, seed=3, corruption=corruption, severity=5)
    part = drawn(data, 4, seed=3)
    np.testing.assert_array_equal(probe.inputs, corruption(part.inputs, 5))
    np.testing.assert_array_equal(probe.labels, part.labels)
    assert (probe.name, probe.values, probe.quantities) == (corruption.__name__, None, ())
    assert probe.provenance == f"made up; 4 drawn by seed 3; {corruption.__name__}(5)"


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda data: like(data, dataset(2, 4, 4, 2)), DataError, "set has 3 channels and set 2; only 3 can be made"),
        (lambda data: like(dataset(2, 5, name="v"), data), ValueError, r"v: inputs have shape \(2, 5\); images"),
        (lambda data: like(data, dataset(2, 5, name="v")), ValueError, r"v: inputs have shape \(2, 5\); images"),
        (lambda data: drawn(data, 4), ValueError, "4 samples asked of set, which has 3"),
        (lambda data: permuted_pixels(data, 0), ValueError, "samples is 0; it must be a positive integer"),
        (lambda data: pixel_noise(data, 0), ValueError, "pixel_noise: samples is 0"),
        (lambda data: white_noise(data, -1), ValueError, "white_noise: samples is -1"),
        (lambda data: uniform_noise(data, 0), ValueError, "uniform_noise: samples is 0"),
        (
            lambda data: corrupted(data, 2, corruption=blur, severity=6),
            ValueError,
            "blur: severity is 6; it must be one",
        ),
        (lambda data: contrast(data.inputs, 0), ValueError, "contrast: severity is 0"),
        (lambda data: blur(data.inputs[0]), ValueError, r"blur: inputs have shape \(4, 4, 3\)"),
    ],
)
def test_what_cannot_be_made_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make(dataset(3, 4, 4, 3))
