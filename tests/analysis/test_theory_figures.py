"""Figures of ensembles against theory and width: the tables' numbers, what is optional, what is refused."""

import numpy as np
import pytest
from matplotlib.colors import to_hex
from scipy.special import gamma

from tests.support.artists import check_band, check_laid_out, check_line, legend, lines
from tests.support.synthetic_tables import NAMES, SETS, TIMES, calibration, mean_logits, theory, widths
from widesym.analysis.figures.drawing import PALETTE
from widesym.analysis.figures.theory import calibration_figure, mean_logits_figure, theory_over_time
from widesym.analysis.figures.widths import discrepancy_by_width

CHOSEN = [(0, 3), (2, 4), (2, 5), (3, 0)]
PICTURES = {0: np.arange(32.0).reshape(4, 8, 1), 2: np.random.default_rng(0).random((5, 5, 3))}


def seven(table):
    return table.isel(run=[0, 1, 2, 3, 4, 5, 5]).assign_coords(run=[*NAMES, "seventh"])


@pytest.mark.parametrize("runs", [1, 6])
def test_theory_over_time(runs):
    table = theory(runs)
    figure = theory_over_time(table)
    assert [axis.get_title() for axis in figure.axes] == SETS
    for of, axis in enumerate(figure.axes):
        for run, colour in zip(range(runs), PALETTE, strict=False):
            one, scale = table.isel(run=run, evaluation_set=of), table.scale.values[run, of]
            check_line(lines(axis, "-", colour)[0], TIMES, one.distance / scale)
            check_line(lines(axis, ":", colour)[0], TIMES, one.expected_distance / scale)
            check_band(axis.collections[run], TIMES, *one.distance_interval.values.T / scale)
        assert axis.get_yscale() == "log"
    assert legend(figure) == [
        *(f"{name} (64 members)" for name in NAMES[:runs]),
        "expected of so many members, without bias",
    ]
    assert figure.axes[0].get_ylabel().startswith("‖mean logits − theory‖ / ‖theory‖")
    check_laid_out(figure)


@pytest.mark.parametrize("runs", [1, 6])
def test_mean_logits(runs):
    table = mean_logits(runs)
    figure = mean_logits_figure(table, PICTURES, CHOSEN)
    titles = ["test 0, logit 3", "letters 0, logit 4", "letters 0, logit 5", "letters 3, logit 0"]
    assert [axis.get_title(loc="left") for axis in figure.axes] == titles
    for axis, (sample, logit) in zip(figure.axes, CHOSEN, strict=True):
        at = table.isel(sample=sample, logit=logit)
        bars, bands = axis.collections[::2], axis.collections[1::2]
        for run, colour in zip(range(runs), PALETTE, strict=False):
            one = at.isel(run=run)
            (marked,) = (line for line in lines(axis, "None", colour) if line.get_label() != "_nolegend_")
            check_line(marked, TIMES, one["mean"])
            ends = np.array([segment[:, 1] for segment in bars[run].get_segments()])
            np.testing.assert_allclose(ends[:, 1] - ends[:, 0], 2 * one.standard_error, rtol=1e-12)
            check_line(lines(axis, "--", colour)[0], TIMES, one.theory_mean)
            error = one.theory_deviation.values / 8  # of 64 members
            check_band(bands[run], TIMES, one.theory_mean.values - error, one.theory_mean.values + error)
        assert len(axis.child_axes) == (sample in PICTURES)
    shown = figure.axes[0].child_axes[0].images[0].get_array()
    np.testing.assert_allclose(shown, PICTURES[0][..., 0] / 31)
    assert figure.axes[1].child_axes[0].images[0].get_array().shape == (5, 5, 3)
    assert legend(figure) == [
        *(f"{name} (64 members)" for name in NAMES[:runs]),
        "theory; band: its deviation/√members",
    ]
    check_laid_out(figure)


def test_mean_logits_without_theory():
    figure = mean_logits_figure(mean_logits(2, predicted=False), {}, [(1, 1)])
    assert not lines(figure.axes[0], "--")
    assert legend(figure) == [f"{name} (64 members)" for name in NAMES[:2]]
    table = mean_logits(2)
    table.theory_mean[0], table.theory_deviation[0] = np.nan, np.nan  # of one run alone
    (axis,) = mean_logits_figure(table, {}, [(1, 1)]).axes
    assert [to_hex(line.get_color()) for line in lines(axis, "--")] == [PALETTE[1]]


