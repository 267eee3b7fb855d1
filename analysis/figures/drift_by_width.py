"""Drift of empirical kernels against the width of the networks: power laws, and their figure."""

from collections.abc import Mapping
from typing import NamedTuple

import matplotlib as mpl
import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter, NullLocator

from widesym.analysis.estimators.power_law import LEVEL, PowerLaw, fit_power_law
from widesym.analysis.figures.drawing import PALETTE, new_figure
from widesym.analysis.figures.kernel_evolution import DRIFT

MARKERS = "os^"
FITTED = 3  # the largest widths: where the drift is of order one, it grows no further and follows no power law

ByWidth = Mapping[int, xr.Dataset]  # results of kernel_evolution


class DriftLaws(NamedTuple):
    """Of the drift at the last time: of each member, averaged over members, and of the members' mean kernel.

    None where some kernel has not moved at all, as at rates that float32 rounds away: 0 has no logarithm to fit.
    """

    of_members: PowerLaw | None
    of_mean: PowerLaw | None  # of one kernel a width: its interval is open


def drift_laws(found: ByWidth) -> DriftLaws:
    """Fits at the three largest widths, or at both; raises ValueError where there are fewer than two.

    Widths whose attribute `randomness` is the same, and not empty, have members that depend on each other, one of a
    place on the other of that place, and are resampled alike.
    """
    widths = list(found)[-FITTED:]
    of_mean = np.array([[found[width].mean_drift.values[-1]] for width in widths])
    drifts, shares = (last_drifts(found)[-FITTED:], of_mean), [_randomness(found[width]) for width in widths]
    fitted = (fit_power_law(widths, values, shares=shares) if (values > 0).all() else None for values in drifts)
    return DriftLaws(*fitted)


def _randomness(found: xr.Dataset) -> str:
    return str(found.attrs.get("randomness", ""))


def last_drifts(found: ByWidth) -> Float[np.ndarray, "width member"]:
    """Every member's drift at the last time."""
    return np.stack([each.drift.values[-1] for each in found.values()])


def drift_figure(
    networks: Mapping[str, ByWidth], laws: Mapping[str, DriftLaws], names: Mapping[str, str], title: str
) -> Figure:
    """Drift at the last time against width, of members and of their mean kernel; and over time, for each width.

    `networks` holds, by network and by width, results of `kernel_evolution` at common times; at most three networks.
    `laws` are their `drift_laws`.
    """
    if not 1 <= len(networks) <= len(MARKERS):
        raise ValueError(f"there are {len(networks)} networks; between 1 and {len(MARKERS)} can be shown")
    figure = new_figure(11, 8)
    figure.suptitle(title, fontsize=12)
    top, bottom = figure.subfigures(2, 1, squeeze=False, height_ratios=[1.15, 1])[:, 0]
    of_members, of_mean = np.ravel(top.subplots(1, 2, sharey=True))
    for index, (network, found) in enumerate(networks.items()):
        _draw_members(of_members, found, laws[network].of_members, index, names[network])
        _draw_mean(of_mean, found, laws[network].of_mean, index, names[network])
    steps = next(iter(next(iter(networks.values())).values())).step.values
    for axis, what in ((of_members, "each member"), (of_mean, "the members' mean kernel")):
        _label_widths(axis, networks, intervals=axis is of_members)
        axis.set_title(f"Drift of {what} after {steps[-1]} steps", fontsize=10)
    of_members.set_ylabel(DRIFT)
    axes = bottom.subplots(1, len(networks), sharey=True, squeeze=False)[0]
    for axis, (network, found) in zip(axes, networks.items(), strict=True):
        _draw_over_time(axis, found, names[network])
    axes[0].set_ylabel(f"{DRIFT}, mean over members")
    axes[0].legend(title="width", fontsize=8, title_fontsize=8, frameon=False, loc="lower right")
    bottom.suptitle("During training", fontsize=10)
    return figure


def _draw_members(axis: Axes, found: ByWidth, law: PowerLaw | None, index: int, name: str) -> None:
    widths, values = np.array(list(found)), last_drifts(found)
    beside = widths * 1.06 ** (index - 1)
    axis.plot(np.repeat(beside, values.shape[1]), _positive(values).ravel(), ".", color=PALETTE[index], ms=4, alpha=0.5)
    label = f"{name}: no drift to fit" if law is None else f"{name}: {law.label}"
    _draw_law(axis, widths, values.mean(1), law, index, label)


def _draw_mean(axis: Axes, found: ByWidth, law: PowerLaw | None, index: int, name: str) -> None:
    values = np.array([each.mean_drift.values[-1] for each in found.values()])
    label = f"{name}: no drift to fit" if law is None else f"{name}: width$^{{{law.exponent:.2f}}}$"
    _draw_law(axis, np.array(list(found)), values, law, index, label)


def _draw_law(
    axis: Axes,
    widths: Int[np.ndarray, " width"],
    values: Float[np.ndarray, " width"],
    law: PowerLaw | None,
    index: int,
    label: str,
) -> None:
    axis.plot(widths, _positive(values), MARKERS[index], color=PALETTE[index], ms=7, mec="white", label=label)
    if law is not None:
        axis.plot(widths[-FITTED:], law.at(widths[-FITTED:]), "-", color=PALETTE[index], lw=1.5)


def _positive(values: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    """What a logarithmic axis can show."""
    return np.where(values > 0, values, np.nan)


def _label_widths(axis: Axes, networks: Mapping[str, ByWidth], intervals: bool) -> None:
    widths = np.array(list(next(iter(networks.values()))), float)
    fitted = widths[-FITTED:]
    above = 1.4 * max((last_drifts(found)[-FITTED:].max(1) * fitted).max() for found in networks.values())
    if above > 0:
        axis.plot(fitted, above / fitted, ":", color="0.3", lw=1.2, label="slope of width$^{-1}$")
        axis.set_yscale("log")
    axis.set_xscale("log")
    axis.set_xticks(widths, [f"{width:g}" for width in widths])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.yaxis.set_minor_formatter(NullFormatter())
    axis.set_xlabel("width (channels of each hidden layer)")
    axis.grid(alpha=0.2, which="both")
    title = f"fitted at widths {fitted[0]:g} to {fitted[-1]:g}" + (f"  [{LEVEL:.0%}]" if intervals else "")
    axis.legend(fontsize=8, frameon=False, loc="lower left", title=title, title_fontsize=8, alignment="left")


def _draw_over_time(axis: Axes, found: ByWidth, name: str) -> None:
    colours = mpl.colormaps["viridis"](np.linspace(0, 0.9, len(found)))
    for (width, each), colour in zip(found.items(), colours, strict=True):
        drifts = _positive(each.drift.values[1:].mean(1))
        axis.plot(each["time"].values[1:], drifts, "o-", ms=3, color=colour, label=f"{width}")
    if any((each.drift.values[1:] > 0).any() for each in found.values()):  # else there is nothing to show
        axis.set_xscale("log")
        axis.set_yscale("log")
    axis.set_xlabel("training time t (steps × learning rate)")
    axis.set_title(name, fontsize=10)
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.grid(alpha=0.2, which="both")
