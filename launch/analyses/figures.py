"""The figures of an analysis, drawn from its tables and the pictures of its inputs; nothing is computed again."""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

from matplotlib.figure import Figure
from rich.console import Console

from widesym.analysis.comparison import METRICS, Drawing, Metric
from widesym.analysis.comparison.drawings import Inputs, Tables
from widesym.analysis.figures.contact_sheets import contact_sheet
from widesym.ensembles.data.dataset import Splits
from widesym.launch.console import print_plain

Figures = dict[str, tuple[Figure, str]]


def figures_of(tables: Tables, inputs: Inputs, metrics: Sequence[Metric] = METRICS) -> tuple[Figures, dict[str, str]]:
    """Figures with their captions, by name, of what tables there are, in the order to be looked at; and of those that
    cannot be drawn, as of more than six runs, the reasons.
    """
    drawn, refused = {}, {}
    drawings = [*(each for metric in metrics for each in metric.drawings(tables, inputs)), *_of_inputs(inputs)]
    for name, draw, caption in drawings:
        try:
            drawn[name] = draw(), caption
        except ValueError as error:
            refused[name] = str(error)
    return drawn, refused


def say_refused(refused: Mapping[str, str], console: Console) -> None:
    """Print which figures there are not, and why."""
    for name, reason in refused.items():
        print_plain(console, f"figure {name} is not drawn: {reason}")


def _of_inputs(inputs: Inputs) -> Iterator[Drawing]:
    if inputs:
        train, *others = inputs.values()
        splits, ood = Splits(train, others[0] if others else train), {of.name: of for of in others}
        caption = "Inputs of the training set and of the evaluation sets."
        yield Drawing("inputs", partial(contact_sheet, "inputs", splits, ood), caption)