@pytest.mark.parametrize("runs", [1, 6])
def test_calibration(runs):
    table, scores = calibration(runs), theory(runs)
    figure = calibration_figure(table, scores)
    assert len(figure.axes) == runs * len(SETS)
    for index, axis in enumerate(figure.axes):
        of, run = divmod(index, runs)
        counts = table["count"].values[run, of]
        heights = np.array([bar.get_height() for bar in axis.patches])
        assert axis.patches[0].get_x() == -4
        np.testing.assert_allclose(heights * 0.25, counts[1:-1] / counts.sum(), rtol=1e-12)  # bins of width 1/4
        (curve,) = lines(axis, "-")
        z = curve.get_xdata()
        density = gamma(32) / gamma(31.5) / np.sqrt(63 * np.pi) * (1 + z**2 / 63) ** -32  # Student's t, 63 of freedom
        np.testing.assert_allclose(curve.get_ydata(), density, rtol=1e-9)
        last = scores.isel(run=run, evaluation_set=of, time=-1)
        (text,) = axis.texts
        assert text.get_text().splitlines() == [
            f"rms z {float(last.rms_z):.2f}",
            "(no bias: 0.88 to 1.12)",
            f"{100 * float(last.within):.1f}% within 95 %",
        ]
        assert " ".join(axis.get_title().split()) == f"{NAMES[run]} (64 members) {SETS[of]}"
    assert legend(figure) == ["Student's t with members − 1 degrees of freedom"]
    check_laid_out(figure)


def test_bias_against_width():
    table = widths()
    figure = discrepancy_by_width(table)
    (axis,) = figure.axes
    width, bias, interval = table.width.values, table.squared_bias.values, table.squared_bias_interval.values
    for series, colour in zip(range(2), PALETTE, strict=False):
        check_line(lines(axis, ":", colour)[0], width, table.noise.values[series])
    first, second = (bars.lines[0] for bars in axis.containers)
    check_line(first, width, bias[0])
    np.testing.assert_array_equal(second.get_ydata(), bias[1, :3])  # those above noise
    np.testing.assert_allclose(second.get_xdata() / width[:3], 1.03, rtol=1e-12)  # set aside
    for series, bars in enumerate(axis.containers):
        ends = np.array([segment[:, 1] for segment in bars.lines[2][0].get_segments()])
        np.testing.assert_allclose(ends, interval[series, : len(ends)], rtol=1e-12)
    (law,) = lines(axis, "--")
    np.testing.assert_allclose(law.get_ydata(), 0.3 / np.array([8, 128]) ** 2.0, rtol=1e-12)  # (√0.3/width)²
    hollow = [line for line in lines(axis, "None", PALETTE[1]) if line.get_markerfacecolor() == "white"]
    assert [list(line.get_ydata()) for line in hollow] == [[interval[1, 3, 1]], [0.02]]  # the last: at the edge
    assert hollow[1].get_transform() == axis.get_xaxis_transform()
    assert (axis.get_xscale(), axis.get_yscale()) == ("log", "log")
    shown = legend(figure)
    assert "mean of CNNs: bias ∝ width$^{-1.00}$ [−1.20, open]" in shown
    assert "mean of group-CNNs: no exponent" in shown
    assert "sampling noise tr S/M of the mean, subtracted" in shown
    check_laid_out(figure)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: theory_over_time(seven(theory(6))), "there are 7 runs"),
        (lambda: mean_logits_figure(seven(mean_logits(6)), {}, [(0, 0)]), "there are 7 runs"),
        (lambda: calibration_figure(seven(calibration(6)), seven(theory(6))), "there are 7 runs"),
        (lambda: discrepancy_by_width(widths().isel(series=[0] * 7)), "there are 7 series"),
        (lambda: theory_over_time(theory().assign(scale=0 * theory().scale)), "scale is not above 0"),
        (lambda: mean_logits_figure(mean_logits(), {}, []), r"chosen is \[\]; pairs .* of the 4 samples and 10 logits"),
        (lambda: mean_logits_figure(mean_logits(), {}, [(0, 0), (4, 0)]), "of the 4 samples and 10 logits are needed"),
        (
            lambda: mean_logits_figure(mean_logits(), {0: np.zeros((8, 8, 2))}, [(0, 0)]),
            r"a picture has shape \(8, 8, 2\)",
        ),
        (lambda: calibration_figure(calibration(2), theory(3)), "they must be the same"),
        (
            lambda: calibration_figure(calibration(1).assign_coords(members=("run", [1])), theory(1)),
            "fewer than 2 members",
        ),
        (lambda: calibration_figure(calibration(1) * 0, theory(1)), "has no z scores of test"),
        (lambda: discrepancy_by_width(widths().drop_vars("noise")), "the table lacks 'noise'"),
    ],
    ids=[
        "seven",
        "means",
        "z",
        "series",
        "scale",
        "none",
        "sample",
        "picture",
        "runs",
        "one-member",
        "empty",
        "lacking",
    ],
)
def test_what_cannot_be_drawn_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
