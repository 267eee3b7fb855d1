"""Figures of kernel regression: scores against training-set size, and Gram matrices by class."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, PercentFormatter, StrMethodFormatter

from widesym.analysis.figures.drawing import PALETTE, line_with_band, new_figure
from widesym.analysis.figures.panels import literal_text

MARKERS = "os^Dvp"


def learning_curve(curves: Mapping[str, xr.Dataset], title: str, quantity: str | None = None) -> Figure:
    """Accuracy or mean absolute error of each kernel against training-set size: mean over draws ± their deviation.

    `curves` are results of `accuracy_by_size`, or of `mean_absolute_error_by_size` with a `quantity` to show (the first
    one, if not said), by the name that the legend gives them; at most six. Draws of nearly all inputs are nearly the
    same, so bands end at the size of the whole set. Raises ValueError for others.
    """
    if not 1 <= len(curves) <= len(PALETTE):
        raise ValueError(f"there are {len(curves)} curves; between 1 and {len(PALETTE)} can be told apart")
    kinds = {"accuracy" if "accuracy" in curve else "mae" if "mae" in curve else "neither" for curve in curves.values()}
    if len(kinds) > 1 or "neither" in kinds:
        raise ValueError(f"curves hold {', '.join(sorted(kinds))}; all must hold accuracy, or all mae")
    (kind,) = kinds
    figure = new_figure(5.6, 4.2)
    axis = figure.subplots()
    for (name, curve), colour, marker in zip(curves.items(), PALETTE, MARKERS, strict=False):
        scores = curve["mae"][..., _index_of(quantity, curve)] if kind == "mae" else curve["accuracy"]
        _draw_curve(axis, name, scores, colour, marker)
    _label(axis, kind, next(iter(curves.values())), quantity)
    axis.set_title(literal_text(title), fontsize=11)
    return figure


def gram_by_class(
    kernel: Float[np.ndarray, "n n"], labels: Int[np.ndarray, " n"], classes: Sequence[str], title: str
) -> Figure:
    """Heat map of k(x, x')/√(k(x, x) k(x', x')), rows and columns sorted by class; lines between classes.

    Raises ValueError for labels that do not fit, and a diagonal that is not positive.
    """
    own = np.diag(kernel)
    if np.shape(labels) != own.shape or np.min(labels) < 0 or np.max(labels) >= len(classes):
        raise ValueError(
            f"labels have shape {np.shape(labels)} and run from {np.min(labels)} to {np.max(labels)}; {len(own)} "
            f"between 0 and {len(classes) - 1} are needed"
        )
    if not (own > 0).all():
        raise ValueError(f"the kernel's diagonal has {(~(own > 0)).sum()} entries that are not positive")
    order = np.argsort(labels, kind="stable")
    shown = (kernel / np.sqrt(np.outer(own, own)))[np.ix_(order, order)]
    figure = new_figure(5.6, 4.8)
    axis = figure.subplots()
    off_diagonal = shown[~np.eye(len(shown), dtype=bool)]
    low, high = np.quantile(off_diagonal, [0.01, 0.99]) if len(shown) > 1 else (0.0, 1.0)
    image = axis.imshow(shown, cmap="cividis", vmin=low, vmax=high)
    bar = figure.colorbar(image, ax=axis, extend="both", label=r"$k(x, x')\,/\sqrt{k(x, x)\,k(x', x')}$")
    bar.ax.tick_params(labelsize=8)
    _mark_classes(axis, np.bincount(labels, minlength=len(classes)), classes)
    axis.set_title(literal_text(title), fontsize=11)
    return figure


def _draw_curve(axis: Axes, name: str, scores: xr.DataArray, colour: str, marker: str) -> None:
    sizes, mean = scores["size"].values, scores.mean("draw").values
    band = None
    if scores.sizes["draw"] > 1:
        deviation = scores.std("draw", ddof=1).values
        band = np.column_stack([mean - deviation, mean + deviation])
    line_with_band(axis, sizes, mean, band, marker + "-", colour, name)


def _index_of(quantity: str | None, curve: xr.Dataset) -> int:
    names = curve.attrs["quantities"]
    if quantity is not None and quantity not in names:
        raise ValueError(f"quantity is {quantity!r}; the curve holds {', '.join(names)}")
    return 0 if quantity is None else names.index(quantity)


def _label(axis: Axes, kind: str, curve: xr.Dataset, quantity: str | None) -> None:
    draws, sizes, tested = curve.sizes["draw"], curve["size"].values, curve.attrs["test_samples"]
    axis.set_xscale("log")
    axis.set_xticks(sizes, [f"{size}" for size in sizes])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel("training-set size (inputs)")
    if kind == "accuracy":
        axis.yaxis.set_major_formatter(PercentFormatter(1.0, symbol=""))
        axis.set_ylabel(f"accuracy on {tested} test inputs (%)")
    else:
        index = _index_of(quantity, curve)
        name, unit = (literal_text(curve.attrs[of][index]) for of in ("quantities", "units"))
        axis.set_yscale("log")
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_locator(NullLocator())
        axis.set_ylabel(f"mean absolute error on {tested} test inputs:\n{name}{f' ({unit})' if unit else ''}")
    band = f"band: ± standard deviation over {draws} training sets" if draws > 1 else None
    axis.legend(fontsize=8, frameon=False, title=band, title_fontsize=8)
    axis.grid(alpha=0.2, which="major")


def _mark_classes(axis: Axes, counts: Int[np.ndarray, " class"], classes: Sequence[str]) -> None:
    ends = np.cumsum(counts)
    for end in ends[:-1]:
        axis.axhline(end - 0.5, color="white", lw=0.5)
        axis.axvline(end - 0.5, color="white", lw=0.5)
    present = counts > 0
    places, names = (
        (ends - counts / 2 - 0.5)[present],
        [literal_text(name) for name, is_there in zip(classes, present, strict=True) if is_there],
    )
    long = max(map(len, names)) > 2
    axis.set_xticks(places, names, fontsize=8, rotation=60 if long else 0, ha="right" if long else "center")
    axis.set_yticks(places, names, fontsize=8)
    axis.tick_params(length=0)
    axis.set_xlabel("class of $x'$")
    axis.set_ylabel("class of $x$")
