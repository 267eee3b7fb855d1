"""Arrays passed in Python."""

import numpy as np
import pytest
from stored_pictures import CLASSES, check_splits, pictures

from ensembles.data import DataError, from_arrays


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
        ((np.ones((2, 3, 3)), [0, 2]), None, "mine: the labels that occur are 0, 2; give classes"),
        ((np.ones((2, 3, 3)), [0, 1]), (np.ones((1, 4, 3)), [0]), "mine: training and test inputs differ in shape"),
        ((np.full((2, 3, 3), np.inf), [0, 1]), None, r"mine\[train images\]: 2 of 2 images have pixels that are NaN"),
    ],
)
def test_arrays_that_are_wrong_are_refused(train, test, message):
    with pytest.raises(DataError, match=message):
        from_arrays(train, test, name="mine")
