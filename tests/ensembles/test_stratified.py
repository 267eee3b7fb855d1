"""Equal shares of classes in what is drawn, exact numbers, one seed."""

import numpy as np
import pytest

from tests.support.raw_sets import molecules, raw
from widesym.ensembles.data import DataError, Digits
from widesym.ensembles.data.raw import RawSplit

COUNTS = (60, 25, 15)  # of the three classes, in no order


def uneven(seed=0):
    """Samples that say in their one pixel which they are."""
    labels = np.random.default_rng(seed).permutation(np.repeat(np.arange(3), COUNTS))
    return RawSplit(np.arange(100.0).reshape(100, 1, 1, 1), labels)


def places(part):
    return part.inputs.astype(int).ravel().tolist()


@pytest.mark.parametrize(("train", "test"), [(30, 12), (31, 14), (1, 2), (32, 1)])
def test_parts_of_one_piece_have_equal_shares_exact_numbers_and_nothing_in_common(train, test):
    data = raw(train=uneven(), test=None)
    parts = data.drawn(train, test, 5, stratified=True)
    for part, number in zip(parts, (train, test), strict=True):
        counts = np.bincount(part.labels, minlength=3)
        assert counts.sum() == number
        assert counts.max() - counts.min() == (1 if number % 3 else 0)
        np.testing.assert_array_equal(part.labels, data.train.labels[places(part)])
    assert not {*places(parts[0])} & {*places(parts[1])}
    again, others = (data.drawn(train, test, seed, stratified=True) for seed in (5, 6))
    assert [places(part) for part in again] == [places(part) for part in parts]
    assert [places(part) for part in others] != [places(part) for part in parts]
    # Which samples test does not depend on how many train.
    assert places(data.drawn(3, test, 5, stratified=True)[1]) == places(parts[1])


def test_who_has_one_more_is_random_as_the_samples_are():
    data = raw(train=uneven(), test=None)
    more = [np.bincount(data.drawn(4, 4, seed, stratified=True)[0].labels, minlength=3).argmax() for seed in range(40)]
    assert set(more) == {0, 1, 2}
    often = np.bincount([place for seed in range(60) for place in places(data.drawn(15, 3, seed, True)[0])])
    assert (
        often[data.train.labels == 2].min() > 0
    )  # every one of the 15 of the smallest class comes up, in 60 × 5 draws


def test_a_set_with_a_test_set_of_its_own_has_shares_in_what_is_drawn_alone():
    data = raw(train=uneven(), test=uneven(1))
    train, test = data.drawn(30, None, 2, stratified=True)
    np.testing.assert_array_equal(np.bincount(train.labels), [10, 10, 10])
    assert places(test) == list(range(100))
    train, test = data.drawn(None, 9, 2, stratified=True)
    np.testing.assert_array_equal(np.bincount(test.labels), [3, 3, 3])
    assert places(train) == list(range(100))


def test_without_the_option_numbers_stay_as_they_were():
    """The samples that earlier versions drew: the first ones of the seed's permutation."""
    data = raw(train=uneven(), test=None)
    order = np.random.default_rng(4).permutation(100)
    assert [places(part) for part in data.drawn(7, 5, 4)] == [order[5:12].tolist(), order[:5].tolist()]


@pytest.mark.parametrize(
    ("train", "test", "message"),
    [
        (46, 3, "training samples: 46 asked for in equal shares, which are 15 or more of each of 3 classes, but of "
         "class 'ç' there are 14; ask for fewer"),
        (None, None, "test samples: 20 asked for in equal shares"),
        (None, 60, "test samples: 60 asked for in equal shares"),
        (200, 3, "training samples: 200 asked for, at least 1, and there are 97"),
    ],
)  # fmt: skip
def test_more_than_a_class_has_is_refused(train, test, message):
    data = raw(train=uneven(), test=None)
    if test is None:  # a fifth, of which the smallest class has less than its share
        few = RawSplit(data.train.inputs, np.where(np.arange(100) < 3, 2, np.arange(100) % 2))
        data = raw(train=few, test=None)
    with pytest.raises(DataError, match=message):
        data.drawn(train, test, 0, stratified=True)


def test_what_has_no_classes_and_what_is_no_answer_are_refused():
    with pytest.raises(DataError, match="molecules: samples have no classes to be `stratified` by"):
        molecules().drawn(3, 3, 0, stratified=True)
    with pytest.raises(DataError, match="digits: stratified is 'yes'; it must be true or false"):
        Digits(20, 10, stratified="yes").load()


def test_sources_hand_it_on():
    splits = Digits(50, 20, seed=3, stratified=True).load()
    for part, share in zip(splits, (5, 2), strict=True):
        np.testing.assert_array_equal(np.bincount(part.labels), [share] * 10)
