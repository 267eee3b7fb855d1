"""Ensembles against theory: distance over time, mean logits of single inputs, and how z scores are distributed."""

from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import t as student

from widesym.analysis.figures.drawing import line_with_band
from widesym.analysis.figures.panels import (
    FLOOR,
    THEORY,
    Style,
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
    time_axis,
)

Picture = Float[np.ndarray, "height width channel"]


def theory_over_time(theory: xr.Dataset) -> Figure:
    """Distance between ensemble mean and theory over the size of theory's mean: a panel for each evaluation set.

    With 95 % bands, and dotted the distance that finitely many members have without any bias. Dims are (run,
    evaluation_set, time). Raises ValueError for tables that do not fit, and more than six runs.
    """
    styles, sets = run_styles(theory), [str(name) for name in theory["evaluation_set"].values]
    check_numbers(theory, "distance", "distance_interval", "expected_distance", "scale", "time")
    if not (theory["scale"].values > 0).all():
        raise ValueError("scale is not above 0 for every run and evaluation set; nothing is relative to it")
    figure, axes = panels(len(sets), "Distance of the ensemble mean from theory during training", common_y=True)
    relative = theory[["distance", "distance_interval", "expected_distance"]] / theory["scale"]
    times = theory["time"].values
    for axis, name in zip(axes, sets, strict=True):
        for run, style in enumerate(styles):
            one = at_set(relative, name).isel(run=run)
            values, band = one["distance"].values, one["distance_interval"].transpose("time", "end").values
            line_with_band(axis, times, values, band, style.marker + "-", style.colour, style.name)
            plain_line(axis, times, one["expected_distance"].values, FLOOR, style.colour)
        axis.plot([], [], FLOOR, color="gray", label="expected of so many members, without bias")
        panel_title(axis, literal_text(name))
        time_axis(axis, times)
    log_values(axes[0], relative["distance"].values, relative["expected_distance"].values)
    for axis in axes[:: min(3, len(axes))]:
        axis.set_ylabel("‖mean logits − theory‖ / ‖theory‖,\neach a mean over inputs", fontsize=9)
    legend_below(figure, "bands: 95 % intervals")
    return figure


def mean_logits_figure(means: xr.Dataset, pictures: Mapping[int, Picture], chosen: Sequence[tuple[int, int]]) -> Figure:
    """Mean logits over time with standard errors, and theory's: a panel for each chosen (sample, logit).

    `means` has dims (run, time, sample, logit). `pictures` are shown of the samples that they are of. Theory's mean is
    dashed, its band one standard error of so many members; NaN stands for a run without. Raises ValueError for what is
    not in the table, and more than six runs.
    """
    styles = run_styles(means)
    check_numbers(means, "mean", "standard_error", "time")
    samples, logits = means.sizes["sample"], means.sizes["logit"]
    wrong = [pair for pair in chosen if not (0 <= pair[0] < samples and 0 <= pair[1] < logits)]
    if wrong or not chosen:
        raise ValueError(
            f"chosen is {list(chosen)}; pairs (sample, logit) of the {samples} samples and {logits} logits are needed"
        )
    figure, axes = panels(len(chosen), "Mean logits of single inputs during training")
    for axis, (sample, logit) in zip(axes, chosen, strict=True):
        at = means.isel(sample=sample, logit=logit)
        for run, style in enumerate(styles):
            _draw_mean(axis, at.isel(run=run), style)
        if has(at, "theory_mean"):
            axis.plot([], [], THEORY, color="gray", lw=1, label="theory; band: its deviation/√members")
        where = f"{at['evaluation_set'].item()} {at['image'].item()}" if "image" in at.coords else f"sample {sample}"
        axis.set_title(f"{literal_text(where)}, logit {logit}", fontsize=9, loc="left", y=1.02)
        axis.set_ylabel("mean logit over members", fontsize=9)
        time_axis(axis, means["time"].values)
        if sample in pictures:
            _draw_picture(axis, pictures[sample])
    legend_below(figure, "bars: ± standard error of the mean")
    return figure


