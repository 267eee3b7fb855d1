"""The figures of an analysis, drawn from its tables and the pictures of its inputs; nothing is computed again."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.comparison_figures import divergence_by_size_figure, divergence_over_time
from analysis.contact_sheets import contact_sheet
from analysis.equivariance_figures import equivariance_over_time, osp_by_size
from analysis.theory_figures import calibration_figure, mean_logits_figure, theory_over_time
from analysis.training_figures import training_curves
from analysis.width_figures import discrepancy_by_width
from ensembles.data import Dataset
from ensembles.data.dataset import Splits

PANELS = 3  # inputs whose logits are shown, of each set

Tables = Mapping[str, xr.Dataset]
Figures = dict[str, tuple[Figure, str]]


def figures_of(tables: Tables, inputs: Mapping[str, Dataset]) -> Figures:
    """Figures with their captions, by name, of what tables there are, in the order to be looked at."""
    return dict(_figures(tables, inputs))


def _figures(tables: Tables, inputs: Mapping[str, Dataset]) -> Iterator[tuple[str, tuple[Figure, str]]]:
    yield from _divergences(tables)
    theory = whole(tables, "theory", "distance_interval", "rms_z")
    if theory is not None:
        yield "theory", (theory_over_time(theory), "How far mean logits are from the predicted mean.")
    yield from _means(tables, inputs)
    calibration = whole(tables, "calibration", "count")
    if theory is not None and calibration is not None:
        caption = "Is the mean as far from theory as its own standard error says? Student's t is what no bias gives."
        yield "calibration", (calibration_figure(calibration, theory.sel(run=calibration.run)), caption)
    if "widths" in tables:
        caption = "What finite width adds to the distance from theory, apart from what finitely many members do."
        yield "widths", (discrepancy_by_width(tables["widths"]), caption)
    equivariance, by_size = whole(tables, "equivariance", "osp_mean_interval"), tables.get("equivariance_by_size")
    if equivariance is not None:
        caption = "How equivariant members and their mean logits are, during training."
        yield "equivariance", (equivariance_over_time(equivariance), caption)
        if by_size is not None:
            caption = "How often the same class is predicted along an orbit, by ensemble size."
            yield "osp-by-size", (osp_by_size(by_size.sel(run=equivariance.run), equivariance), caption)
    if "training" in tables:
        yield "training", (training_curves(tables["training"]), "Members' metrics, and accuracies of mean logits.")
    if inputs:
        train, *others = inputs.values()
        sheet = contact_sheet("inputs", Splits(train, others[0] if others else train), {of.name: of for of in others})
        yield "inputs", (sheet, "Inputs of the training set and of the evaluation sets.")


def whole(tables: Tables, name: str, *needed: str) -> xr.Dataset | None:
    """A table's runs that have all that is needed, as ensembles of a few members have not; None where none has."""
    if name not in tables or not set(needed) <= set(tables[name].data_vars):
        return None
    table = tables[name]
    finite = [np.isfinite(table[of].values.reshape(table.sizes["run"], -1)).all(1) for of in needed]
    found = table.isel(run=np.flatnonzero(np.all(finite, axis=0)))
    return found if found.sizes["run"] else None


def _divergences(tables: Tables) -> Iterator[tuple[str, tuple[Figure, str]]]:
    divergence, by_size = whole(tables, "divergence", "divergence_interval"), tables.get("divergence_by_size")
    if divergence is None or by_size is None:
        return
    by_size, reference = by_size.sel(run=divergence.run), divergence.attrs["reference"]
    for of_set in divergence.evaluation_set.values:
        caption = f"Divergence of mean logits from {reference} on {of_set}, over training time and ensemble sizes."
        name = _slug(str(of_set))
        yield f"divergence-{name}", (divergence_over_time(divergence, by_size, str(of_set)), caption)
        caption = f"Divergence from {reference} on {of_set} after training, by ensemble size."
        yield f"divergence-by-size-{name}", (divergence_by_size_figure(by_size, str(of_set)), caption)


def _means(tables: Tables, inputs: Mapping[str, Dataset]) -> Iterator[tuple[str, tuple[Figure, str]]]:
    means = whole(tables, "mean_logits", "standard_error")
    if means is None:
        return
    for of_set, data in inputs.items():
        (places,) = np.nonzero(means.evaluation_set.values == of_set)
        if not len(places):
            continue
        places = places[: len(data)]
        chosen = [(int(places[sample]), logit) for sample, logit in telling_logits(means.isel(sample=places))]
        pictures = {sample: data.inputs[sample - places[0]] for sample, _ in chosen if data.inputs.ndim == 4}
        caption = f"Mean logits of those inputs of {of_set} where the runs end furthest apart."
        yield f"mean-logits-{_slug(of_set)}", (mean_logits_figure(means, pictures, chosen), caption)


def telling_logits(means: xr.Dataset, count: int = PANELS) -> list[tuple[int, int]]:
    """The (sample, logit) at which runs differ most at the last time, by theory if there is one; each sample once."""
    last = means.isel(time=-1)
    values = (last["theory_mean"] if "theory_mean" in last else last["mean"]).values
    gap = values.max(0) - values.min(0) if len(values) > 1 else np.abs(values[0])
    samples = np.argsort(-gap.max(-1), kind="stable")[:count]
    return [(int(sample), int(gap[sample].argmax())) for sample in samples]


def _slug(name: str) -> str:
    return "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in name)
