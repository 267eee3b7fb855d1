"""The mean logits themselves, their standard errors, and what theory predicts of them (theory.md §5)."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import xarray as xr

from widesym.analysis.comparison.at_time import AtTime
from widesym.analysis.comparison.drawings import Drawing, Inputs, Tables, complete_runs, file_names
from widesym.analysis.comparison.ensembles import Compared
from widesym.analysis.comparison.metric import Comparison, Metric
from widesym.analysis.comparison.tables import Column, Rows
from widesym.analysis.figures.theory import mean_logits_figure

COLUMNS = {
    "mean": Column(("sample", "logit"), "mean logits over members"),
    "standard_error": Column(("sample", "logit"), "standard error of the mean over members"),
    "theory_mean": Column(("sample", "logit"), "predicted mean logits"),
    "theory_deviation": Column(("sample",), "predicted standard deviation of one member's logits"),
}
PANELS = 3  # inputs whose logits are shown, of each set


def of_one(now: AtTime) -> Rows:
    """The mean logits of all sets, one after the other."""
    means = [now.mean_on(of_set) for of_set in now.of.sets]
    row: dict[str, Any] = {"mean": np.concatenate([each.mean for each in means])}
    if now.of.members > 1:
        row["standard_error"] = np.concatenate([np.sqrt(each.squared_error) for each in means])
    yield (now.of.name, now.time), row | _predicted(now)


def _predicted(now: AtTime) -> dict[str, Any]:
    predicted = [each for _, each in now.predicted()]
    if not predicted:
        return {}
    deviation = [np.sqrt(np.maximum(each.variance[now.time], 0)) for each in predicted]
    return {
        "theory_mean": np.concatenate([each.mean[now.time] for each in predicted]),
        "theory_deviation": np.concatenate(deviation),
    }


def _samples(comparison: Comparison, runs: Sequence[Compared]) -> Mapping[str, Any]:
    """Which set each sample is of, and its number there."""
    sizes = {name: samples.stop - samples.start for name, samples in comparison.reference.sets.items()}
    return {
        "evaluation_set": ("sample", np.repeat(list(sizes), list(sizes.values()))),
        "image": ("sample", np.concatenate([np.arange(size) for size in sizes.values()])),
    }


def drawings(tables: Tables, inputs: Inputs) -> Iterator[Drawing]:
    """A figure of each evaluation set, of a few of its inputs."""
    means = complete_runs(tables, "mean_logits", "standard_error")
    if means is None:
        return
    for name, of_set in file_names(inputs).items():
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


MEAN_LOGITS = Metric("mean_logits", COLUMNS, ("run", "time"), of_one=of_one, coordinates=_samples, drawings=drawings)
