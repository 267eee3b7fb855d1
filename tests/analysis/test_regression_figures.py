"""What the figures of kernel regression show: the numbers, their units, the classes."""

import numpy as np
import pytest
import xarray as xr

from widesym.analysis.figures.regression import gram_by_class, learning_curve

SIZES = [5, 20, 80]


def accuracies(seed):
    values = np.random.default_rng(seed).uniform(0.5, 1, (4, 3))
    return xr.Dataset({"accuracy": (("draw", "size"), values)}, {"size": SIZES}, {"test_samples": 30})


def errors(unit="meV"):
    values = np.random.default_rng(0).uniform(1, 30, (4, 3, 2))
    attributes = {"test_samples": 30, "quantities": ["U0", "gap"], "units": [unit, "eV"]}
    return xr.Dataset({"mae": (("draw", "size", "quantity"), values)}, {"size": SIZES}, attributes)


def test_accuracy_against_training_set_size():
    curves = {"CNN": accuracies(0), "C4 group-CNN": accuracies(1)}
    figure = learning_curve(curves, "Tissue")
    (axis,) = figure.axes
    assert axis.get_xlabel() == "training-set size (inputs)"
    assert axis.get_ylabel() == "accuracy on 30 test inputs (%)"
    assert axis.get_title() == "Tissue"
    assert [text.get_text() for text in axis.get_legend().get_texts()] == list(curves)
    assert axis.get_legend().get_title().get_text() == "band: ± standard deviation over 4 training sets"
    for line, band, curve in zip(axis.lines, axis.collections, curves.values(), strict=True):
        mean, deviation = curve.accuracy.values.mean(0), curve.accuracy.values.std(0, ddof=1)
        np.testing.assert_array_equal(line.get_xdata(), SIZES)
        np.testing.assert_allclose(line.get_ydata(), mean, rtol=1e-12)
        edges = band.get_paths()[0].vertices
        for size, middle, half in zip(SIZES, mean, deviation, strict=True):
            at = edges[edges[:, 0] == size, 1]
            np.testing.assert_allclose([at.min(), at.max()], [middle - half, middle + half], rtol=1e-12)
    figure.canvas.draw()
    assert [label.get_text() for label in axis.get_xticklabels()] == ["5", "20", "80"]


def test_errors_have_their_unit():
    for quantity, index, label in ((None, 0, "U0 (meV)"), ("gap", 1, "gap (eV)")):
        (axis,) = learning_curve({"MLP": errors()}, "Molecules", quantity).axes
        assert axis.get_ylabel().endswith(label)
        assert axis.get_yscale() == "log"
        np.testing.assert_allclose(axis.lines[0].get_ydata(), errors().mae.values[..., index].mean(0), rtol=1e-12)
    (axis,) = learning_curve({"MLP": errors(unit="")}, "Numbers").axes
    assert axis.get_ylabel().endswith("\nU0")


def test_one_draw_has_no_band():
    (axis,) = learning_curve({"CNN": accuracies(0).isel(draw=[0])}, "Tissue").axes
    assert not axis.collections
    assert axis.get_legend().get_title().get_text() == ""


def test_a_gram_matrix_by_class():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((7, 9))
    kernel, labels = features @ features.T, np.array([2, 0, 2, 0, 0, 2, 0])
    figure = gram_by_class(kernel, labels, ["a", "b", "c"], "NTK")
    axis, bar = figure.axes
    shown = np.asarray(axis.images[0].get_array())
    order = [1, 3, 4, 6, 0, 2, 5]
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    np.testing.assert_allclose(shown, (unit @ unit.T)[np.ix_(order, order)], rtol=1e-10, atol=1e-12)
    assert [label.get_text() for label in axis.get_yticklabels()] == ["a", "c"]  # there is none of b
    np.testing.assert_allclose(axis.get_yticks(), [1.5, 5])
    assert "k(x, x')" in bar.get_ylabel()
    figure.canvas.draw()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: learning_curve({}, ""), "there are 0 curves; between 1 and 6"),
        (lambda: learning_curve({"a": accuracies(0), "b": errors()}, ""), "curves hold accuracy, mae"),
        (lambda: learning_curve({"a": xr.Dataset()}, ""), "curves hold neither"),
        (lambda: learning_curve({"a": errors()}, "", "U1"), "quantity is 'U1'; the curve holds U0, gap"),
        (lambda: gram_by_class(np.eye(3), np.array([0, 1, 2]), ["a", "b"], ""), "run from 0 to 2; 3 between 0 and 1"),
        (lambda: gram_by_class(np.zeros((2, 2)), np.zeros(2, int), ["a"], ""), "2 entries that are not positive"),
    ],
    ids=["none", "mixed", "neither", "quantity", "labels", "diagonal"],
)
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
