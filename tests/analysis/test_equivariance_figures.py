"""Figures of equivariance and of training: the tables' numbers, what is optional, what is refused."""

import numpy as np
import pytest

from tests.support.artists import check_band, check_laid_out, check_line, legend, lines
from tests.support.synthetic_tables import NAMES, SETS, SIZES, TIMES, equivariance, equivariance_by_size, training
from widesym.analysis.figures.drawing import PALETTE
from widesym.analysis.figures.equivariance import equivariance_over_time, osp_by_size
from widesym.analysis.figures.training import training_curves


def seven(table):
    return table.isel(run=[0, 1, 2, 3, 4, 5, 5]).assign_coords(run=[*NAMES, "seventh"])


@pytest.mark.parametrize("runs", [1, 6])
def test_osp_by_size(runs):
    table, over_time = equivariance_by_size(runs), equivariance(runs)
    figure = osp_by_size(table, over_time)
    assert [axis.get_title() for axis in figure.axes] == SETS
    for of, axis in enumerate(figure.axes):
        for run, colour in zip(range(runs), PALETTE, strict=False):
            one = table.isel(run=run, evaluation_set=of)
            check_line(lines(axis, "-", colour)[0], SIZES, one.osp)
            check_band(axis.collections[run], SIZES, *one.osp_interval.values.T)
            (single,) = lines(axis, "--", colour)
            assert set(single.get_ydata()) == {float(over_time.osp_members[run, of, -1])}
        (order,) = lines(axis, "-", "#8c8c8c")
        assert set(order.get_ydata()) == {4}
        low, high = axis.get_ylim()
        assert low < table.osp_interval.min()
        assert 4 < high < 4.5
    assert legend(figure)[:runs] == [f"{name} (64 members)" for name in NAMES[:runs]]
    assert legend(figure)[runs:] == ["mean over single members", "invariant: |G| = 4"]
    check_laid_out(figure)


def test_groups_of_two_orders_and_sizes_that_a_run_does_not_have():
    table, over_time = equivariance_by_size(2), equivariance(2).assign_coords(elements=("run", [4, 8]))
    table["osp"] = table.osp.where((table.run == NAMES[0]) | (table["size"] <= 8))
    figure = osp_by_size(table, over_time)
    for axis in figure.axes:
        assert [line.get_ydata()[0] for line in lines(axis, "-", "#8c8c8c")] == [4, 8]
        np.testing.assert_array_equal(lines(axis, "-", PALETTE[1])[0].get_xdata(), [2, 4, 8])
    assert legend(figure)[-1] == "invariant: |G| = 4, 8"


@pytest.mark.parametrize("runs", [1, 6])
def test_equivariance_over_time(runs):
    table = equivariance(runs)
    figure = equivariance_over_time(table)
    assert len(figure.axes) == 3 * len(SETS)
    for index, axis in enumerate(figure.axes):
        row, of = divmod(index, len(SETS))
        name = ("osp", "orbit_deviation", "equivariance_error")[row]
        bands = axis.collections[::2] if row == 0 else axis.collections
        for run, colour in zip(range(runs), PALETTE, strict=False):
            one = table.isel(run=run, evaluation_set=of)
            check_line(lines(axis, "-", colour)[0], TIMES, one[f"{name}_mean"])
            check_band(bands[run], TIMES, *one[f"{name}_mean_interval"].values.T)
            check_line(lines(axis, "--", colour)[0], TIMES, one[f"{name}_members"])
            if name == "osp":
                single, deviation = one.osp_members.values, one.osp_members_deviation.values
                check_band(axis.collections[2 * run + 1], TIMES, single - deviation, single + deviation)
        assert axis.get_title() == SETS[of]
        assert axis.get_yscale() == ("linear" if row == 0 else "log")
    assert figure.axes[0].get_ylabel() == "orbit-same-prediction\n(elements of the group)"
    assert figure.axes[3].get_ylabel() == "relative orbit deviation"
    assert figure.axes[6].get_ylabel() == "relative equivariance error"
    assert "mean over single members (band: ± standard deviation)" in legend(figure)
    check_laid_out(figure)


@pytest.mark.parametrize("runs", [1, 6])
def test_training_curves(runs):
    table = training(runs)
    figure = training_curves(table)
    assert len(figure.axes) == 3 + 2  # noise has no labels
    steps = 10 * TIMES
    for axis, name in zip(figure.axes, ("loss", "gradient_norm", "accuracy"), strict=False):
        for run, colour in zip(range(runs), PALETTE, strict=False):
            check_line(lines(axis, "-", colour)[0], steps, table[name][run])
            check_band(axis.collections[run], steps, *table[f"{name}_spread"].values[run].T)
        assert axis.get_yscale() == ("linear" if name == "accuracy" else "log")
        assert axis.get_xlabel() == "training step"
        assert axis.get_xlim()[0] < 0 < steps[-1] < axis.get_xlim()[1]
        assert "median, band 5–95 % of members" in " ".join(axis.get_title().split())
    for axis, of in zip(figure.axes[3:], ("test", "letters"), strict=True):
        for run, colour in zip(range(runs), PALETTE, strict=False):
            check_line(lines(axis, "-", colour)[0], steps, table.ensemble_accuracy.sel(evaluation_set=of)[run])
        assert axis.get_title() == f"accuracy of the ensemble mean: {of}"
        assert axis.get_ylim() == (0, 1)
    assert legend(figure) == [f"{name} (64 members)" for name in NAMES[:runs]]
    check_laid_out(figure)


def test_training_on_values():
    """There are no accuracies: NaN, or no such variables."""
    table = training(2)
    table["accuracy"] *= np.nan
    table["ensemble_accuracy"] *= np.nan
    for of in (table, table.drop_vars(["accuracy", "accuracy_spread", "ensemble_accuracy"])):
        assert [axis.get_ylabel() for axis in training_curves(of).axes] == ["training loss", "gradient norm"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: osp_by_size(seven(equivariance_by_size(6)), seven(equivariance(6))), "there are 7 runs"),
        (lambda: equivariance_over_time(seven(equivariance(6))), "there are 7 runs"),
        (lambda: training_curves(seven(training(6))), "there are 7 runs"),
        (lambda: osp_by_size(equivariance_by_size(2), equivariance(3)), "they must be the same"),
        (lambda: equivariance_over_time(equivariance().drop_vars("osp_mean")), "the table lacks 'osp_mean'"),
        (
            lambda: training_curves(training().drop_vars(["loss", "gradient_norm", "accuracy", "ensemble_accuracy"])),
            "none of",
        ),
        (
            lambda: training_curves(training().where(training().step != 20)),
            "1 of 6 values of 'ensemble_accuracy' are not finite",
        ),
    ],
    ids=["seven", "equivariance", "training", "runs", "lacking", "nothing", "nan"],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