def calibration_figure(calibration: xr.Dataset, theory: xr.Dataset) -> Figure:
    """Histograms of z = (mean − theory)/standard error at the last time, and Student's t density that no bias gives.

    A column for each run, a row for each evaluation set. `calibration` has counts in dims (run, evaluation_set, bin)
    with the coords low, high (bin) and members (run); `theory` has rms_z, rms_z_interval and within in dims (run,
    evaluation_set, time). Raises ValueError for tables that do not fit, fewer than two members, more than six runs.
    """
    styles, sets = run_styles(calibration), [str(name) for name in calibration["evaluation_set"].values]
    check_same_runs(calibration, theory)
    check_numbers(calibration, "count")
    check_numbers(theory, "rms_z", "rms_z_interval", "within")
    if calibration["members"].min() < 2:
        raise ValueError("a run has fewer than 2 members; z scores need two or more")
    title = "Are ensembles scattered around theory as their own standard errors say? z scores at the last time"
    figure, axes = panels(len(sets) * len(styles), title, columns=len(styles), size=(2.7, 2.5))
    for index, axis in enumerate(axes):
        (row, run), name = divmod(index, len(styles)), sets[index // len(styles)]
        one = calibration.isel(run=run, evaluation_set=row)
        _draw_histogram(axis, one, styles[run].colour)
        _write_scores(axis, at_set(theory, name).isel(run=run, time=-1))
        panel_title(axis, styles[run].name, literal_text(name), letters=32)
        axis.set_xlabel("z = (mean − theory) / standard error", fontsize=8)
        axis.set_ylabel("density" if run == 0 else "", fontsize=9)
        axis.tick_params(labelsize=8)
    legend_below(figure)
    return figure


def _draw_mean(axis: Axes, one: xr.Dataset, style: Style) -> None:
    times = one["time"].values
    axis.plot(times, one["mean"].values, style.marker, ms=4, color=style.colour, label=style.name)
    axis.errorbar(
        times, one["mean"].values, one["standard_error"].values, fmt="none", lw=1, capsize=2, color=style.colour
    )
    if has(one, "theory_mean"):
        check_numbers(one, "theory_mean", "theory_deviation")
        expected, error = one["theory_mean"].values, one["theory_deviation"].values / np.sqrt(float(one["members"]))
        plain_line(axis, times, expected, THEORY, style.colour)
        axis.fill_between(times, expected - error, expected + error, color=style.colour, alpha=0.15, lw=0)


def _draw_picture(axis: Axes, picture: Picture) -> None:
    """Beside the panel's title, from its darkest to its brightest; of three channels in colour."""
    if picture.ndim != 3 or picture.shape[-1] not in (1, 3):
        raise ValueError(f"a picture has shape {picture.shape}; height, width and 1 or 3 channels are needed")
    low, high = float(picture.min()), float(picture.max())
    inset = axis.inset_axes((0.8, 1.02, 0.2, 0.2))
    inset.imshow((picture - low) / max(high - low, 1e-9), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    inset.set(xticks=[], yticks=[], anchor="SE")


def _draw_histogram(axis: Axes, one: xr.Dataset, colour: str) -> None:
    """Bins without an end are counted and not drawn."""
    low, high, count, members = one["low"].values, one["high"].values, one["count"].values, int(one["members"])
    if count.sum() <= 0:
        raise ValueError(f"{one['run'].item()} has no z scores of {one['evaluation_set'].item()}")
    closed = np.isfinite(low) & np.isfinite(high)
    density = count[closed] / count.sum() / (high - low)[closed]
    width = (high - low)[closed]
    axis.bar(low[closed], density, width, align="edge", color=colour, alpha=0.4, label="_measured")
    places = np.linspace(low[closed].min(), high[closed].max(), 301)
    label = "Student's t with members − 1 degrees of freedom"
    axis.plot(places, student.pdf(places, members - 1), color="black", lw=1, label=label)


def _write_scores(axis: Axes, last: xr.Dataset) -> None:
    low, high = last["rms_z_interval"].values
    text = (
        f"rms z {float(last['rms_z']):.2f}\n(no bias: {low:.2f} to {high:.2f})\n{float(last['within']):.1%} within 95 %"
    )
    axis.set_ylim(top=1.45 * axis.get_ylim()[1])  # room for the text
    axis.text(0.03, 0.97, text, transform=axis.transAxes, va="top", fontsize=7)
