"""The data set type, the digits, and noise with a data set's statistics."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from widesym.ensembles import CrossEntropy
from widesym.ensembles.data import DataError, Dataset, Digits, Quantity, matched_noise, standardise_each
from widesym.ensembles.data.generators import noise


def dataset(images, labels=None, classes=("a", "b")):
    return Dataset("set", images, labels, classes, "made up")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (np.ones(3), None, r"set: inputs have shape \(3,\); it must be \[sample, …, channel\], not empty"),
        (np.ones((0, 2, 2, 1)), None, "not empty"),
        (np.full((1, 2, 2, 1), np.nan), None, "4 input values are not finite"),
        (np.full((1, 2, 1, 1), np.inf), None, "2 input values are not finite"),
        (np.ones((3, 2, 2, 1)), np.array([0, 1]), r"3 inputs but labels of shape \(2,\)"),
        (np.ones((2, 2, 2, 1)), np.eye(2, dtype=int), r"2 inputs but labels of shape \(2, 2\)"),
        (np.ones((2, 2, 2, 1)), np.array([0.0, 1.0]), "labels are float64; they must be whole numbers"),
        (np.ones((2, 2, 2, 1)), np.array([True, False]), "labels are bool; they must be whole numbers"),
        (np.ones((2, 2, 2, 1)), np.array([0, 2]), "labels run from 0 to 2, but there are 2 classes"),
        (np.ones((2, 2, 2, 1)), np.array([-1, 1]), "labels run from -1 to 1"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(images, labels, message):
    with pytest.raises(ValueError, match=message):
        dataset(images, labels)


@pytest.mark.parametrize(
    ("values", "quantities", "message"),
    [
        (np.ones((3, 2)), 1, r"values have shape \(3, 2\); for 3 samples and 1 quantities it must be \(3, 1\)"),
        (np.ones(3), 1, r"values have shape \(3,\)"),
        (None, 1, "values have shape None; for 3 samples and 1 quantities"),
        (np.ones((3, 1)), 0, r"for 3 samples and 0 quantities it must be \(3, 0\)"),
        (np.full((3, 1), np.nan), 1, "3 values are not finite"),
    ],
)
def test_values_that_do_not_fit_are_refused(values, quantities, message):
    named = tuple(Quantity(f"q{index}", "eV") for index in range(quantities))
    with pytest.raises(ValueError, match=message):
        Dataset("set", np.ones((3, 2)), None, (), "made up", values, named)


def test_values_are_their_own_targets():
    data = Dataset("set", np.ones((2, 5)), None, (), "made up", np.array([[1.5], [2]]), (Quantity("energy", "eV"),))
    np.testing.assert_array_equal(data.targets(), np.float32([[1.5], [2]]))
    assert replace(data, values=data.values + 1).fingerprint != data.fingerprint


def test_fingerprint_is_of_the_numbers():
    images, labels = np.arange(8.0).reshape(2, 2, 2, 1), np.array([0, 1])
    data = dataset(images, labels)
    assert len(data) == 2
    same = replace(data, name="renamed", inputs=np.asfortranarray(images), labels=labels.astype(np.int8))
    assert same.fingerprint == data.fingerprint
    others = [replace(data, inputs=images + np.eye(2)[:, :, None, None]), replace(data, labels=labels[::-1])]
    others += [replace(data, labels=None), replace(data, inputs=images[::-1])]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 5


def test_targets_are_what_the_loss_wants():
    data = Dataset("three", np.ones((2, 1, 1, 1)), np.array([0, 2]), ("a", "b", "c"), "made up")
    expected = np.float32([[2 / 3, -1 / 3, -1 / 3], [-1 / 3, -1 / 3, 2 / 3]])
    found = data.targets()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-6)  # one rounding to float32
    np.testing.assert_array_equal(data.targets(CrossEntropy()), np.eye(3, dtype="f")[[0, 2]])
    with pytest.raises(ValueError, match="three: there are neither labels nor values"):
        replace(data, labels=None).targets()


def test_each_image_is_standardised_alone():
    images = np.random.default_rng(0).standard_normal((3, 4, 4, 2)) * [[[[3, 1]]]] + 5
    images[1] *= 100
    images[2] = 7  # constant: nothing to divide by
    found = standardise_each(images)
    assert found.dtype == np.float32
    # float32 rounding of values of order one.
    np.testing.assert_allclose(found.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(found.std((1, 2, 3)), [1, 1, 0], atol=1e-6)
    scale = images[0, 0, 0, 0] - images[0, 1, 1, 1]
    np.testing.assert_allclose(found[0, 0, 0, 0] - found[0, 1, 1, 1], scale / images[0].std(), rtol=1e-5)


def sources(data):
    """Index of the scikit-learn image that each image is an affine function of."""
    pixels = load_digits().data
    originals, images = (standardise_each(x.reshape(-1, 8, 8, 1)).reshape(-1, 64) for x in (pixels, data.inputs))
    similarity = images @ originals.T / 64
    assert similarity.max(1).min() > 1 - 1e-5  # float32 rounding; other images stay far below
    return similarity.argmax(1)


def test_digits_are_disjoint_labelled_and_normalised_with_the_training_set():
    train, test = Digits(60, 50).load()
    assert (train.inputs.shape, test.inputs.shape) == ((60, 8, 8, 1), (50, 8, 8, 1))
    assert (train.name, test.name, train.classes) == ("train", "test", tuple("0123456789"))
    assert train.inputs.dtype == np.float32
    of_train, of_test = sources(train), sources(test)
    assert len({*of_train, *of_test}) == 110
    pixels, labels = load_digits(return_X_y=True)
    np.testing.assert_array_equal(train.labels, labels[of_train])
    np.testing.assert_array_equal(test.labels, labels[of_test])
    mean, deviation = pixels[of_train].mean(), pixels[of_train].std()
    for data, indices in ((train, of_train), (test, of_test)):
        expected = ((pixels[indices] - mean) / deviation).reshape(-1, 8, 8, 1)
        np.testing.assert_allclose(data.inputs, expected, rtol=1e-6, atol=1e-6)  # one rounding to float32


def test_digits_are_drawn_by_the_seed():
    first, again, other = (Digits(20, 10, seed).load() for seed in (3, 3, 4))
    assert [part.fingerprint for part in first] == [part.fingerprint for part in again]
    assert first[0].fingerprint != other[0].fingerprint
    assert set(sources(first[0])) != set(sources(other[0]))
    assert len(np.unique(first[0].labels)) > 5  # drawn at random, not in some class's order


def test_all_digits_are_there_by_default():
    assert [len(part) for part in Digits().load()] == [1438, 359]


@pytest.mark.parametrize(("train", "test"), [(0, 5), (5, 0), (1797, 1), (900, 898)])
def test_digits_refuses_what_it_does_not_have(train, test):
    with pytest.raises(DataError, match=r"digits, (training|test) samples: .* asked for, at least 1, and there are"):
        Digits(train, test).load()


def test_noise_has_the_mean_and_covariance_of_the_data(monkeypatch):
    """Before standardisation, each entry to 4.5 standard errors of Gaussian samples."""
    monkeypatch.setattr(noise, "standardise_each", lambda images: images)
    rng = np.random.default_rng(0)
    # Eight images only: to divide by seven instead would be three times the bound.
    pixels = rng.standard_normal((8, 6)) @ rng.standard_normal((6, 6)) + np.arange(6)
    drawn = matched_noise(dataset(pixels.reshape(8, 2, 3, 1)), 20_000, seed=1).inputs
    assert drawn.shape == (20_000, 2, 3, 1)
    drawn, covariance = drawn.reshape(-1, 6), np.cov(pixels.T, ddof=0)
    variance = np.diag(covariance)
    assert np.all(abs(drawn.mean(0) - pixels.mean(0)) < 4.5 * np.sqrt(variance / len(drawn)))
    error = np.sqrt((np.outer(variance, variance) + covariance**2) / len(drawn))
    assert np.all(abs(np.cov(drawn.T) - covariance) < 4.5 * error)


def test_noise_takes_no_more_memory_than_its_draws_and_a_block_and_is_the_same():
    pixels = np.random.default_rng(0).gamma(0.5, size=(6000, 20, 20, 1)).astype("f")
    data = dataset(pixels)
    tracemalloc.start()
    found = matched_noise(data, 300, seed=4).inputs  # more than are made at once
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    draws = 256 * 6000 * 8
    assert peak < draws + pixels.nbytes  # the data in float64 would be twice as much
    deviations = (pixels - pixels.mean(0, dtype=float)).reshape(6000, -1)
    draws = np.random.default_rng(4).standard_normal((300, 6000))
    expected = pixels.mean(0, dtype=float) + (draws @ deviations / np.sqrt(6000)).reshape(300, 20, 20, 1)
    expected = (expected - expected.mean((1, 2, 3), keepdims=True)) / expected.std((1, 2, 3), keepdims=True)
    np.testing.assert_allclose(found, expected, atol=3e-6)  # rounded to float32 before and after it is standardised


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e30])
@pytest.mark.parametrize("offset", [0, 1000])
def test_images_are_standardised_whatever_their_scale_and_constant_ones_become_0(scale, offset):
    images = ((np.random.default_rng(0).standard_normal((3, 8, 6, 2)) + offset) * scale).astype("f")
    images[1] = np.float32(0.3 * scale)  # of which the mean is rounded
    found = standardise_each(images).astype(float)
    assert not found[1].any()
    for image in found[[0, 2]]:
        assert abs(image.mean()) < 1e-6  # float32 rounding of values of order one
        assert abs(image.std() - 1) < 1e-6


def test_noise_images_are_standardised_and_drawn_by_the_seed():
    like, _ = Digits(40, 1).load()
    found, again, other = (matched_noise(like, 12, seed) for seed in (0, 0, 1))
    assert found.inputs.shape == (12, 8, 8, 1)
    assert found.labels is None
    # float32 rounding of values of order one.
    np.testing.assert_allclose(found.inputs.mean((1, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(found.inputs.std((1, 2, 3)), 1, atol=1e-6)
    assert found.fingerprint == again.fingerprint != other.fingerprint
