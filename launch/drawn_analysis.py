"""The figures of an analysis, drawn from its tables and the pictures of its inputs; nothing is computed again."""

from collections.abc import Iterator, Mapping

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from analysis.comparison_figures import divergence_by_size_figure, divergence_over_time
from analysis.contact_sheets import contact_sheet
from analysis.equivariance_figures import equivariance_over_time, osp_by_size
from analysis.panels import MOST_RUNS
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
    if "divergence" in tables:
        yield from _divergences(tables)
    if "theory" in tables:
        yield "theory", (theory_over_time(tables["theory"]), "How far mean logits are from the predicted mean.")
    yield from _means(tables, inputs)
    if "calibration" in tables:
        caption = "Is the mean as far from theory as its own standard error says? Student's t is what no bias gives."
        yield "calibration", (calibration_figure(tables["calibration"], tables["theory"]), caption)
    if "widths" in tables:
        caption = "What finite width adds to the distance from theory, apart from what finitely many members do."
        yield "widths", (discrepancy_by_width(tables["widths"]), caption)
    if "equivariance" in tables:
        caption = "How equivariant members and their mean logits are, during training."
        yield "equivariance", (equivariance_over_time(tables["equivariance"]), caption)
    if "equivariance_by_size" in tables:
        caption = "How often the same class is predicted along an orbit, by ensemble size."
        yield "osp-by-size", (osp_by_size(tables["equivariance_by_size"], tables["equivariance"]), caption)
    if "training" in tables:
        yield "training", (training_curves(tables["training"]), "Members' metrics, and accuracies of mean logits.")
    if inputs:
        train, *others = inputs.values()
        sheet = contact_sheet("inputs", Splits(train, others[0] if others else train), {of.name: of for of in others})
        yield "inputs", (sheet, "Inputs of the training set and of the evaluation sets.")


def _divergences(tables: Tables) -> Iterator[tuple[str, tuple[Figure, str]]]:
    divergence, by_size = tables["divergence"], tables.get("divergence_by_size")
    if by_size is None:  # of one member
        return
    reference = divergence.attrs["reference"]
    for of_set in divergence.evaluation_set.values:
        caption = f"Divergence of mean logits from {reference} on {of_set}, over training time and ensemble sizes."
        name = _slug(str(of_set))
        yield f"divergence-{name}", (divergence_over_time(divergence, by_size, str(of_set)), caption)
        caption = f"Divergence from {reference} on {of_set} after training, by ensemble size."
        yield f"divergence-by-size-{name}", (divergence_by_size_figure(by_size, str(of_set)), caption)


def _means(tables: Tables, inputs: Mapping[str, Dataset]) -> Iterator[tuple[str, tuple[Figure, str]]]:
    means = tables["mean_logits"]
    if "standard_error" not in means:
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
