"""The demo's figure: pictures, divergence over time and ensemble size, means against theory."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Shaped
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from widesym.analysis.figures.drawing import BLUE, GREEN, RED, line_with_band, new_figure
from widesym.analysis.figures.panels import time_axis
from widesym.ensembles.data import Dataset

COLOURS = {"augmented": BLUE, "gcnn": GREEN, "control": RED}
NAMES = {"augmented": "CNN, full C4 augmentation", "gcnn": "C4 group-CNN", "control": "CNN, no augmentation"}
MARKERS = {"augmented": "o", "gcnn": "s", "control": "^"}
PICTURES = 8

Tables = Mapping[str, xr.Dataset]
Sets = Mapping[str, Dataset]


def comparison_figure(tables: Tables, data: Sets) -> Figure:
    """The whole figure, for a newcomer to read from top to bottom.

    `tables` are those of `widesym.analysis.comparison.compare`, with theory, of the runs augmented, gcnn (the
    reference) and control, and `data` the training set, the test set and the OOD sets.
    """
    figure, ood = new_figure(11, 9.5), [name for name in data if name not in ("train", "test")]
    shown = "letters" if "letters" in ood else ood[0]
    members = tables["divergence"].attrs["reference_members"]
    figure.suptitle(
        f"Augmented CNNs and group-CNNs agree in the mean: ensembles of {members} networks on 8×8 digits", fontsize=13
    )
    top, middle, bottom = figure.subfigures(3, 1, squeeze=False, height_ratios=[0.45, 1, 1.05])[:, 0]
    _draw_pictures(top, data)
    middle.suptitle(
        "Out of distribution: distance of the mean logits from the group-CNNs', during training (95 % intervals)",
        fontsize=11,
    )
    axes = middle.subplots(1, len(ood), squeeze=False)[0]
    for axis, name in zip(axes, ood, strict=True):
        _draw_divergence(axis, tables["divergence"].sel(evaluation_set=name))
        axis.set_title(f"OOD: {name}", fontsize=10)
    axes[0].set_ylabel("‖mean logits − group-CNNs'‖₂,\nmean over images")
    middle.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    by_size, logit, accuracy = bottom.subplots(1, 3)
    _draw_by_size(by_size, tables["divergence_by_size"].sel(evaluation_set=shown).isel(time=-1))
    by_size.set_title(f"After training, by ensemble size ({shown})", fontsize=10)
    _draw_mean_logit(logit, tables["mean_logits"], data[shown])
    _draw_accuracy(accuracy, tables, data["test"])
    return figure


def _draw_pictures(part: SubFigure, sets: Sets) -> None:
    axes = part.subplots(1, len(sets), squeeze=False)[0]
    for axis, (name, data) in zip(axes, sets.items(), strict=True):
        pictures = data.inputs[:PICTURES, :, :, 0]
        low, high = pictures.min((1, 2), keepdims=True), pictures.max((1, 2), keepdims=True)
        pictures = (pictures - low) / np.maximum(high - low, 1e-6)  # each in its own range
        framed = np.pad(pictures, ((0, 0), (0, 1), (0, 1)), constant_values=np.nan)
        rows = [np.concatenate(list(half), axis=1) for half in np.array_split(framed, 2)]
        width = max(row.shape[1] for row in rows)
        rows = [np.pad(row, ((0, 0), (0, width - row.shape[1])), constant_values=np.nan) for row in rows]
        axis.imshow(np.concatenate(rows), cmap="gray_r", interpolation="nearest")
        axis.set_axis_off()
        label = {"train": "trained on: digits", "test": "test set: digits"}.get(name, f"OOD: {name}")
        axis.set_title(label, fontsize=9)


def _draw_divergence(axis: Axes, table: xr.Dataset) -> None:
    times = table["time"].values
    _draw_networks(axis, times, table)
    floor, predicted = (
        table.noise_floor.sel(run="augmented").values,
        table.predicted_divergence.sel(run="control").values,
    )
    axis.plot(times, floor, ":", color=COLOURS["augmented"], lw=1.5, label="noise floor: equal means")
    axis.plot(times, predicted, "--", color="black", lw=1, label="theory, no augmentation (full: 0)")
    axis.set_ylim(0)
    time_axis(axis, times)


def _draw_networks(axis: Axes, x: Shaped[np.ndarray, " x"], table: xr.Dataset) -> None:
    for network in ("control", "augmented"):
        of = table.sel(run=network)
        style, name = MARKERS[network] + "-", NAMES[network]
        line_with_band(axis, x, of.divergence.values, of.divergence_interval.values, style, COLOURS[network], name)


def _draw_by_size(axis: Axes, table: xr.Dataset) -> None:
    sizes = table["size"].values
    _draw_networks(axis, sizes, table)
    floor = table.noise_floor.sel(run="augmented").values
    axis.plot(sizes, floor, ":", color=COLOURS["augmented"], lw=1.2, label="noise floor ∝ 1/√members")
    predicted = float(table.predicted_divergence.sel(run="control"))
    axis.axhline(predicted, ls="--", color="black", lw=1, label="theory, no augmentation")
    axis.set(xscale="log", yscale="log", xlabel="members per ensemble")
    axis.set_ylabel("‖mean logits − group-CNNs'‖₂")
    axis.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axis.set_xticks([], minor=True)
    axis.legend(fontsize=7, frameon=False)


def _draw_mean_logit(axis: Axes, table: xr.Dataset, data: Dataset) -> None:
    of_set = table.isel(sample=table.evaluation_set.values == data.name)
    sample, logit = _telling_logit(of_set)
    times, at = table["time"].values, of_set.isel(sample=sample, logit=logit)
    for network, colour in COLOURS.items():
        of = at.sel(run=network)
        mean = of.theory_mean.values
        error = of.theory_deviation.values / np.sqrt(int(of.members))
        axis.plot(times, mean, "--", color=colour, lw=1)
        axis.fill_between(times, mean - error, mean + error, color=colour, alpha=0.15, lw=0)
        axis.plot(times, of["mean"].values, MARKERS[network], color=colour, ms=4, label=NAMES[network])
    axis.plot([], [], "--", color="gray", label="theory ± standard error")
    picture = axis.inset_axes((0.03, 0.4, 0.22, 0.22))
    picture.imshow(data.inputs[sample, :, :, 0], cmap="gray_r", interpolation="nearest")
    picture.set_xticks([])
    picture.set_yticks([])
    axis.set_title(f"One OOD picture: mean logit of class {logit}", fontsize=10)
    axis.set_ylabel("mean logit over members")
    axis.legend(fontsize=7, frameon=False)
    time_axis(axis, times)


def _telling_logit(table: xr.Dataset) -> tuple[int, int]:
    """The sample and logit at which theory sets control and augmented furthest apart."""
    last = table.theory_mean.isel(time=-1)
    gap = np.abs(last.sel(run="control").values - last.sel(run="augmented").values)
    sample, logit = np.unravel_index(gap.argmax(), gap.shape)
    return int(sample), int(logit)


def _draw_accuracy(axis: Axes, tables: Tables, test: Dataset) -> None:
    measured, means = tables["training"].ensemble_accuracy.sel(evaluation_set="test"), tables["mean_logits"]
    times = measured["time"].values
    predicted = means.theory_mean.isel(sample=means.evaluation_set.values == "test")
    for network, colour in COLOURS.items():
        axis.plot(
            times, measured.sel(run=network).values, MARKERS[network] + "-", color=colour, ms=4, label=NAMES[network]
        )
        right = (predicted.sel(run=network).values.argmax(-1) == test.labels).mean(-1)
        axis.plot(times[1:], right[1:], "--", color=colour, lw=1)
    axis.plot([], [], "--", color="gray", label="theory")
    axis.set_ylim(0, 1)
    axis.set_title("Test accuracy of the ensemble mean", fontsize=10)
    axis.set_ylabel("accuracy")
    axis.legend(fontsize=7, frameon=False)
    time_axis(axis, times)
