"""Sets as they came: what is drawn of them, and their normalisation."""

import numpy as np
import pytest

from tests.support.raw_sets import molecules, raw
from widesym.ensembles.data import DataError
from widesym.ensembles.data.raw import RawSplit, moments


def test_pixels_are_normalised_with_training_statistics_channel_by_channel():
    train, test = raw().splits(seed=1)
    assert train.inputs.dtype == test.inputs.dtype == np.float32
    assert (len(train), len(test), train.classes, train.provenance) == (30, 10, ("a", "b", "ç"), "drawn")
    # float32 rounding of values of order one.
    np.testing.assert_allclose(train.inputs.mean((0, 1, 2)), 0, atol=1e-6)
    np.testing.assert_allclose(train.inputs.std((0, 1, 2)), 1, atol=1e-6)
    pixels = raw().train.inputs.astype(float)
    mean, deviation = pixels.mean((0, 1, 2)), pixels.std((0, 1, 2))
    for data, part in ((train, raw().train), (test, raw().test)):
        expected = (part.inputs - mean) / deviation
        # Rounded to float32 after the shift and after the scale.
        np.testing.assert_allclose(data.inputs, expected, rtol=3e-7, atol=1e-7)
        np.testing.assert_array_equal(data.labels, part.labels)


def test_floats_are_normalised_likewise_and_constant_channels_become_zero():
    images = np.random.default_rng(0).standard_normal((2500, 2, 2, 3)) * [3, 0, 20] + [5, 0.3, -100]
    train, test = RawSplit(images[:2400]), RawSplit(images[2400:])
    # The same sums in float64, in another order; they are over more than two blocks.
    np.testing.assert_allclose(
        moments(train.inputs[..., 0]), [train.inputs[..., 0].mean(), train.inputs[..., 0].std()], 1e-12
    )
    splits = raw(train=train, test=test, classes=()).splits()
    np.testing.assert_allclose(splits.train.inputs.std((0, 1, 2)), [1, 0, 1], atol=1e-5)  # float32 sums
    np.testing.assert_allclose(splits.test.inputs[..., 1], 0, atol=1e-7)


@pytest.mark.parametrize("scale", [1e-50, 1e-10, 1e37, 1e100])
def test_floats_of_any_scale_are_normalised(scale):
    images = np.random.default_rng(0).random((40, 2, 2, 1)) * scale
    train, _ = raw(train=RawSplit(images), test=None, classes=()).splits()
    # Sums in float64 of numbers rounded to float32.
    np.testing.assert_allclose([train.inputs.mean(dtype=float), train.inputs.std(dtype=float)], [0, 1], atol=1e-6)


@pytest.mark.filterwarnings("error")
def test_floats_too_far_apart_for_float32_are_refused():
    images = 10 * np.random.default_rng(0).random((8, 2, 2, 1))
    for train, test in ((images * 1e200, images), (images, images * 1e60)):
        with pytest.raises(DataError, match=r"shapes: inputs run from 0\.\d+ to \S+e\+\d+, too far apart to be norm"):
            raw(train=RawSplit(train), test=RawSplit(test), classes=()).splits()


@pytest.mark.parametrize(("samples", "sizes"), [(2, [1, 1]), (3, [2, 1]), (7, [6, 1]), (8, [6, 2])])
def test_a_small_set_in_one_piece_keeps_at_least_one_sample_to_test(samples, sizes):
    few = raw(train=RawSplit(np.arange(samples * 4.0).reshape(samples, 2, 2, 1)), test=None, classes=())
    assert [len(part) for part in few.splits()] == sizes


def test_samples_are_drawn_if_fewer_are_asked_for():
    data = raw()
    train, test = data.drawn(train=7, seed=2)
    places = [np.flatnonzero((data.train.inputs == x).all((1, 2, 3))) for x in train.inputs]
    assert len({int(place[0]) for place in places}) == 7
    assert [data.train.labels[place[0]] for place in places] == list(train.labels)
    np.testing.assert_array_equal(test.inputs, data.test.inputs)  # all of them, in their order
    others = [data.drawn(7, seed=seed)[0].inputs for seed in (2, 3)]
    np.testing.assert_array_equal(train.inputs, others[0])
    assert (train.inputs != others[1]).any()
    few = data.drawn(test=4, seed=2)[1].inputs
    assert len({x.tobytes() for x in few} & {x.tobytes() for x in data.test.inputs}) == 4
    # Statistics are those of the samples that train.
    np.testing.assert_allclose(data.splits(train=7, seed=2).train.inputs.mean((0, 1, 2)), 0, atol=1e-6)


def test_a_set_in_one_piece_has_a_part_held_out_by_the_seed():
    data = molecules()
    train, test = data.drawn(seed=5)
    assert (len(train.inputs), len(test.inputs)) == (16, 4)
    both = np.concatenate([train.inputs, test.inputs])
    assert {x.tobytes() for x in both} == {x.tobytes() for x in data.train.inputs}
    pairs = {(x.tobytes(), y.tobytes()) for x, y in zip(data.train.inputs, data.train.values, strict=True)}
    assert {(x.tobytes(), y.tobytes()) for x, y in zip(test.inputs, test.values, strict=True)} < pairs
    # The test set is the same however many train.
    for again in (data.drawn(train=3, seed=5), data.drawn(seed=5)):
        np.testing.assert_array_equal(again[1].inputs, test.inputs)
    assert (data.drawn(seed=6)[1].inputs != test.inputs).any()
    assert [len(part.inputs) for part in data.drawn(train=2, test=7)] == [2, 7]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": ("a",)}, "labels run from 0 to 2, but there are 1 classes"),
        ({"test": RawSplit(np.zeros((1, 4, 5, 2)))}, r"differ in shape, \(4, 4, 2\) and \(4, 5, 2\)"),
        ({"test": None, "train": RawSplit(np.array([[1], [np.nan]]))}, "shapes: 1 input values are not finite"),
    ],
)
def test_what_a_data_set_would_refuse_is_refused(changes, message):
    with pytest.raises(DataError, match=message):
        raw(**changes)


@pytest.mark.parametrize(
    ("made", "train", "test", "message"),
    [
        (raw, 31, None, "shapes, training samples: 31 asked for, at least 1, and there are 30"),
        (raw, None, 11, "shapes, test samples: 11 asked for, at least 1, and there are 10"),
        (raw, "ten", None, "training samples: 'ten' asked for; it must be a whole number"),
        (raw, None, 2.0, r"test samples: 2\.0 asked for; it must be a whole number"),
        (molecules, None, 2.5, r"molecules, test samples: 2\.5 asked for; it must be a whole number"),
        (raw, 0, None, "training samples: 0 asked for"),
        (raw, None, -1, "test samples: -1 asked for"),
        (molecules, 17, None, "molecules, training samples: 17 asked for, at least 1, and there are 16"),
        (molecules, None, 20, "training samples: all asked for, at least 1, and there are 0"),
        (molecules, None, 21, "training samples: all asked for, at least 1, and there are 0"),
        (molecules, None, 0, "test samples: 0 asked for, at least 1, and there are 0"),
    ],
)
def test_more_samples_than_there_are_are_refused(made, train, test, message):
    with pytest.raises(DataError, match=message):
        made().splits(train, test)
