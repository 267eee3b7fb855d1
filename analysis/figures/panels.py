"""What figures of several runs share: checks of tables, a style for each run, panels, axes, legends below."""

import textwrap
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter

from widesym.analysis.figures.drawing import PALETTE, new_figure

MARKERS = "os^Dvp"
FLOOR, THEORY = ":", "--"
GUIDE = "0.55"


class Style(NamedTuple):
    """How one run is drawn, in every panel."""

    name: str
    colour: str
    marker: str


def run_styles(table: xr.Dataset) -> list[Style]:
    """A style for each run; the name holds its members where the table has them.

    Raises ValueError for more runs than can be told apart, none, and two of one name.
    """
    names = [str(name) for name in table["run"].values]
    if not 1 <= len(names) <= len(PALETTE):
        raise ValueError(
            f"there are {len(names)} runs; a figure shows 1 to {len(PALETTE)}: select some with .sel(run=[…])"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"runs are named {', '.join(names)}; each needs a name of its own")
    if "members" in table.coords:
        names = [f"{name} ({int(count)} members)" for name, count in zip(names, table["members"].values, strict=True)]
    return [
        Style(literal_text(name), colour, marker) for name, colour, marker in zip(names, PALETTE, MARKERS, strict=False)
    ]


def at_set(table: xr.Dataset, evaluation_set: str) -> xr.Dataset:
    """The table of one evaluation set; ValueError, with the names that there are, where it has none of that name."""
    names = [str(name) for name in table["evaluation_set"].values]
    if evaluation_set not in names:
        raise ValueError(f"evaluation_set is {evaluation_set!r}; the table holds {', '.join(names)}")
    return table.isel(evaluation_set=names.index(evaluation_set))


def check_numbers(table: xr.Dataset, *variables: str) -> None:
    """Raise ValueError where the table lacks a variable, or one holds what is no finite number."""
    for name in variables:
        if name not in table.variables:
            raise ValueError(f"the table lacks {name!r}; it holds {', '.join(map(str, table.data_vars))}")
        bad = ~np.isfinite(table[name].values)
        if bad.any():
            raise ValueError(f"{bad.sum()} of {bad.size} values of {name!r} are not finite; leave out what has none")


def check_same_runs(one: xr.Dataset, other: xr.Dataset) -> None:
    """Raise ValueError where two tables do not hold the same runs in the same order."""
    first, second = one["run"].values.tolist(), other["run"].values.tolist()
    if first != second:
        raise ValueError(f"one table holds the runs {first}, the other {second}; they must be the same")


def has(table: xr.Dataset, variable: str) -> bool:
    """Whether an optional variable is there: NaN throughout stands for a run or set that has none."""
    return variable in table.variables and bool(np.isfinite(table[variable].values).any())


def panels(
    count: int, title: str, columns: int = 3, size: tuple[float, float] = (3.7, 2.9), common_y: bool = False
) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels in rows, `size` inches each, under a title."""
    columns = min(columns, count)
    rows = -(-count // columns)
    width, height = size if count > 1 else (max(size[0], 5.6), max(size[1], 3.6))
    figure = new_figure(max(width * columns, 5.2), height * rows + 0.6)
    axes = list(figure.subplots(rows, columns, sharey=common_y, squeeze=False).flat)
    for axis in axes[count:]:
        axis.remove()
    head(figure, title)
    return figure, axes[:count]


def head(figure: Figure, title: str) -> None:
    """A title in as many lines as it needs."""
    figure.suptitle(textwrap.fill(literal_text(title), int(11 * figure.get_figwidth())), fontsize=11)


def panel_title(axis: Axes, *lines: str, letters: int = 46) -> None:
    """What a panel is of; lines of more letters are broken, once."""
    axis.set_title("\n".join(textwrap.fill(line, letters, max_lines=2) for line in lines), fontsize=9)


def literal_text(text: str) -> str:
    """Text as it is: no mathematics between dollar signs, and no first underscore, which would hide it in legends."""
    return (" " + text if text.startswith("_") else text).replace("$", r"\$")


def time_axis(
    axis: Axes, times: Float[np.ndarray, " time"], label: str = "training time t (steps × learning rate)"
) -> None:
    """Time along x: linear up to the first time after 0 and logarithmic from there, if there are decades to show."""
    later = times[times > 0].astype(float)
    logarithmic = len(later) > 1 and later[-1] > 20 * later[0]
    if logarithmic:
        axis.set_xscale("symlog", linthresh=later[0])
        first, last = (int(np.ceil(np.log10(end) - 1e-6)) for end in (0.5 * later[0], 1.2 * later[-1]))
        axis.set_xticks([0.0, *(10.0**power for power in range(first, last))])
    if len(later):
        axis.set_xlim(-0.1 * later[0] if logarithmic else -0.03 * later[-1], (1.2 if logarithmic else 1.03) * later[-1])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(label, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.2)


def size_axis(axis: Axes, sizes: Sequence[int] | np.ndarray, label: str) -> None:
    """Whole numbers along x, logarithmically, each tick one of them."""
    axis.set_xscale("log")
    kept = sizes if len(sizes) <= 8 else sizes[:: -(-len(sizes) // 8)]
    axis.set_xticks(kept, [f"{size}" for size in kept])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.set_xlabel(label, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.2)


def log_values(axis: Axes, *values: np.ndarray) -> None:
    """A logarithmic y axis from just below the least of these that is positive, if one is."""
    every = np.concatenate([np.ravel(each) for each in values])
    positive = every[np.isfinite(every) & (every > 0)]
    if len(positive):
        axis.set_yscale("log")
        axis.set_ylim(bottom=0.6 * float(positive.min()))
        few = positive.max() < 100 * positive.min()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if few else (1,)))
        axis.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axis.yaxis.set_minor_locator(NullLocator())


def plain_line(
    axis: Axes, x: np.ndarray, y: np.ndarray, style: str, colour: str, name: str | None = None, lw: float = 1.2
) -> None:
    """A line of that style without markers; a single value is a dash."""
    marker = {"marker": "_", "ms": 14} if len(x) == 1 else {}
    axis.plot(x, y, style, color=colour, lw=lw, label=name, **marker)


def legend_below(figure: Figure, title: str | None = None) -> None:
    """One legend of all panels below them, each label once."""
    found = [pair for axis in figure.axes for pair in zip(*axis.get_legend_handles_labels(), strict=True)]
    by_label = {label: handle for handle, label in reversed(found)}
    labels = list(dict.fromkeys(label for _, label in found))
    widest = max(map(len, labels)) * 0.065 + 0.6  # inches, at 8 points
    columns = max(1, min(4, len(labels), int(figure.get_figwidth() / widest)))
    handles = [by_label[label] for label in labels]
    figure.set_figheight(figure.get_figheight() + 0.19 * (-(-len(labels) // columns) + (title is not None)) + 0.1)
    place = {"loc": "outside lower center", "ncols": columns, "frameon": False}
    figure.legend(handles, labels, fontsize=8, title=title, title_fontsize=8, **place)
