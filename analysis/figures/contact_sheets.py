"""Contact sheets: what samples of a data set look like, with labels or values, and those out of its distribution."""

import textwrap
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Int
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from widesym.analysis.figures.drawing import BLUE, ORANGE, RED, new_figure
from widesym.analysis.figures.panels import literal_text
from widesym.ensembles.data import Dataset, Splits

ARROWS = {"u": BLUE, "v": ORANGE, "u × v": RED}
COLUMNS, TRAINING_ROWS = 10, 4
MEASURED = 1000  # samples, at most, that the darkest and the brightest are found among
ATOMS = 12  # of a molecule that are drawn at most

Sets = Mapping[str, Dataset]


def contact_sheet(name: str, splits: Splits, ood: Sets) -> Figure:
    """Training samples, one of each class in turn, and below them samples of each out-of-distribution set."""
    train, test = splits
    figure = new_figure(8, 6)
    shape = "×".join(map(str, train.inputs.shape[1:]))
    kinds = f", {len(train.classes)} classes" if train.classes else ""
    counts = f"{len(train):,} training and {len(test):,} test samples of shape {shape}{kinds}"
    figure.suptitle(f"{name}: {counts}\n{textwrap.shorten(train.provenance, 130)}", fontsize=10, parse_math=False)
    drawing_of(train)(figure, train, ood)
    return figure


def drawing_of(data: Dataset) -> Callable[[Figure, Dataset, Sets], None]:
    """How inputs of this shape are drawn."""
    shape = data.inputs.shape[1:]
    if len(shape) == 1:
        return draw_points
    if shape == (2, 3):
        return draw_pairs
    return draw_images if len(shape) == 3 else draw_atoms


