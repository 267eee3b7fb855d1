"""Every architecture of the zoo that has an analytic kernel, against networks of finite width, sampled.

    python -m examples.zoo_kernels            # width 1024, 16 networks each, with ReLU and with Erf
    python -m examples.zoo_kernels --only mlp cnn --members 100

Writes docs/figures/zoo-kernels.png and .csv, row by row of the zoo. Each point is one pair of three inputs: how far the
mean over networks lies from the analytic kernel, in percent of √(K(x,x) K(x',x')), with one standard error.
"""

import csv
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import jax
import matplotlib.pyplot as plt
import numpy as np
import tyro
from rich.progress import track

from widesym.analysis import analytic_kernel
from widesym.analysis.empirical import sampled_kernel
from widesym.models import Architecture, Erf, NoClosedFormError, Relu
from widesym.models.layer import Layer
from widesym.models.layers.activations import Activation
from widesym.models.zoo import MODELS, Model

PAIRS = np.triu_indices(3)
NAMES = tuple(model.name for model in MODELS)
ACTIVATIONS = {"ReLU": Relu(), "erf": Erf()}
COLOURS = {"ReLU": "C0", "erf": "C1"}
HEADER = ("model", "activation", "kernel", "width", "members", "gap_percent", "standard_error_percent")
Row = tuple[str, str, str, int, int, float, float]


@dataclass(frozen=True)
class ZooKernels:
    """Compare analytic kernels of the zoo with sampled ones."""

    width: int = 1024
    """Width of the sampled networks."""
    members: int = 16
    """Networks per architecture."""
    only: tuple[Literal[NAMES], ...] = NAMES  # pyright: ignore[reportInvalidTypeForm]
    """Models to sample; the others' rows are kept as they are found in the .csv."""
    output: Path = Path("docs/figures/zoo-kernels.png")
    """Where the figure goes, and beside it the numbers as .csv."""


def main() -> None:
    options = tyro.cli(ZooKernels)
    table = options.output.with_suffix(".csv")
    rows = [row for row in read(table) if row[0] not in options.only]
    for model in track([model for model in MODELS if model.name in options.only], "models"):
        for activation in ACTIVATIONS:
            rows += compare(model, activation, options.width, options.members)
            rows.sort(key=lambda row: NAMES.index(row[0]))
            if rows:
                draw(rows, options)
                write(rows, table)


def compare(model: Model, activation: str, width: int, members: int) -> list[Row]:
    """Gap and standard error of every pair, in percent; nothing for a model without analytic kernel."""
    made, x = model.make(width), inputs(model)
    architecture = Architecture(with_activation(made.layers, ACTIVATIONS[activation]))
    try:
        analytic = analytic_kernel(architecture)(x)
    except NoClosedFormError:
        return []
    rows = []
    for kind, samples, exact in zip(
        ("K", "Θ"), sampled_kernel(architecture, jax.random.key(0), x, members), analytic, strict=True
    ):
        samples, exact = np.float64(samples), np.float64(exact)
        scale = np.sqrt(np.outer(np.diag(exact), np.diag(exact))) / 100
        gaps = (samples.mean(0) - exact) / scale
        errors = samples.std(0, ddof=1) / np.sqrt(members) / scale
        rows += [
            (model.name, activation, kind, width, members, *map(float, pair))
            for pair in zip(gaps[PAIRS], errors[PAIRS], strict=True)
        ]
    return rows


def with_activation(layers: tuple[Layer, ...], activation: Activation) -> tuple[Layer, ...]:
    """The layers, and those inside them, with this activation in place of every ReLU."""

    def changed(layer: Layer) -> Layer:
        if isinstance(layer, Relu):
            return activation
        body = getattr(layer, "body", None)
        return layer if body is None else replace(layer, body=with_activation(body, activation))  # pyright: ignore[reportCallIssue]

    return tuple(map(changed, layers))


def inputs(model: Model) -> np.ndarray:
    """Three inputs, the first two correlated; of molecules, three atoms are enough."""
    shape = (3, *model.input_shape[1:]) if "molecule" in model.name else model.input_shape
    x = np.random.default_rng(0).standard_normal((3, *shape)) + 0.3
    x[1] = 0.7 * x[0] + 0.5 * x[1]
    return np.float32(x)


def draw(rows: list[Row], options: ZooKernels) -> None:
    """The figure, put in place whole."""
    names = list(dict.fromkeys(name for name, *_ in rows))
    figure, axes = plt.subplots(1, 2, figsize=(9, 0.9 + 0.45 * len(names)), sharey=True, layout="constrained")
    for axis, kind in zip(axes, ("K", "Θ"), strict=True):
        for place, name in enumerate(names):
            for offset, activation in zip((-0.2, 0.2), ACTIVATIONS, strict=True):
                found = np.array([row[5:] for row in rows if row[:3] == (name, activation, kind)]).reshape(-1, 2)
                heights, label = place + offset + np.linspace(-0.15, 0.15, len(found)), None if place else activation
                style = {"fmt": "o", "ms": 3, "lw": 1, "color": COLOURS[activation], "label": label}
                axis.errorbar(found[:, 0], heights, xerr=found[:, 1], **style)
        axis.axvline(0, color="black", lw=0.8)
        labels = [_label(name, rows) for name in names]
        axis.set(xlabel=f"(sampled {kind} − analytic {kind}) / scale, %", yticks=range(len(names)), yticklabels=labels)
        axis.grid(axis="x", alpha=0.3)
    axes[0].invert_yaxis()
    axes[0].legend(loc="lower left")
    figure.suptitle("Means over random networks (width × number); bars are one standard error")
    part = options.output.with_suffix(".part.png")
    figure.savefig(part, dpi=110)
    plt.close(figure)
    part.replace(options.output)


def _label(name: str, rows: list[Row]) -> str:
    """The model with width and number of networks, which may differ between activations."""
    sizes = dict.fromkeys(f"{width} × {members}" for model, _, _, width, members, *_ in rows if model == name)
    return f"{name}\n{', '.join(sizes)}"


def read(table: Path) -> list[Row]:
    """The numbers found so far; none if the table has other columns."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        header, *rows = csv.reader(file)
    if tuple(header) != HEADER:
        return []
    return [
        (name, activation, kind, int(w), int(m), float(gap), float(error))
        for name, activation, kind, w, m, gap, error in rows
    ]


def write(rows: list[Row], table: Path) -> None:
    """The numbers, put in place whole."""
    with table.with_suffix(".part").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([HEADER, *rows])
    table.with_suffix(".part").replace(table)


if __name__ == "__main__":
    main()
