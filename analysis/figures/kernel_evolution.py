"""Figures of kernels over training time: of one ensemble, and against the width of several."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from widesym.analysis.figures.drawing import BLUE, RED, new_figure
from widesym.analysis.figures.panels import literal_text

DRIFT = r"drift $\|\Theta_t - \Theta_0\|\,/\,\|\Theta_0\|$"
THIN = {"color": "0.6", "lw": 0.6, "alpha": 0.6}


def evolution_figure(found: xr.Dataset, title: str) -> Figure:
    """Drift and alignment over training time, members thin, and the mean kernel's spectrum at the first and last time.

    `found` is a result of `kernel_evolution`; without alignments there are two panels.
    """
    aligned = "alignment" in found
    figure = new_figure(11 if aligned else 7.6, 3.8)
    axes = figure.subplots(1, 3 if aligned else 2)
    _over_time(axes[0], found, "drift", DRIFT)
    axes[0].set_ylim(bottom=0)
    if aligned:
        _over_time(axes[1], found, "alignment", r"alignment of $\Theta_t$ with $YY^\top$")
    _spectra(axes[-1], found)
    figure.suptitle(literal_text(title), fontsize=11)
    return figure


def _over_time(axis: Axes, found: xr.Dataset, name: str, label: str) -> None:
    members, of_mean = found[name].values, found[f"mean_{name}"].values
    common = "time" in found.variables
    x = found["time"].values if common else found.step.values
    axis.plot(x, members, **THIN)
    axis.plot([], [], **THIN, label=f"each of {members.shape[1]} members")
    axis.plot(x, members.mean(1), "o-", ms=3, color=BLUE, lw=1.8, label="mean over members")
    axis.plot(x, of_mean, "s--", ms=3, color=RED, lw=1.8, label="of the mean kernel")
    later = x[x > 0]  # warmup begins with a rate of 0
    if len(later) > 1 and x[-1] > 20 * later[0]:
        axis.set_xscale("symlog", linthresh=float(later[0]))  # linear up to the first time after 0, then logarithmic
    if len(later):
        axis.set_xlim(0, 1.02 * float(x[-1]))
    axis.set_xlabel("training time t (steps × learning rate)" if common else "training step")
    axis.set_ylabel(label)
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.2)


def _spectra(axis: Axes, found: xr.Dataset) -> None:
    values, steps = found.mean_spectrum.values, found.step.values
    numbers = np.arange(1, values.shape[1] + 1)
    for index, colour, marker in ((0, "0.4", "o"), (-1, BLUE, "s")):
        axis.plot(numbers, np.where(values[index] > 0, values[index], np.nan), marker, ms=3, color=colour)
        axis.plot([], [], marker, ms=4, color=colour, label=f"step {steps[index]}")
    axis.set_yscale("log")
    axis.set_xlabel("number of the eigenvalue")
    axis.set_ylabel("eigenvalues of the mean kernel")
    axis.legend(fontsize=8, frameon=False)
    axis.grid(alpha=0.2)
