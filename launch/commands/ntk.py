"""`widesym ntk`: how the empirical NTKs of a trained ensemble have changed, from its run directory."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro
import xarray as xr
from rich.console import Console
from rich.table import Table

from widesym.analysis.empirical.ntk import DEFAULT_MEMORY
from widesym.analysis.figures.drawing import save_figure
from widesym.analysis.figures.kernel_evolution import evolution_figure
from widesym.launch.config.own import Imports
from widesym.launch.console import print_plain, table_of
from widesym.launch.kernels.ntk import STORE, ntk_of_run
from widesym.launch.runs.data import training_set
from widesym.launch.runs.stored import StoredRun, stored_steps
from widesym.models.checks import check_seed


@dataclass(frozen=True)
class NtkCommand:
    """Compute the empirical NTK of every member of a run at every time whose parameters it has kept: how far the
    kernels have moved, how they are aligned with the targets, and their spectra.
    """

    run_directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Directory of one ensemble, as `widesym reproduce` and `run_ensemble` leave them."""
    samples: int = 32
    """Inputs, the first of the training set."""
    data: str | None = None
    """Where the directory keeps no data: the source of the training set, a name (`widesym data list`) or path. It is
    checked against the run's digest."""
    data_seed: int = 0
    """Seed that the training set was drawn by from that source."""
    sick: Literal["refuse", "exclude"] = "refuse"
    """What to do where members are not healthy: refuse, or leave these out."""
    memory: float = DEFAULT_MEMORY / 2**30
    """Memory in GiB that kernels may take."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY")] = None
    """Where kernels, numbers and figure go; by default RUN/ntk. Times found there are not computed again."""
    imports: Imports = ()
    """A module with classes of your own that the run names (docs/training.md).
    It is run. May be given several times."""

    def __post_init__(self):
        if self.samples < 1:
            raise ValueError(f"--samples is {self.samples}; a kernel needs at least one input")
        check_seed(self.data_seed, "--data-seed")
        if not 0 < self.memory < 2**20:
            raise ValueError(f"--memory is {self.memory:g}; it must be a number of GiB above 0")

    def run(self, console: Console) -> None:
        """Compute what is missing, draw, and print a table."""
        run = StoredRun(self.run_directory, self.imports)
        _ = stored_steps(run), run.architecture  # what cannot be had is said before data are loaded
        data, output = training_set(run, self.data, self.data_seed), self.output or self.run_directory / "ntk"
        found = ntk_of_run(run, data, self.samples, output, console, self.sick, self.memory * 2**30)
        title = f"Empirical NTKs of {found.sizes['member']} networks during training, on {found.sizes['input']} inputs"
        written = [output / STORE, *save_figure(evolution_figure(found, title), output / "ntk")]
        console.print(evolution_table(found))
        print_plain(console, f"written: {', '.join(map(str, written))}")


def evolution_table(found: xr.Dataset) -> Table:
    """A row for every time."""
    headers = ("step", "drift", "drift of the mean", "alignment", "λ_max of the mean")
    title = f"Empirical NTKs of {found.sizes['member']} members on {found.sizes['input']} inputs"
    made = table_of(*headers, numbers=headers, title=title)
    for index, step in enumerate(found.step.values):
        at = found.isel(time=index)
        aligned = f"{float(at.alignment.mean()):.3f}" if "alignment" in found else "-"
        made.add_row(
            str(step),
            f"{float(at.drift.mean()):.3g} ± {float(at.drift.std()):.3g}",
            f"{float(at.mean_drift):.3g}",
            aligned,
            f"{float(at.mean_spectrum[0]):.4g}",
        )
    return made
