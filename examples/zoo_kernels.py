"""Every architecture of the zoo that has an analytic kernel, against networks of finite width, sampled.

    python -m examples.zoo_kernels            # width 512, 48 networks each: an hour on two cores
    python -m examples.zoo_kernels --only mlp cnn --members 100

Writes docs/figures/zoo-kernels.png and .csv, row by row of the zoo. Each point is one pair of three inputs: how far the
mean over networks lies from the analytic kernel, in percent of √(K(x,x) K(x',x')), with one standard error.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import jax
import matplotlib.pyplot as plt
import numpy as np
import tyro
from rich.progress import track

from analysis import analytic_kernel
from analysis.empirical import sampled_kernel
from models import NoClosedFormError
from models.zoo import MODELS, Model

PAIRS = np.triu_indices(3)
NAMES = tuple(model.name for model in MODELS)
HEADER = ("model", "kernel", "width", "members", "gap_percent", "standard_error_percent")
Row = tuple[str, str, int, int, float, float]


@dataclass(frozen=True)
class ZooKernels:
    """Compare analytic kernels of the zoo with sampled ones."""

    width: int = 512
    """Width of the sampled networks."""
    members: int = 48
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
        rows = sorted(rows + compare(model, options.width, options.members), key=lambda row: NAMES.index(row[0]))
        if rows:
            draw(rows, options)
            write(rows, table)


def compare(model: Model, width: int, members: int) -> list[Row]:
    """Gap and standard error of every pair, in percent; nothing for a model without analytic kernel."""
    architecture, x = model.make(width), inputs(model)
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
            (model.name, kind, width, members, *map(float, pair))
            for pair in zip(gaps[PAIRS], errors[PAIRS], strict=True)
        ]
    return rows


def inputs(model: Model) -> np.ndarray:
    """Three inputs, the first two correlated; of molecules, three atoms are enough."""
    shape = (3, *model.input_shape[1:]) if "molecule" in model.name else model.input_shape
    x = np.random.default_rng(0).standard_normal((3, *shape)) + 0.3
    x[1] = 0.7 * x[0] + 0.5 * x[1]
    return np.float32(x)


def draw(rows: list[Row], options: ZooKernels) -> None:
    """The figure, put in place whole."""
    names = list(dict.fromkeys(name for name, *_ in rows))
    figure, axes = plt.subplots(1, 2, figsize=(9, 0.6 + 0.38 * len(names)), sharey=True, layout="constrained")
    for axis, kind in zip(axes, ("K", "Θ"), strict=True):
        for place, name in enumerate(names):
            found = np.array([row[4:] for row in rows if row[:2] == (name, kind)])
            offsets = place + np.linspace(-0.25, 0.25, len(found))
            axis.errorbar(found[:, 0], offsets, xerr=found[:, 1], fmt="o", ms=3, lw=1, color=f"C{place % 10}")
        axis.axvline(0, color="black", lw=0.8)
        axis.set(xlabel=f"(sampled {kind} − analytic {kind}) / scale, %", yticks=range(len(names)), yticklabels=names)
        axis.grid(axis="x", alpha=0.3)
    axes[0].invert_yaxis()
    figure.suptitle(f"Means over random networks of width {rows[0][2]}; bars are one standard error")
    part = options.output.with_suffix(".part.png")
    figure.savefig(part, dpi=110)
    plt.close(figure)
    part.replace(options.output)


def read(table: Path) -> list[Row]:
    """The numbers found so far."""
    if not table.exists():
        return []
    with table.open(newline="") as file:
        return [
            (name, kind, int(w), int(m), float(gap), float(error))
            for name, kind, w, m, gap, error in [*csv.reader(file)][1:]
        ]


def write(rows: list[Row], table: Path) -> None:
    """The numbers, put in place whole."""
    with table.with_suffix(".part").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerows([HEADER, *rows])
    table.with_suffix(".part").replace(table)


if __name__ == "__main__":
    main()
