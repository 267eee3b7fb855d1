"""The figure of finite-width bias: squared distance from theory against width, with sampling noise beside it."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from widesym.analysis.estimators.power_law import PowerLaw
from widesym.analysis.figures.drawing import PALETTE
from widesym.analysis.figures.panels import (
    FLOOR,
    MARKERS,
    THEORY,
    check_numbers,
    has,
    legend_below,
    literal_text,
    log_values,
    panels,
    size_axis,
)

ASIDE = 1.03  # from series to series, so that bars do not hide each other


def discrepancy_by_width(widths: xr.Dataset) -> Figure:
    """Squared bias with 95 % intervals and its power law, and the noise of so many members, against width.

    `widths` has dims (series, width). The laws, with `exponent`, `factor`, `exponent_low` and `exponent_high` in dims
    (series), are those of the bias, whose square is drawn; a NaN exponent is no law, a NaN end an open one. A bias that
    is not above noise is a hollow marker at its interval's upper end, or at the lower edge if that end is below zero.
    Raises ValueError for tables that do not fit, and more than six series.
    """
    series = [str(name) for name in widths["series"].values]
    if not 1 <= len(series) <= len(PALETTE):
        raise ValueError(f"there are {len(series)} series; a figure shows 1 to {len(PALETTE)}")
    check_numbers(widths, "squared_bias", "squared_bias_interval", "noise", "width")
    figure, (axis,) = panels(1, "Distance of the ensemble mean from theory, against width", size=(6.6, 4.4))
    for index, (name, colour, marker) in enumerate(zip(series, PALETTE, MARKERS, strict=False)):
        _draw_series(axis, widths.isel(series=index), literal_text(name), colour, marker, ASIDE**index)
    axis.plot([], [], FLOOR, color="gray", label="sampling noise tr S/M of the mean, subtracted")
    if has(widths, "exponent"):
        axis.plot([], [], THEORY, lw=1, color="gray", label="squares of fitted power laws of the bias")
    bias, upper = widths["squared_bias"].values, widths["squared_bias_interval"].values[..., 1]
    above = widths["squared_bias_interval"].values[..., 0] > 0
    size_axis(axis, widths["width"].values, "width (hidden channels)")
    log_values(axis, np.where(above, bias, upper), widths["noise"].values)
    axis.set_ylabel("squared bias of mean logits,\nmean over inputs", fontsize=9)
    legend_below(figure, "bars: 95 % intervals; hollow: not above noise, upper end of the interval")
    return figure


def _draw_series(axis: Axes, one: xr.Dataset, name: str, colour: str, marker: str, aside: float) -> None:
    width, bias, noise = one["width"].values, one["squared_bias"].values, one["noise"].values
    low, high = one["squared_bias_interval"].values.T
    axis.plot(width, noise, FLOOR, color=colour)
    above, law, look = low > 0, _law(one), {"color": colour, "ms": 5}
    bars = np.array([bias - low, high - bias])[:, above].clip(min=0)
    label = name + (f": bias ∝ {law.label}" if law else ": no exponent")
    axis.errorbar(aside * width[above], bias[above], bars, fmt=marker, capsize=2, lw=1.2, label=label, **look)
    bounded, below = ~above & (high > 0), high <= 0
    axis.plot(aside * width[bounded], high[bounded], "v", mfc="white", **look)
    edge = np.full(below.sum(), 0.02)
    axis.plot(aside * width[below], edge, "v", mfc="white", transform=axis.get_xaxis_transform(), **look)
    if law:
        ends = np.array([width.min(), width.max()])
        axis.plot(ends, law.at(ends) ** 2, THEORY, lw=1, color=colour)


def _law(one: xr.Dataset) -> PowerLaw | None:
    """The bias's law; None where there is none."""
    exponent, factor, low, high = (float(one[name]) for name in ("exponent", "factor", "exponent_low", "exponent_high"))
    if np.isnan(exponent):
        return None
    return PowerLaw(exponent, factor, (None if np.isnan(low) else low, None if np.isnan(high) else high))
