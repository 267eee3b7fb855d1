"""The comparison's figure: pictures, divergence over time and ensemble size, means against theory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure

from analysis.comparison import Comparison
from analysis.drawing import BLUE, GREEN, RED, line_with_band, new_figure
from ensembles.data import Dataset

COLOURS = {"augmented": BLUE, "gcnn": GREEN, "control": RED}
NAMES = {"augmented": "CNN, full C4 augmentation", "gcnn": "C4 group-CNN", "control": "CNN, no augmentation"}
MARKERS = {"augmented": "o", "gcnn": "s", "control": "^"}
PICTURES = 8


@dataclass(frozen=True)
class Panels:
    """What the figure shows: comparisons by evaluation set (test first, then OOD), with their data."""

    times: Sequence[float]
    comparisons: Mapping[str, Comparison]
    data: Mapping[str, Dataset]

    @property
    def ood(self) -> list[str]:
        """The OOD sets' names."""
        return [name for name in self.comparisons if name != "test"]

    @property
    def shown(self) -> str:
        """The OOD set that the single panels show."""
        return "letters" if "letters" in self.ood else self.ood[0]


def comparison_figure(panels: Panels) -> Figure:
    """The whole figure, for a newcomer to read from top to bottom."""
    figure = new_figure(11, 9.5)
    members = len(panels.comparisons["test"].logits["gcnn"][0])
    figure.suptitle(
        f"Augmented CNNs and group-CNNs agree in the mean: ensembles of {members} networks on 8×8 digits", fontsize=13
    )
    top, middle, bottom = figure.subfigures(3, 1, squeeze=False, height_ratios=[0.45, 1, 1.05])[:, 0]
    _draw_pictures(top, panels)
    middle.suptitle(
        "Out of distribution: distance of the mean logits from the group-CNNs', during training (95 % bootstrap bands)",
        fontsize=11,
    )
    axes = middle.subplots(1, len(panels.ood), squeeze=False)[0]
    for axis, name in zip(axes, panels.ood, strict=True):
        _draw_divergence(axis, panels, name)
    axes[0].set_ylabel("‖mean logits − group-CNNs'‖₂,\nmean over images")
    middle.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    by_size, logit, accuracy = bottom.subplots(1, 3)
    _draw_by_size(by_size, panels)
    _draw_mean_logit(logit, panels)
    _draw_accuracy(accuracy, panels)
    return figure


def _draw_pictures(part: SubFigure, panels: Panels) -> None:
    axes = part.subplots(1, len(panels.data), squeeze=False)[0]
    for axis, (name, data) in zip(axes, panels.data.items(), strict=True):
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


def _time_axis(axis: Axes, times: Sequence[float]) -> None:
    axis.set_xscale("symlog", linthresh=times[1])
    axis.set_xlim(0, times[-1] * 1.1)
    axis.set_xlabel("training time t = step × learning rate")


def _draw_divergence(axis: Axes, panels: Panels, name: str) -> None:
    comparison, times = panels.comparisons[name], panels.times
    for network in ("control", "augmented"):
        distances, band = comparison.divergence(network), comparison.interval(network)
        line_with_band(axis, times, distances, band, MARKERS[network] + "-", COLOURS[network], NAMES[network])
    floor, predicted = comparison.floor("augmented"), comparison.predicted_divergence("control")
    axis.plot(times, floor, ":", color=COLOURS["augmented"], lw=1.5, label="noise floor: equal means")
    axis.plot(times, predicted, "--", color="black", lw=1, label="theory, no augmentation (full: 0)")
    axis.set_ylim(0)
    axis.set_title(f"OOD: {name}", fontsize=10)
    _time_axis(axis, times)


def _draw_by_size(axis: Axes, panels: Panels) -> None:
    comparison = panels.comparisons[panels.shown]
    members, sizes = comparison.logits["gcnn"].shape[1], comparison.sizes
    for network in ("control", "augmented"):
        distances, band = comparison.by_size(network), comparison.interval_by_size(network)
        line_with_band(axis, sizes, distances, band, MARKERS[network] + "-", COLOURS[network], NAMES[network])
    floor = comparison.floor("augmented")[-1] * np.sqrt(members / np.array(sizes))
    axis.plot(sizes, floor, ":", color=COLOURS["augmented"], lw=1.2, label="noise floor ∝ 1/√members")
    predicted = comparison.predicted_divergence("control")[-1]
    axis.axhline(predicted, ls="--", color="black", lw=1, label="theory, no augmentation")
    axis.set(
        xscale="log",
        yscale="log",
        xlabel="members per ensemble",
        title=f"After training, by ensemble size ({panels.shown})",
    )
    axis.set_ylabel("‖mean logits − group-CNNs'‖₂")
    axis.set_xticks(sizes, [str(size) for size in sizes], minor=False)
    axis.set_xticks([], minor=True)
    axis.legend(fontsize=7, frameon=False)
    axis.title.set_fontsize(10)


def _draw_mean_logit(axis: Axes, panels: Panels) -> None:
    comparison, times = panels.comparisons[panels.shown], panels.times
    sample, logit = _telling_logit(comparison)
    for network, logits in comparison.logits.items():
        colour, theory = COLOURS[network], comparison.theory[network]
        mean = theory.mean[:, sample, logit]
        error = np.sqrt(theory.variance[:, sample] / logits.shape[1])
        axis.plot(times, mean, "--", color=colour, lw=1)
        axis.fill_between(times, mean - error, mean + error, color=colour, alpha=0.15, lw=0)
        axis.plot(
            times, logits[:, :, sample, logit].mean(1), MARKERS[network], color=colour, ms=4, label=NAMES[network]
        )
    axis.plot([], [], "--", color="gray", label="theory ± standard error")
    picture = axis.inset_axes((0.03, 0.03, 0.22, 0.22))
    picture.imshow(panels.data[panels.shown].inputs[sample, :, :, 0], cmap="gray_r", interpolation="nearest")
    picture.set_xticks([])
    picture.set_yticks([])
    axis.set_title(f"One OOD picture: mean logit of class {logit}", fontsize=10)
    axis.set_ylabel("mean logit over members")
    axis.legend(fontsize=7, frameon=False)
    _time_axis(axis, times)


def _telling_logit(comparison: Comparison) -> tuple[int, int]:
    """The sample and logit at which theory sets control and augmented furthest apart."""
    gap: Float[np.ndarray, "sample logit"] = np.abs(
        comparison.theory["control"].mean[-1] - comparison.theory["augmented"].mean[-1]
    )
    sample, logit = np.unravel_index(gap.argmax(), gap.shape)
    return int(sample), int(logit)


def _draw_accuracy(axis: Axes, panels: Panels) -> None:
    comparison, labels = panels.comparisons["test"], panels.data["test"].labels
    for network, logits in comparison.logits.items():
        measured = (logits.mean(1).argmax(-1) == labels).mean(-1)
        predicted = (comparison.theory[network].mean.argmax(-1) == labels).mean(-1)
        axis.plot(panels.times, measured, MARKERS[network] + "-", color=COLOURS[network], ms=4, label=NAMES[network])
        axis.plot(panels.times[1:], predicted[1:], "--", color=COLOURS[network], lw=1)
    axis.plot([], [], "--", color="gray", label="theory")
    axis.set_ylim(0, 1)
    axis.set_title("Test accuracy of the ensemble mean", fontsize=10)
    axis.set_ylabel("accuracy")
    axis.legend(fontsize=7, frameon=False)
    _time_axis(axis, panels.times)
