"""How equivariant ensembles are: over time, and orbit-same-prediction against ensemble size."""

from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from widesym.analysis.figures.drawing import line_with_band
from widesym.analysis.figures.panels import (
    GUIDE,
    THEORY,
    Style,
    at_set,
    check_numbers,
    check_same_runs,
    legend_below,
    literal_text,
    log_values,
    panel_title,
    panels,
    plain_line,
    run_styles,
    size_axis,
    time_axis,
)

OSP = "orbit-same-prediction\n(elements of the group)"


class Measure(NamedTuple):
    """A measure of equivariance: its name in the table and on the axis."""

    name: str
    label: str


QUANTITIES = (
    Measure("osp", OSP),
    Measure("orbit_deviation", "relative orbit deviation"),
    Measure("equivariance_error", "relative equivariance error"),
)


def osp_by_size(by_size: xr.Dataset, equivariance: xr.Dataset) -> Figure:
    """OSP of the ensemble mean against ensemble size at the last time, a panel for each evaluation set.

    With 95 % bands, the mean over single members dashed, and |G|, which invariant networks have. `by_size` has dims
    (run, evaluation_set, size), NaN for sizes that a run does not have; `equivariance` (run, evaluation_set, time).
    Raises ValueError for tables that do not fit, and more than six runs.
    """
    check_same_runs(by_size, equivariance)
    check_numbers(equivariance, "osp_members", "elements")
    styles, sets = run_styles(equivariance), [str(name) for name in by_size["evaluation_set"].values]
    title = "Same prediction on the whole orbit, by ensemble size, at the last time"
    figure, axes = panels(len(sets), title, common_y=True)
    for axis, name in zip(axes, sets, strict=True):
        for run, style in enumerate(styles):
            _draw_sizes(axis, at_set(by_size, name).isel(run=run), style)
            single = float(at_set(equivariance, name)["osp_members"][run, -1])
            axis.axhline(single, ls=THEORY, lw=1, color=style.colour)
        axis.plot([], [], THEORY, lw=1, color="gray", label="mean over single members")
        panel_title(axis, literal_text(name))
        size_axis(axis, by_size["size"].values, "members per ensemble")
    for axis in axes:  # after all are drawn, as their y axis is one
        _draw_order(axis, equivariance)
    for axis in axes[:: min(3, len(axes))]:
        axis.set_ylabel(OSP, fontsize=9)
    legend_below(figure, "of the ensemble mean; bands: 95 % intervals")
    return figure


def equivariance_over_time(equivariance: xr.Dataset) -> Figure:
    """OSP, relative orbit deviation and equivariance error during training, by row; a column for each evaluation set.
    OSP is left out where the table has none, as of values, of which none is predicted as a class is.

    Ensemble means with their 95 % intervals, and single members' mean, dashed, with ± their standard deviation where
    the table has it. Dims are (run, evaluation_set, time). Raises ValueError for tables that do not fit, and more than
    six runs.
    """
    styles, sets = run_styles(equivariance), [str(name) for name in equivariance["evaluation_set"].values]
    quantities = [each for each in QUANTITIES if each.name != "osp" or "osp_members" in equivariance]
    names = [f"{name}_{of}" for name, _ in quantities for of in ("members", "mean", "mean_interval")]
    check_numbers(equivariance, *names, "time", "elements")
    title = "Equivariance of ensemble means and of single members during training"
    figure, axes = panels(len(quantities) * len(sets), title, columns=len(sets))
    for index, axis in enumerate(axes):
        quantity, name = quantities[index // len(sets)], sets[index % len(sets)]
        one = at_set(equivariance, name)
        for run, style in enumerate(styles):
            _draw_times(axis, one.isel(run=run), quantity.name, style)
        axis.plot([], [], THEORY, lw=1, color="gray", label="mean over single members (band: ± standard deviation)")
        panel_title(axis, literal_text(name))
        time_axis(axis, one["time"].values)
        axis.set_ylabel(quantity.label if index % len(sets) == 0 else "", fontsize=9)
        if quantity.name == "osp":
            _draw_order(axis, equivariance)
        else:
            log_values(axis, *(equivariance[f"{quantity.name}_{of}"].values for of in ("members", "mean")))
    legend_below(figure, "of the ensemble mean; bands: 95 % intervals")
    return figure


def _draw_sizes(axis: Axes, one: xr.Dataset, style: Style) -> None:
    own = one.isel(size=np.isfinite(one["osp"].values))
    check_numbers(own, "osp", "osp_interval")
    band = own["osp_interval"].values
    line_with_band(axis, own["size"].values, own["osp"].values, band, style.marker + "-", style.colour, style.name)


def _draw_times(axis: Axes, one: xr.Dataset, name: str, style: Style) -> None:
    times, single = one["time"].values, one[f"{name}_members"].values
    mean, band = one[f"{name}_mean"].values, one[f"{name}_mean_interval"].values
    line_with_band(axis, times, mean, band, style.marker + "-", style.colour, style.name)
    plain_line(axis, times, single, THEORY, style.colour)
    if f"{name}_members_deviation" in one:
        deviation = one[f"{name}_members_deviation"].values
        axis.fill_between(times, single - deviation, single + deviation, color=style.colour, alpha=0.08, lw=0)


def _draw_order(axis: Axes, equivariance: xr.Dataset) -> None:
    """|G| as a line at the top, one for each group that runs have."""
    orders = np.unique(equivariance["elements"].values)
    for order in orders:
        axis.axhline(float(order), color=GUIDE, lw=1, zorder=0)
    axis.plot([], [], color=GUIDE, lw=1, label="invariant: |G| = " + ", ".join(f"{order:g}" for order in orders))
    axis.set_ylim(top=1.05 * float(orders.max()))
