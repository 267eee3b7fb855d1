"""The figures of an analysis, drawn from its tables and the pictures of its inputs; nothing is computed again."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from rich.console import Console

from widesym.analysis.figures.comparison import divergence_by_size_figure, divergence_over_time
from widesym.analysis.figures.contact_sheets import contact_sheet
from widesym.analysis.figures.equivariance import equivariance_over_time, osp_by_size
from widesym.analysis.figures.theory import calibration_figure, mean_logits_figure, theory_over_time
from widesym.analysis.figures.training import training_curves
from widesym.analysis.figures.widths import discrepancy_by_width
from widesym.ensembles.data import Dataset
from widesym.ensembles.data.dataset import Splits
from widesym.launch.console import print_plain

PANELS = 3  # inputs whose logits are shown, of each set
LONGEST = 60  # letters of a set's name in those of its figures

Tables = Mapping[str, xr.Dataset]
Figures = dict[str, tuple[Figure, str]]


class Drawing(NamedTuple):
    """A figure's name, how it is drawn, and its caption."""

    name: str
    draw: Callable[[], Figure]
    caption: str


def figures_of(tables: Tables, inputs: Mapping[str, Dataset]) -> tuple[Figures, dict[str, str]]:
    """Figures with their captions, by name, of what tables there are, in the order to be looked at; and of those that
    cannot be drawn, as of more than six runs, the reasons.
    """
    drawn, refused = {}, {}
    for name, draw, caption in _drawings(tables, inputs):
        try:
            drawn[name] = draw(), caption
        except ValueError as error:
            refused[name] = str(error)
    return drawn, refused


def say_refused(refused: Mapping[str, str], console: Console) -> None:
    """Print which figures there are not, and why."""
    for name, reason in refused.items():
        print_plain(console, f"figure {name} is not drawn: {reason}")


def _drawings(tables: Tables, inputs: Mapping[str, Dataset]) -> Iterator[Drawing]:
    yield from _divergences(tables)
    theory = whole(tables, "theory", "distance_interval")
    if theory is not None and (positive := (theory["scale"].values > 0).all(0)).any():
        theory = theory.isel(evaluation_set=positive)  # the figure is relative to the predicted mean
        caption = "How far mean logits are from the predicted mean, on sets where that is not zero."
        yield Drawing("theory", partial(theory_over_time, theory), caption)
    yield from _means(tables, inputs)
    yield from _calibrations(tables)
    if "widths" in tables:
        caption = "What finite width adds to the distance from theory, apart from what finitely many members do."
        yield Drawing("widths", partial(discrepancy_by_width, tables["widths"]), caption)
    equivariance, by_size = (
        whole(tables, "equivariance", "orbit_deviation_mean_interval"),
        tables.get("equivariance_by_size"),
    )
    if equivariance is not None:
        caption = "How equivariant members and their mean logits are, during training."
        yield Drawing("equivariance", partial(equivariance_over_time, equivariance), caption)
        if by_size is not None and "osp" in by_size:
            caption = "How often the same class is predicted along an orbit, by ensemble size."
            yield Drawing("osp-by-size", partial(osp_by_size, by_size.sel(run=equivariance.run), equivariance), caption)
    if "training" in tables:
        caption = "Members' metrics, and accuracies or errors of mean logits."
        yield Drawing("training", partial(training_curves, tables["training"]), caption)
    if inputs:
        train, *others = inputs.values()
        splits, ood = Splits(train, others[0] if others else train), {of.name: of for of in others}
        caption = "Inputs of the training set and of the evaluation sets."
        yield Drawing("inputs", partial(contact_sheet, "inputs", splits, ood), caption)


def whole(tables: Tables, name: str, *needed: str) -> xr.Dataset | None:
    """A table's runs that have all that is needed, as ensembles of a few members have not; None where none has."""
    if name not in tables or not set(needed) <= set(tables[name].data_vars):
        return None
    table = tables[name]
    finite = [np.isfinite(table[of].values.reshape(table.sizes["run"], -1)).all(1) for of in needed]
    found = table.isel(run=np.flatnonzero(np.all(finite, axis=0)))
    return found if found.sizes["run"] else None


