"""Figures of divergence: the tables' numbers, a panel or a line for each run, what is optional, what is refused."""

import numpy as np
import pytest

from tests.support.artists import check_band, check_laid_out, check_line, legend, lines
from tests.support.synthetic_tables import NAMES, SIZES, TIMES, divergence, divergence_by_size
from widesym.analysis.figures.comparison import divergence_by_size_figure, divergence_over_time
from widesym.analysis.figures.drawing import PALETTE


def seven(table):
    """The table of a run more than can be told apart."""
    return table.isel(run=[0, 1, 2, 3, 4, 5, 5]).assign_coords(run=[*NAMES, "seventh"])


@pytest.mark.parametrize("runs", [1, 3, 6])
def test_divergence_over_time(runs):
    table, parts = divergence(runs), divergence_by_size(runs)
    figure = divergence_over_time(table, parts, "letters")
    assert len(figure.axes) == runs
    for run, axis in enumerate(figure.axes):
        one, sizes = (
            table.isel(run=run).sel(evaluation_set="letters"),
            parts.isel(run=run).sel(evaluation_set="letters"),
        )
        *subsets, whole = lines(axis, "-")
        assert len(subsets) == len(SIZES) - 1  # that of all 64 members is drawn once
        for line, size in zip(subsets, SIZES, strict=False):
            check_line(line, TIMES, sizes.divergence.sel(size=size))
        assert len({line.get_color() for line in (*subsets, whole)}) == len(SIZES)
        check_line(whole, TIMES, one.divergence)
        check_band(axis.collections[0], TIMES, *one.divergence_interval.values.T)
        check_line(lines(axis, ":")[0], TIMES, one.noise_floor)
        predicted = one.predicted_divergence.values
        check_line(lines(axis, "--")[0], TIMES, np.where(predicted > 0, predicted, np.nan))
        assert axis.get_title() == f"{NAMES[run]} (64 members)"
        assert axis.get_xlabel() == "training time t (steps × learning rate)"
        assert axis.get_yscale() == "log"
        assert axis.get_ylim() == figure.axes[0].get_ylim()
    assert "".join(figure.axes[0].get_ylabel().split()) == "‖meanlogits−C4group-CNN,width64's‖₂,meanoverinputs"
    title = " ".join(figure.get_suptitle().split())
    assert title == "Divergence from C4 group-CNN, width 64 (64 members) during training, on letters"
    subsets = [f"{size} members, mean over subsets" for size in SIZES[:-1]]
    shown = legend(figure)
    assert shown[:7] == [*subsets, "all members, 95 % band", "noise floor of all: equal means"]
    assert ("predicted by theory" in shown) == (runs > 1)
    assert "predicted by theory: 0 at all times" in shown  # of the first run
    check_laid_out(figure)


def test_without_predictions():
    figure = divergence_over_time(divergence(2, predicted=False), divergence_by_size(2, predicted=False), "test")
    assert not any(lines(axis, "--") for axis in figure.axes)
    assert not any("theory" in label for label in legend(figure))


def test_a_run_without_prediction():
    table = divergence(2).copy(deep=True)
    table.predicted_divergence[0] = np.nan
    first, second = divergence_over_time(table, divergence_by_size(2), "test").axes
    assert not lines(first, "--")
    assert lines(second, "--")


def test_sizes_that_a_run_does_not_have():
    """NaN throughout; one that is NaN at some times is an error."""
    table, parts = divergence(2), divergence_by_size(2)
    table["members"] = "run", [64, 16]
    parts = parts.drop_vars("predicted_divergence")
    parts = parts.where((parts.run != NAMES[1]) | (parts["size"] <= 16)).transpose(*parts.dims)
    first, second = divergence_over_time(table, parts, "test").axes
    assert len(lines(first, "-")) == 6
    assert len(lines(second, "-")) == 1 + 3  # all 16, and 2, 4, 8
    line = lines(divergence_by_size_figure(parts, "test").axes[0], "-", PALETTE[1])[0]
    np.testing.assert_array_equal(line.get_xdata(), [2, 4, 8, 16])
    parts.divergence[0, 0, 2, 1] = np.nan
    with pytest.raises(ValueError, match="1 of 36 values of 'divergence' are not finite"):
        divergence_over_time(table, parts, "test")


