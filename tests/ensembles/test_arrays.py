"""Arrays passed in Python."""

import numpy as np
import pytest

from tests.support.stored_pictures import CLASSES, check_splits, pictures
from widesym.ensembles.data import DataError, from_arrays


def test_arrays_are_normalised_with_their_own_test_set_or_one_that_is_drawn():
    train, test = pictures(9, (4, 4, 3), 0), pictures(5, (4, 4, 3), 1)
    check_splits(from_arrays(train, test, CLASSES).splits(), train, test, CLASSES)
    drawn = from_arrays(train).splits(train=4, test=2)
    assert [len(part) for part in drawn] == [4, 2]
    assert drawn.train.classes == ("0", "1", "2")
    grey = from_arrays((train[0][..., 0].tolist(), train[1][:, None])).splits()
    assert grey.train.inputs.shape == (7, 4, 4, 1)
    assert grey.train.provenance == "arrays, passed in Python"


def test_labels_of_any_whole_type_go_together():
    images, labels = pictures(9, (4, 4), 0)
    for types in (("u8", "i8"), ("u1", "i2"), (">i4", "u8")):
        train, test = ((images, labels.astype(dtype)) for dtype in types)
        splits = from_arrays(train, test).splits()
        assert splits.train.classes == ("0", "1", "2")
        np.testing.assert_array_equal(splits.test.labels, labels)


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        ((np.ones((2, 3)), [0, 1]), None, r"mine\[train images\]: float64 array of shape \(2, 3\); images must be"),
        ((np.ones((2, 3, 3)), [0]), None, r"mine\[train labels\]: 1 labels for 2 images"),
        ((np.ones((2, 3, 3)), [0.5, 1]), None, r"mine\[train labels\]: float64 array .* one whole number"),
        ((np.ones((2, 3, 3)), [0, 2]), None, "mine: the training labels that occur are 0, 2; give classes"),
        ((np.ones((2, 3, 3)), [0.0, 1.0]), None, r"float64 array .* numbers to regress on are no labels"),
        (
            (np.ones((2, 3, 3)), np.eye(2, dtype=int)),
            None,
            r"int64 array of shape \(2, 2\).* \(the argmax of one-hot rows",
        ),
        ((np.ones((2, 3, 3)), [True, False]), None, r"mine\[train labels\]: bool array .* one whole number"),
        ((np.ones((2, 3, 3)), ["a", "b"]), None, r"mine\[train labels\]: <U1 array .* one whole number"),
        ((np.ones((2, 3, 3)), [-1, 0]), None, "mine: the training labels that occur are -1, 0; give classes"),
        ((np.ones((2, 3, 3)), [0, 0]), (np.ones((1, 3, 3)), [1]), r"mine\[test labels\]: label 1 of image 0 is out of"),
        ((np.array([[["x"]]] * 2, object), [0, 1]), None, r"mine\[train images\]: object array"),
        ((np.ma.masked_less(np.arange(18).reshape(2, 3, 3), 4), [0, 1]), None, r"images\]: 4 numbers are masked; fill"),
        ((np.ones((2, 3, 3)), [0, 1]), (np.ones((1, 4, 3)), [0]), "mine: training and test inputs differ in shape"),
        ((np.full((2, 3, 3), np.inf), [0, 1]), None, r"mine\[train images\]: 2 of 2 images have pixels that are NaN"),
    ],
)
def test_arrays_that_are_wrong_are_refused(train, test, message):
    with pytest.raises(DataError, match=message):
        from_arrays(train, test, name="mine")


PICTURES = np.random.default_rng(0).integers(0, 256, (6, 5, 7, 3))
GREY = PICTURES[..., 0]