def _divergences(tables: Tables) -> Iterator[Drawing]:
    divergence, by_size = whole(tables, "divergence", "divergence_interval"), tables.get("divergence_by_size")
    if divergence is None or by_size is None:
        return
    by_size, reference = by_size.sel(run=divergence.run), divergence.attrs["reference"]
    pairs = _paired(divergence)
    for name, of_set in _file_names(divergence.evaluation_set.values).items():
        caption = (
            f"Divergence of mean logits from {reference} on {of_set}, over training time and ensemble sizes{pairs}."
        )
        yield Drawing(f"divergence-{name}", partial(divergence_over_time, divergence, by_size, of_set), caption)
        caption = f"Divergence from {reference} on {of_set} after training, by ensemble size{pairs}."
        yield Drawing(f"divergence-by-size-{name}", partial(divergence_by_size_figure, by_size, of_set), caption)


def _paired(divergence: xr.Dataset) -> str:
    """Which runs' members are paired with the reference's, for captions; tables of older analyses do not say."""
    if "pairing" not in divergence.coords:
        return ""
    names = [
        str(run) for run, kind in zip(divergence.run.values, divergence.pairing.values, strict=True) if kind == "paired"
    ]
    return f"; members are paired with those of {', '.join(names)}" if names else ""


def _calibrations(tables: Tables) -> Iterator[Drawing]:
    """On the sets that all runs with intervals have z scores of."""
    theory, calibration = whole(tables, "theory", "distance_interval"), tables.get("calibration")
    if theory is None or calibration is None:
        return
    calibration = calibration.sel(run=theory.run)
    scored = np.isfinite(calibration["count"].values).all((0, 2)) & np.isfinite(theory["rms_z"].values).all((0, 2))
    if scored.any():
        calibration, theory = (table.isel(evaluation_set=scored) for table in (calibration, theory))
        caption = "Is the mean as far from theory as its own standard error says? Student's t is what no bias gives."
        yield Drawing("calibration", partial(calibration_figure, calibration, theory), caption)


def _means(tables: Tables, inputs: Mapping[str, Dataset]) -> Iterator[Drawing]:
    means = whole(tables, "mean_logits", "standard_error")
    if means is None:
        return
    for name, of_set in _file_names(inputs).items():
        data = inputs[of_set]
        (places,) = np.nonzero(means.evaluation_set.values == of_set)
        if not len(places):
            continue
        places = places[: len(data)]
        chosen = [(int(places[sample]), logit) for sample, logit in telling_logits(means.isel(sample=places))]
        is_picture = data.inputs.ndim == 4 and data.inputs.shape[-1] in (1, 3)
        pictures = {sample: data.inputs[sample - places[0]] for sample, _ in chosen if is_picture}
        caption = f"Mean logits of those inputs of {of_set} where the runs end furthest apart."
        yield Drawing(f"mean-logits-{name}", partial(mean_logits_figure, means, pictures, chosen), caption)


def telling_logits(means: xr.Dataset, count: int = PANELS) -> list[tuple[int, int]]:
    """The (sample, logit) at which runs differ most at the last time, by theory if there is one; each sample once."""
    last = means.isel(time=-1)
    values = (last["theory_mean"] if "theory_mean" in last else last["mean"]).values
    gap = values.max(0) - values.min(0) if len(values) > 1 else np.abs(values[0])
    samples = np.argsort(-gap.max(-1), kind="stable")[:count]
    return [(int(sample), int(gap[sample].argmax())) for sample in samples]


def _file_names(sets: Iterable[str]) -> dict[str, str]:
    """Sets by what their files are called: letters, digits and -_. of their names, each another."""
    found: dict[str, str] = {}
    for of_set in map(str, sets):
        name = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in of_set)[:LONGEST]
        again = (f"{name}-{count}" for count in itertools.count(2))
        found[next(each for each in itertools.chain([name], again) if each not in found)] = of_set
    return found