def draw_images(figure: Figure, train: Dataset, ood: Sets) -> None:
    """Pictures in rows, all from the training set's darkest to its brightest; those of three channels in colour, as
    they were before they were normalised with the training set's statistics, if these are known.
    """
    shown = representative_samples(train, TRAINING_ROWS * COLUMNS)
    rows = [("training set", train, shown[:COLUMNS])]
    rows += [("", train, shown[start : start + COLUMNS]) for start in range(COLUMNS, len(shown), COLUMNS)]
    rows += [(label, data, np.arange(min(COLUMNS, len(data)))) for label, data in ood.items()]
    figure.set_size_inches(COLUMNS, 1.15 * len(rows) + 0.8)
    seen = train.normalisation.undone if train.normalisation else np.asarray
    low, high = np.percentile(seen(train.inputs[:: -(-len(train) // MEASURED)]), (0.5, 99.5))
    height, width = train.inputs.shape[1:3]
    gap = width / 12
    for axis, (label, data, indices) in zip(figure.subplots(len(rows), squeeze=False).flat, rows, strict=True):
        for column, index in enumerate(indices):
            picture = np.clip((seen(data.inputs[index]) - low) / ((high - low) or 1), 0, 1)
            left = column * (width + gap)
            colour = picture if picture.shape[-1] == 3 else picture[..., 0]
            axis.imshow(colour, cmap="gray", vmin=0, vmax=1, extent=(left, left + width, height, 0))
            axis.text(left + width / 2, -gap / 2, caption(data, index), fontsize=7, ha="center", parse_math=False)
        axis.set(xlim=(0, COLUMNS * (width + gap)), ylim=(height, -gap), xticks=[], yticks=[])
        axis.spines[:].set_visible(False)
        axis.set_ylabel(label.replace(" ", "\n"), fontsize=8, rotation=0, ha="right", va="center")


def draw_points(figure: Figure, train: Dataset, ood: Sets) -> None:
    """The value over the line, or as colour in the plane."""
    figure.set_size_inches(8, 5.5)
    axis, flat = figure.subplots(), train.inputs.shape[1] == 1
    value, norm = literal_text(heading(train)), Normalize(-1, 1)
    sets = {"training set": train, **{literal_text(name): data for name, data in ood.items()}}
    for (label, data), marker in zip(sets.items(), "o^sDv", strict=False):
        x, values = data.inputs.T, np.zeros(len(data)) if data.values is None else data.values[:, 0]
        if flat:
            axis.plot(x[0], values, marker, ms=5, label=label)
        else:
            axis.scatter(*x, c=values, marker=marker, s=25, label=label, norm=norm)
    axis.set(xlabel="x" if flat else "x₁", ylabel=value if flat else "x₂")
    if not flat:
        axis.set_aspect("equal")
        figure.colorbar(ScalarMappable(norm), ax=axis, label=value)
    axis.legend(fontsize=8)


def draw_pairs(figure: Figure, train: Dataset, ood: Sets) -> None:
    """Arrows u and v in space, and the value, u × v, as third."""
    columns, sets = 5, {"training set": train, **ood}
    figure.set_size_inches(2.2 * columns, 2.4 * len(sets) + 0.6)
    for row, (label, data) in enumerate(sets.items()):
        products = np.zeros((len(data), 3)) if data.values is None else data.values
        vectors = np.concatenate([data.inputs, products[:, None]], axis=1)
        for column in range(min(columns, len(data))):
            axis: Any = figure.add_subplot(len(sets), columns, row * columns + column + 1, projection="3d")
            for arrow, colour in zip(vectors[column], ARROWS.values(), strict=True):
                axis.quiver(0, 0, 0, *arrow, color=colour, arrow_length_ratio=0.15)
            limits = np.array([-0.7, 0.7]) * np.linalg.norm(vectors[column], axis=1).max()
            axis.set(xlim=limits, ylim=limits, zlim=limits)
            axis.tick_params(labelsize=5, pad=-3)
            if column == 0:
                axis.set_title(label, fontsize=8, loc="left")
    handles = [Line2D([], [], color=colour, label=name) for name, colour in ARROWS.items()]
    figure.legend(handles=handles, loc="outside lower center", ncols=3, fontsize=8)


def draw_atoms(figure: Figure, train: Dataset, ood: Sets) -> None:
    """Signals of each atom (rows) and channel (columns) on the sphere, colatitude downwards, azimuth to the right."""
    samples = [("training set", train, index) for index in range(min(3, len(train)))]
    samples += [(label, data, 0) for label, data in ood.items()]
    samples = samples[:6]
    figure.set_size_inches(13, 8)
    parts = figure.subfigures(2, 3, squeeze=False).flat
    for part, (label, data, index) in zip(parts, samples, strict=False):
        signals = data.inputs[index, :ATOMS]
        atoms, channels = signals.shape[0], signals.shape[-1]
        bound = np.percentile(np.abs(signals), 99.5) or 1
        mosaic = np.full((atoms * (signals.shape[1] + 1), channels * (signals.shape[2] + 1)), np.nan)
        for atom, channel in np.ndindex(atoms, channels):
            top, left = atom * (signals.shape[1] + 1), channel * (signals.shape[2] + 1)
            mosaic[top : top + signals.shape[1], left : left + signals.shape[2]] = signals[atom, ..., channel]
        axis = part.subplots()
        axis.imshow(mosaic, cmap="RdBu_r", vmin=-bound, vmax=bound, interpolation="nearest", aspect="auto")
        axis.set_xticks((np.arange(channels) + 0.5) * (signals.shape[2] + 1), range(channels), fontsize=7)
        axis.set_yticks((np.arange(atoms) + 0.5) * (signals.shape[1] + 1), range(atoms), fontsize=7)
        axis.set_xlabel("channel", fontsize=8)
        axis.set_ylabel("atom", fontsize=8)
        axis.set_title(f"{label} {caption(data, index)}", fontsize=8, parse_math=False)


def representative_samples(data: Dataset, count: int) -> Int[np.ndarray, " sample"]:
    """Samples to show: one of each class in turn, as often as there are enough; without labels the first ones."""
    if data.labels is None:
        return np.arange(min(count, len(data)))
    turn = np.zeros(len(data), int)  # how many of its class came before a sample
    for label in np.unique(data.labels):
        where = np.flatnonzero(data.labels == label)
        turn[where] = np.arange(len(where))
    return np.lexsort((data.labels, turn))[:count]


def caption(data: Dataset, index: int) -> str:
    """A sample's class, or its value with unit."""
    if data.labels is not None:
        return textwrap.shorten(data.classes[data.labels[index]], 16, placeholder="…")
    if data.values is None:
        return ""
    value = data.values[index, 0]
    return f"{value:,.0f} {data.quantities[0].unit}" if abs(value) >= 1000 else f"{value:.3g} {data.quantities[0].unit}"


def heading(data: Dataset) -> str:
    """Name and unit of the first quantity."""
    if not data.quantities:
        return "value"
    quantity = data.quantities[0]
    return f"{quantity.name} / {quantity.unit}" if quantity.unit else quantity.name
