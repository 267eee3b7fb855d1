"""How training went: loss, gradient norm and accuracy of members, and accuracy or error of ensemble means."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from widesym.analysis.figures.drawing import line_with_band
from widesym.analysis.figures.panels import (
    Style,
    at_set,
    check_numbers,
    has,
    legend_below,
    literal_text,
    log_values,
    panel_title,
    panels,
    run_styles,
    time_axis,
)

OF_MEANS = {"ensemble_accuracy": "accuracy", "ensemble_rmse": "root mean squared error"}
OF_MEMBERS = {"loss": "training loss", "gradient_norm": "gradient norm", "accuracy": "accuracy of members"}


def training_curves(training: xr.Dataset) -> Figure:
    """Medians over members with bands of their middle 90 %, and accuracies or errors of ensemble means, against steps.

    `loss`, `gradient_norm`, `accuracy` and their `…_spread` have dims (run, time[, end]), `ensemble_accuracy` and
    `ensemble_rmse` (run, evaluation_set, time); `step` is a coord of time. Panels are those that there are numbers for:
    NaN throughout is a run, or an evaluation set, without labels or values, and members' NaN a time without a batch.
    Raises ValueError for tables that do not fit, and more than six runs.
    """
    styles, names = run_styles(training), [name for name in OF_MEMBERS if has(training, name)]
    means = [name for name in OF_MEANS if has(training, name)]
    sets = [str(name) for name in training["evaluation_set"].values] if means else []
    sets = [(name, of_set) for name in means for of_set in sets if has(at_set(training, of_set), name)]
    check_numbers(training, "step")
    if not names + sets:
        raise ValueError(f"the table holds none of {', '.join((*OF_MEMBERS, *OF_MEANS))}")
    figure, axes = panels(len(names) + len(sets), "Training: members and ensemble means")
    for axis, name in zip(axes, names, strict=False):
        for run, style in enumerate(styles):
            _draw_members(axis, training.isel(run=run), name, style)
        panel_title(axis, f"{OF_MEMBERS[name]}: median, band 5–95 % of members")
        _scale(axis, training, name)
        _label(axis, training, OF_MEMBERS[name])
    for axis, (name, of_set) in zip(axes[len(names) :], sets, strict=True):
        one = at_set(training, of_set)
        for run, style in enumerate(styles):
            _draw_mean(axis, one.isel(run=run), name, style)
        panel_title(axis, f"{OF_MEANS[name]} of the ensemble mean: {literal_text(of_set)}")
        _scale(axis, one, name)
        unit = one[name].attrs.get("units", "1")
        _label(axis, training, OF_MEANS[name] + (f" ({literal_text(unit)})" if unit != "1" else ""))
    legend_below(figure)
    return figure


def _draw_members(axis: Axes, one: xr.Dataset, name: str, style: Style) -> None:
    if has(one, name):
        one = one.isel(time=~np.isnan(one[name].values))
        check_numbers(one, name, f"{name}_spread")
        steps, band = one["step"].values, one[f"{name}_spread"].values
        line_with_band(axis, steps, one[name].values, band, style.marker + "-", style.colour, style.name)


def _draw_mean(axis: Axes, one: xr.Dataset, name: str, style: Style) -> None:
    if has(one, name):
        check_numbers(one, name)
        steps, values = one["step"].values, one[name].values
        line_with_band(axis, steps, values, None, style.marker + "-", style.colour, style.name)


def _scale(axis: Axes, table: xr.Dataset, name: str) -> None:
    """From 0 to 1 for accuracies, logarithmic for all else."""
    if name in ("accuracy", "ensemble_accuracy"):
        axis.set_ylim(0, 1)
    else:
        log_values(axis, table[name].values)


def _label(axis: Axes, training: xr.Dataset, label: str) -> None:
    time_axis(axis, training["step"].values, "training step")
    axis.set_ylabel(label, fontsize=9)
