"""What sampled kernels leave behind: summary.json, a figure, a printed table."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from widesym.analysis.estimators.convergence import Convergence, Moments, convergence
from widesym.analysis.estimators.power_law import LEVEL
from widesym.analysis.figures.convergence import convergence_figure
from widesym.analysis.figures.drawing import save_figure
from widesym.analysis.kernels import Kernel
from widesym.launch.console import print_plain, table_of
from widesym.launch.errors import SampleError
from widesym.launch.runs.files import write_json

NAMES = {"ntk": "NTK", "nngp": "NNGP"}


def report(name: str, exact: Kernel, moments: Mapping[int, Moments], output: Path, console: Console) -> None:
    """Fit bias and spread of both kernels; write and print what comes of it.

    Raises SampleError for kernels that have no bias or spread to fit (`convergence`).
    """
    found = {kernel: _compared(kernel, exact, moments) for kernel in NAMES}
    write_json(output / "summary.json", summarise(found))
    title = f"{name}: random networks against the analytic kernels, {found['ntk'].members} initialisations a width"
    figure = convergence_figure({NAMES[kernel]: one for kernel, one in found.items()}, title)
    written = save_figure(figure, output / name)
    for kernel, one in found.items():
        console.print(convergence_table(NAMES[kernel], one))
        print_plain(console, exponents(NAMES[kernel], one))
    print_plain(console, f"figure: {', '.join(map(str, written))}\nnumbers: {output / 'summary.json'}")


def of_kernel(name: str, exact: Kernel, moments: Mapping[int, Moments]) -> tuple[dict[int, Moments], np.ndarray]:
    """One kernel's part of the moments, and its analytic values."""
    index = Kernel._fields.index(name)
    part = {width: Moments(of.weight, of.mean[:, index], of.squares[:, index]) for width, of in moments.items()}
    return part, np.asarray(exact[index])


def summarise(found: Mapping[str, Convergence]) -> dict[str, Any]:
    """All numbers as JSON values."""
    one = next(iter(found.values()))
    shared = {"members": one.members, "widths": one.widths.tolist(), "level_of_intervals": LEVEL}
    return shared | {kernel: _numbers(of) for kernel, of in found.items()}


def convergence_table(name: str, found: Convergence) -> Table:
    """A row a width; relative to the analytic kernel, in percent."""
    headers = ("width", "error", "noise", "bias", "spread")
    made = table_of(
        *headers,
        numbers=("width", "noise"),
        title=f"{name}: mean over {found.members} initialisations, % of the analytic kernel",
        caption=f"noise: error expected without bias; bias < …: not above noise; intervals: {LEVEL:.0%}",
    )
    for column in made.columns:
        column.justify = "right"
    for index, width in enumerate(found.widths):
        bias, ends = (np.sqrt(np.maximum(of[index], 0)) for of in (found.bias_squared, found.bias_squared_interval))
        made.add_row(
            str(width),
            _with_interval(found.error[index], found.error_interval[index]),
            _percent(found.noise_floor[index]),
            _with_interval(bias, ends) if found.resolved[index] else f"< {_percent(ends[1])}",
            _with_interval(found.spread[index], found.spread_interval[index]),
        )
    return made


def exponents(name: str, found: Convergence) -> str:
    """The fitted power laws, for people."""
    if found.bias_fit is not None:
        bias = found.bias_fit.text
    elif found.resolved.sum() >= 2:
        bias = "not found, as widths disagree about any power law"
    else:
        bias = "not resolved above noise at two widths or more (take more members)"
    return f"{name}: exponent of the bias {bias}, expected −1; of the spread {found.spread_fit.text}, expected −0.5"


def _compared(name: str, exact: Kernel, moments: Mapping[int, Moments]) -> Convergence:
    try:
        return convergence(*of_kernel(name, exact, moments))
    except ValueError as error:
        raise SampleError(f"{NAMES[name]}: {error}") from error


def _numbers(found: Convergence) -> dict[str, Any]:
    arrays = {key: of.tolist() for key, of in found._asdict().items() if isinstance(of, np.ndarray) and key != "widths"}
    fits = {key: None if of is None else of._asdict() for key, of in found._asdict().items() if key.endswith("_fit")}
    return arrays | {"bias_resolved": found.resolved.tolist()} | fits


def _with_interval(value: float, interval: np.ndarray) -> str:
    return f"{_percent(value)} \\[{_percent(interval[0])}, {_percent(interval[1])}]"


def _percent(value: float) -> str:
    return f"{100 * value:.3g}"