@pytest.mark.parametrize("runs", [1, 6])
def test_divergence_by_size(runs):
    table = divergence_by_size(runs)
    figure = divergence_by_size_figure(table, "noise")
    (axis,) = figure.axes
    last = table.sel(evaluation_set="noise").isel(time=-1)
    for run, colour in zip(range(runs), PALETTE, strict=False):
        one = last.isel(run=run)
        check_line(lines(axis, "-", colour)[0], SIZES, one.divergence)
        check_band(axis.collections[run], SIZES, *one.divergence_interval.values.T)
        check_line(lines(axis, ":", colour)[0], SIZES, one.noise_floor)
        predicted = [line.get_ydata()[0] for line in lines(axis, "--", colour)]
        assert predicted == [one.predicted_divergence] * (run > 0)  # zero has no logarithm
    (guide,) = (line for line in axis.lines if line.get_label() == "slope of 1/√M")
    np.testing.assert_allclose(np.diff(np.log(guide.get_ydata())) / np.diff(np.log(SIZES)), -0.5, rtol=1e-12)
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    assert axis.get_xlabel() == "members M of each ensemble"
    assert legend(figure)[0] == f"{NAMES[0]}, 95 % band; predicted: 0"
    assert legend(figure)[1:runs] == [f"{name}, 95 % band" for name in NAMES[1:runs]]
    assert "noise floor: equal means, ∝ 1/√M" in legend(figure)
    assert "on noise, at t = 80" in " ".join(figure.get_suptitle().split())
    figure.canvas.draw()
    assert [label.get_text() for label in axis.get_xticklabels()] == [str(size) for size in SIZES]
    check_laid_out(figure)


def test_a_single_time_and_size():
    """A dash for what is a line elsewhere, and a bar for what is a band."""
    table, parts = divergence(2).isel(time=[-1]), divergence_by_size(2).isel(time=[-1], size=[2])
    axes = divergence_over_time(table, parts, "test").axes
    for run, axis in enumerate(axes):
        one = table.isel(run=run).sel(evaluation_set="test")
        assert {line.get_marker() for line in (*lines(axis, ":"), *lines(axis, "--"))} == {"_"}
        (bar,) = axis.collections
        np.testing.assert_array_equal(bar.get_segments()[0][:, 1], one.divergence_interval.values[0])
    (axis,) = divergence_by_size_figure(parts, "test").axes
    assert [line.get_marker() for line in lines(axis, ":")] == ["_", "_"]
    assert len(axis.collections) == 2


def test_sizes_without_predictions():
    figure = divergence_by_size_figure(divergence_by_size(3, predicted=False), "test")
    assert not lines(figure.axes[0], "--")
    assert not any("predicted" in label for label in legend(figure))


def test_names_are_shown_as_they_are():
    """Dollars are no formulas, and a first underscore does not hide a run from the legend."""
    table = divergence_by_size(2).assign_coords(run=["a $x$ b", "_hidden"])
    figure = divergence_by_size_figure(table, "test")
    assert [label.strip() for label in legend(figure)[:2]] == [
        r"a \$x\$ b, 95 % band; predicted: 0",
        "_hidden, 95 % band",
    ]
    check_laid_out(figure)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: divergence_by_size_figure(seven(divergence_by_size(6)), "test"),
            "there are 7 runs; a figure shows 1 to 6",
        ),
        (lambda: divergence_over_time(seven(divergence(6)), seven(divergence_by_size(6)), "test"), "there are 7 runs"),
        (lambda: divergence_by_size_figure(divergence_by_size(2).isel(run=[]), "test"), "there are 0 runs"),
        (lambda: divergence_by_size_figure(divergence_by_size(2).isel(run=[0, 0]), "test"), "a name of its own"),
        (
            lambda: divergence_by_size_figure(divergence_by_size(), "digits"),
            "is 'digits'; the table holds test, letters, noise",
        ),
        (
            lambda: divergence_over_time(divergence(2), divergence_by_size(3), "test"),
            "one table holds the runs .* the other",
        ),
        (
            lambda: divergence_over_time(divergence(2).drop_vars("noise_floor"), divergence_by_size(2), "test"),
            "the table lacks 'noise_floor'; it holds divergence",
        ),
        (
            lambda: divergence_over_time(divergence(2) * np.nan, divergence_by_size(2), "test"),
            "12 of 12 values of 'divergence' are not finite",
        ),
    ],
    ids=["seven", "seven-over-time", "none", "twins", "set", "others", "lacking", "nan"],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