@pytest.mark.parametrize(
    ("stored", "layout", "expected"),
    [
        (PICTURES, None, PICTURES),
        (PICTURES, "NHWC", PICTURES),
        (np.moveaxis(PICTURES, 3, 1), "NCHW", PICTURES),
        (np.moveaxis(PICTURES, 3, 1), "NHWC", np.moveaxis(PICTURES, 3, 1)),  # of 7 channels, if that is what is said
        (PICTURES[:, :, :5].transpose(0, 3, 1, 2), "NCHW", PICTURES[:, :, :5]),
        (GREY, None, GREY[..., None]),
        (GREY[:, None], "NCHW", GREY[..., None]),
        (GREY[:, :, :2], "NHW", GREY[:, :, :2, None]),
    ],
)
def test_axes_stand_as_the_layout_says(stored, layout, expected):
    labels = np.arange(6) % 2
    train, test = (stored[:5], labels[:5]), (stored[5:], labels[5:])
    splits = from_arrays(train, test, ("a", "b"), layout=layout).splits()
    check_splits(splits, (expected[:5], labels[:5]), (expected[5:], labels[5:]), ("a", "b"))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (4, 3, 32, 32),
            "which may be pictures of 3×32 pixels and 32 channels, or of 32×32 pixels and 3 channels; say `l",
        ),
        (
            (4, 1, 28, 28),
            "which may be pictures of 1×28 pixels and 28 channels, or of 28×28 pixels and 1 channels; say `l",
        ),
        ((4, 3, 24, 32), "or of 24×32 pixels and 3 channels"),
        ((4, 1, 4, 4), "which may be pictures of 1×4 pixels and 4 channels, or of 4×4 pixels and 1 channels"),
        ((4, 28, 28, 28), "which may be pictures of 28×28 pixels and 28 channels"),
        (
            (4, 32, 3),
            "which may be grey pictures of 32×3 pixels, one picture or signals of 3 channels; say `layout` NHW",
        ),
    ],
)
def test_shapes_that_may_be_of_two_layouts_are_refused(shape, message):
    with pytest.raises(DataError, match=r"mine\[train images\]: array of shape \(4, ") as refusal:
        from_arrays((np.ones(shape), np.arange(4) % 2), name="mine")
    assert message in str(refusal.value)


def test_other_layouts_and_axes_are_refused():
    data = np.ones((4, 5, 5)), np.arange(4)
    with pytest.raises(ValueError, match="layout is 'CHW'; it must be one of NHW, NHWC, NCHW, or not given"):
        from_arrays(data, layout="CHW")
    with pytest.raises(DataError, match=r"array of shape \(4, 5, 5\); of layout NCHW it must have 4 axes"):
        from_arrays(data, layout="NCHW")


@pytest.mark.parametrize(
    ("train", "test", "refused"),
    [
        ("f8", "u1", True),  # 0 … 1 beside 0 … 255
        ("u1", "f8", True),
        ("u1", "u2", True),
        ("f4", "f8", False),
        ("u1", "i8", False),
        ("u1", "u1", False),
    ],
)
def test_training_and_test_sets_are_on_one_scale(train, test, refused):
    highest = {"f8": 1, "f4": 1, "u1": 255, "i8": 255, "u2": 65535}
    parts = [(GREY / 255 * highest[each]).astype(each) for each in (train, test)]
    given = [(images, np.arange(6) % 2) for images in parts]
    if not refused:
        assert from_arrays(*given).splits()
        return
    with pytest.raises(DataError) as refusal:
        from_arrays(*given, name="mine")
    types = [f"{images.dtype} from {images.min():.6g} to {images.max():.6g}" for images in parts]
    assert f"mine: training inputs are {types[0]} and test inputs {types[1]}; bring both" in str(refusal.value)


def test_the_same_type_on_two_scales_is_refused_and_dark_pictures_are_not():
    labels = np.arange(6) % 2
    with pytest.raises(
        DataError, match=r"float64 from 0\.\S* to 1 and test inputs float64 from \S+ to 255; bring both"
    ):
        from_arrays((GREY / GREY.max(), labels), (GREY * 255.0 / GREY.max(), labels))
    bytes_of = GREY.astype(np.uint8)
    for dark in (bytes_of // 100, bytes_of * 0):
        assert from_arrays((bytes_of, labels), (dark, labels)).splits()
