"""The figure of kernel convergence: errors, bias and spread against width, with fitted power laws."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from widesym.analysis.estimators.convergence import Convergence
from widesym.analysis.estimators.power_law import LEVEL
from widesym.analysis.figures.drawing import BLUE, GREEN, RED, new_figure

GUIDE = "0.55"
ASIDE = 1.05  # of the bias, whose bars would lie on those of the error


def convergence_figure(found: Mapping[str, Convergence], title: str) -> Figure:
    """Relative error with its noise floor, bias and spread of each kernel, named by the mapping, with power laws.

    Bars are 95 % bootstrap intervals over initialisations. Where the bias is not above noise, a hollow marker is at the
    upper end of its interval.
    """
    figure = new_figure(5.2 * len(found), 6)
    panels = figure.subplots(1, len(found), sharex=True, sharey=True, squeeze=False)[0]
    for axis, (name, one) in zip(panels, found.items(), strict=True):
        axis.set(xscale="log", yscale="log", xlabel="width (hidden channels)")
        _draw_spread(axis, one)
        _draw_error(axis, one)
        _draw_bias(axis, one)
        _draw_guides(axis, one)
        axis.set_xticks(one.widths, [str(width) for width in one.widths])
        axis.xaxis.set_minor_locator(NullLocator())
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * value:g} %"))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.grid(alpha=0.2)
        axis.set_title(name, fontsize=11)
        _legend(axis)
    panels[0].set_ylim(bottom=0.4 * min(min(*one.noise_floor, *one.error) for one in found.values()))
    panels[0].set_ylabel("relative to the analytic kernel's entries")
    figure.suptitle(title, fontsize=12)
    return figure


def _draw_error(axis: Axes, one: Convergence) -> None:
    label = f"error: |mean of {one.members} − analytic|, averaged over entries"
    _with_bars(axis, one.widths, one.error, one.error_interval, "o-", BLUE, label)
    axis.plot(one.widths, one.noise_floor, ":", color=BLUE, label=f"error expected of {one.members} draws without bias")


def _draw_spread(axis: Axes, one: Convergence) -> None:
    label = f"spread of one initialisation ∝ {one.spread_fit.label}"
    _with_bars(axis, one.widths, one.spread, one.spread_interval, "^", GREEN, label)
    axis.plot(one.widths, one.spread_fit.at(one.widths), "--", color=GREEN, lw=1)


def _draw_bias(axis: Axes, one: Convergence) -> None:
    seen, fit, places = one.resolved, one.bias_fit, ASIDE * one.widths
    bias, interval = (np.sqrt(np.maximum(square, 0)) for square in (one.bias_squared, one.bias_squared_interval))
    if seen.any():
        label = "bias, noise subtracted" + (f" ∝ {fit.label}" if fit else " (no exponent)")
        _with_bars(axis, places[seen], bias[seen], interval[seen], "s", RED, label)
    if not seen.all():
        label = "bias not above noise: upper end of its interval"
        axis.plot(places[~seen], interval[~seen, 1], "v", color=RED, mfc="white", label=label)
    if fit:
        axis.plot(one.widths, fit.at(one.widths), "--", color=RED, lw=1)


def _draw_guides(axis: Axes, one: Convergence) -> None:
    """Slopes to compare with, beside the points they are about."""
    start = np.sqrt(max(one.bias_squared[0], one.bias_squared_interval[0, 1] / 4))
    ends = one.widths[[0, -1]].astype(float)
    for height, exponent, name in ((1.4 * one.spread[0], -0.5, "1/√width"), (0.6 * start, -1.0, "1/width")):
        values = height * (ends / ends[0]) ** exponent
        axis.plot(ends, values, color=GUIDE, lw=0.8, zorder=0)
        axis.annotate(name, (ends[0], values[0]), (8, 0), textcoords="offset points", fontsize=8, color=GUIDE)


def _legend(axis: Axes) -> None:
    """Below the panel, as bars may be anywhere in it."""
    labelled = zip(*axis.get_legend_handles_labels(), strict=True)
    handles, labels = zip(*sorted(labelled, key=lambda pair: pair[1]), strict=True)
    place = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.12)}
    title = f"bars: {LEVEL:.0%} bootstrap intervals over initialisations"
    axis.legend(handles, labels, fontsize=8, frameon=False, title=title, title_fontsize=8, **place)


def _with_bars(
    axis: Axes, x: np.ndarray, y: np.ndarray, interval: Float[np.ndarray, "x 2"], style: str, colour: str, name: str
) -> None:
    below, above = np.maximum(y - interval[:, 0], 0), np.maximum(interval[:, 1] - y, 0)
    axis.errorbar(x, y, (below, above), fmt=style, color=colour, ms=5, lw=1.2, capsize=2, label=name)
