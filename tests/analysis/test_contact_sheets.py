"""Contact sheets: every kind of input is drawn, samples under their own labels."""

from dataclasses import replace

import numpy as np
import pytest

from widesym.analysis.figures.contact_sheets import contact_sheet, representative_samples
from widesym.ensembles.data import (
    CrossProduct,
    Dataset,
    Digits,
    IsingEnergies,
    Quantity,
    Splits,
    Toy,
    from_arrays,
    ood_sets,
)


def sheet(splits, ood=True):
    sets = {name: make(splits.train, 12, 0) for name, make in ood_sets(splits.train).items()} if ood else {}
    figure = contact_sheet("set", splits, sets)
    figure.canvas.draw()
    return figure


def pictures_of(figure):
    """What is shown, row by row: captions and pixels."""
    return [
        (text.get_text(), image.get_array())
        for axis in figure.axes
        for text, image in zip(axis.texts, axis.images, strict=True)
    ]


def test_pictures_stand_under_their_labels_and_every_set_has_its_row():
    splits = Digits(60, 20).load()
    figure = sheet(splits)
    shown = pictures_of(figure)
    assert [title for title, _ in shown[:10]] == list("0123456789")
    low, high = np.percentile(splits.train.inputs, (0.5, 99.5))
    drawn = np.clip((splits.train.inputs[..., 0] - low) / (high - low), 0, 1)
    for title, pixels in shown[:40]:
        (sample,) = np.flatnonzero((abs(drawn - pixels) < 1e-6).all((1, 2)))
        assert str(splits.train.labels[sample]) == title
    labels = [axis.get_ylabel().replace("\n", " ") for axis in figure.axes if axis.get_ylabel()]
    assert labels == ["training set", *ood_sets(splits.train)]
    assert len(shown) == 40 + 10 * len(ood_sets(splits.train))
    assert "60 training and 20 test samples of shape 8×8×1, 10 classes" in figure.get_suptitle()


def test_sets_smaller_than_a_row_and_in_colour_are_drawn():
    images = np.random.default_rng(0).integers(0, 256, (7, 5, 4, 3))
    splits = from_arrays((images, np.arange(7) % 2), classes=("cat", "a name of many letters indeed")).splits(test=1)
    shown = pictures_of(sheet(splits, ood=False))
    assert len(shown) == 6
    assert {title for title, _ in shown} <= {"cat", "a name of many…"}
    assert shown[0][1].shape == (5, 4, 3)


def test_colours_are_shown_as_they_came():
    """Not in units of each channel's deviation, in which a dull blue would be as bright as a bright red."""
    images = np.random.default_rng(0).integers(0, (256, 20, 5), (12, 5, 4, 3))
    splits = from_arrays((images[2:], np.arange(10) % 2), (images[:2], np.arange(2))).splits()
    low, high = np.percentile(images[2:], (0.5, 99.5))
    expected = np.clip((images[2:] - low) / (high - low), 0, 1)
    shown = [pixels for _, pixels in pictures_of(sheet(splits, ood=False))]
    order = representative_samples(splits.train, 10)
    np.testing.assert_allclose(shown, expected[order], atol=1e-6)  # inputs are float32


def test_values_are_given_with_their_units():
    splits = IsingEnergies(4, 12, 2, updates=2).load()
    titles = [title for title, _ in pictures_of(sheet(splits))]
    assert titles[0] == f"{splits.train.values[0, 0]:.3g} J"


@pytest.mark.parametrize("dimension", [1, 2])
def test_points_are_where_they_are(dimension):
    splits = Toy(dimension=dimension).load()
    figure = sheet(splits)
    axis = figure.axes[0]
    if dimension == 1:
        np.testing.assert_allclose(axis.lines[0].get_xydata(), np.c_[splits.train.inputs, splits.train.values])
    else:
        np.testing.assert_allclose(axis.collections[0].get_offsets(), splits.train.inputs)
        np.testing.assert_allclose(axis.collections[0].get_array(), splits.train.values[:, 0])
    assert [text.get_text() for text in axis.get_legend().get_texts()] == ["training set", "further out"]


def test_pairs_of_vectors_are_drawn_in_space():
    figure = sheet(CrossProduct(20, 5).load())
    assert len([axis for axis in figure.axes if axis.name == "3d"]) == 10
    assert all(len(axis.collections) == 3 for axis in figure.axes)  # u, v and u × v


def test_molecules_are_drawn_atom_by_atom():
    signals = np.random.default_rng(0).standard_normal((3, 4, 6, 5, 2)).astype(np.float32)
    train = Dataset("train", signals, None, (), "made up", np.full((3, 1), -76_116.4), (Quantity("energy", "meV"),))
    figure = sheet(Splits(train, replace(train, name="test")))
    mosaic = figure.subfigs[0].axes[0].images[0].get_array()
    np.testing.assert_array_equal(mosaic[7:13, 6:11], signals[0, 1, ..., 1])  # second atom, second channel
    assert figure.subfigs[0].axes[0].get_title() == "training set -76,116 meV"


def test_classes_take_turns():
    data = Dataset("set", np.ones((6, 1)), np.array([1, 1, 1, 0, 2, 0]), ("a", "b", "c"), "made up")
    assert list(representative_samples(data, 5)) == [3, 0, 4, 5, 1]


def test_names_are_no_mathematics():
    """A lone dollar sign would be, and `$\\frac$` could not be drawn."""
    train, ood = Toy(train=4, test=4).load()
    train = replace(train, quantities=(Quantity(r"$\frac$", "$"),))
    figure = contact_sheet("$x$", Splits(train, train), {r"$\frac$ set": replace(ood, quantities=train.quantities)})
    figure.draw_without_rendering()
    assert figure.axes[0].get_legend().get_texts()[1].get_text() == r"\$\frac\$ set"
