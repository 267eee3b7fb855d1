"""How far ensembles' mean logits lie from a reference's: over training time, and against ensemble size."""

import textwrap

import numpy as np
import xarray as xr
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from widesym.analysis.figures.drawing import line_with_band
from widesym.analysis.figures.panels import (
    FLOOR,
    GUIDE,
    THEORY,
    at_set,
    check_numbers,
    check_same_runs,
    has,
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

NUMBERS = ("divergence", "divergence_interval", "noise_floor")


def divergence_over_time(divergence: xr.Dataset, by_size: xr.Dataset, evaluation_set: str) -> Figure:
    """D(t) of each run in a panel of its own: a line for each ensemble size, the whole ensemble's with its 95 % band.

    Dotted is the whole ensemble's noise floor, dashed what theory predicts, if `predicted_divergence` is there.
    `divergence` has dims (run, evaluation_set, time), `by_size` (run, evaluation_set, time, size); a size that is NaN
    throughout is one that a run does not have. Raises ValueError for tables that do not fit, and more than six runs.
    """
    check_same_runs(divergence, by_size)
    styles, whole, parts = run_styles(divergence), at_set(divergence, evaluation_set), at_set(by_size, evaluation_set)
    check_numbers(whole, *NUMBERS, "time")
    members = whole.attrs.get("reference_members")
    reference = f"{_reference(whole)}{f' ({members} members)' if members else ''}"
    title = f"Divergence from {reference} during training, on {evaluation_set}"
    figure, axes = panels(len(styles), title, common_y=True)
    for run, (axis, style) in enumerate(zip(axes, styles, strict=True)):
        _draw_sizes(axis, parts.isel(run=run), int(whole["members"][run]))
        _draw_whole(axis, whole.isel(run=run))
        panel_title(axis, style.name)
        time_axis(axis, whole["time"].values)
    log_values(axes[0], whole["divergence"].values, whole["noise_floor"].values, parts["divergence"].values)
    for axis in axes[:: min(3, len(axes))]:
        axis.set_ylabel(_distance_label(whole), fontsize=9)
    legend_below(figure)
    return figure


def divergence_by_size_figure(by_size: xr.Dataset, evaluation_set: str) -> Figure:
    """D against ensemble size at the last time: each run with its 95 % band, noise floor and, if known, prediction.

    `by_size` has dims (run, evaluation_set, time, size). Raises ValueError as `divergence_over_time`.
    """
    styles, last = run_styles(by_size), at_set(by_size, evaluation_set).isel(time=-1)
    title = (
        f"Divergence from {_reference(last)} by ensemble size, on {evaluation_set}, at t = {float(last['time']):.4g}"
    )
    figure, (axis,) = panels(1, title, size=(6.4, 4.2))
    for run, style in enumerate(styles):
        one = _own_sizes(last.isel(run=run))
        size, band = one["size"].values, one["divergence_interval"].values
        predicted = float(one["predicted_divergence"]) if has(one, "predicted_divergence") else np.nan
        name = f"{style.name}, 95 % band{'; predicted: 0' if predicted == 0 else ''}"
        line_with_band(axis, size, one["divergence"].values, band, style.marker + "-", style.colour, name)
        plain_line(axis, size, one["noise_floor"].values, FLOOR, style.colour)
        if predicted > 0:
            axis.axhline(predicted, ls=THEORY, lw=1, color=style.colour)
    axis.plot([], [], FLOOR, color="gray", label="noise floor: equal means, ∝ 1/√M")
    if "predicted_divergence" in last and (last["predicted_divergence"] > 0).any():
        axis.plot([], [], THEORY, lw=1, color="gray", label="predicted by theory")
    sizes = last["size"].values
    height = 0.7 * float(np.nanmin(last["noise_floor"].values[..., 0]))
    axis.plot(sizes, height * np.sqrt(sizes[0] / sizes), color=GUIDE, lw=0.8, zorder=0, label="slope of 1/√M")
    size_axis(axis, sizes, "members M of each ensemble")
    log_values(axis, last["divergence"].values, last["noise_floor"].values, height * np.sqrt(sizes[0] / sizes[-1:]))
    axis.set_ylabel(_distance_label(last), fontsize=9)
    legend_below(figure)
    return figure


def _draw_whole(axis: Axes, one: xr.Dataset) -> None:
    times, values, band = one["time"].values, one["divergence"].values, one["divergence_interval"].values
    line_with_band(axis, times, values, band, "o-", _shade(1), "all members, 95 % band")
    plain_line(axis, times, one["noise_floor"].values, FLOOR, _shade(1), "noise floor of all: equal means")
    if has(one, "predicted_divergence"):
        check_numbers(one, "predicted_divergence")
        predicted = one["predicted_divergence"].values
        label = "predicted by theory" if predicted.max() > 0 else "predicted by theory: 0 at all times"
        above = np.where(predicted > 0, predicted, np.nan)  # zero has no logarithm
        plain_line(axis, times, above, THEORY, "black", label)


def _draw_sizes(axis: Axes, one: xr.Dataset, members: int) -> None:
    """Those of fewer than all members, the lighter the fewer."""
    own, every = _own_sizes(one), one["size"].values
    for size in own["size"].values[own["size"].values < members]:
        values = own["divergence"].sel(size=size).values
        colour = _shade(float((every <= size).mean() * 0.8))
        plain_line(axis, own["time"].values, values, "-", colour, f"{size} members, mean over subsets")


def _shade(darkness: float) -> str:
    return to_hex(colormaps["viridis"](0.95 * (1 - darkness)))


def _own_sizes(one: xr.Dataset) -> xr.Dataset:
    """Those of one run's sizes that it has."""
    own = one.isel(size=np.isfinite(one["divergence"].values).reshape(-1, one.sizes["size"]).any(0))
    check_numbers(own, *NUMBERS)
    return own


def _reference(table: xr.Dataset) -> str:
    return str(table.attrs.get("reference", "the reference"))


def _distance_label(table: xr.Dataset) -> str:
    return literal_text(textwrap.fill(f"‖mean logits − {_reference(table)}'s‖₂, mean over inputs", 36))
