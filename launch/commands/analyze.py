"""`widesym analyze`: runs held against each other and, if asked, against theory; tables and figures in a directory."""

import shlex
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from widesym.analysis.gram.tiling import DEFAULT_MEMORY
from widesym.launch.analyses.analyze import analyse
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.analyses.options import AnalysisOptions
from widesym.launch.analyses.output import default_output
from widesym.launch.analyses.results_table import print_results
from widesym.launch.analyses.theory import KernelStore
from widesym.launch.config.own import Imports
from widesym.launch.console import print_plain


@dataclass(frozen=True)
class AnalyzeCommand:
    """Hold runs against each other: divergences of their mean logits from a reference's, over training time and
    ensemble size, invariance over orbits where these were recorded, and with --theory their distance from the
    infinite-width prediction. Writes tables, figures, and what is to be known of the runs.
    """

    runs: Annotated[tuple[Path, ...], tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Run directories, directories of such, or those of sweeps."""
    options: tyro.conf.OmitArgPrefixes[AnalysisOptions] = field(default_factory=AnalysisOptions)
    memory: float = DEFAULT_MEMORY / 2**30
    """Memory in GiB that tiles of analytic kernels may take."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="DIRECTORY")] = None
    """Where all that goes; by default `analysis` in RUN where that holds all runs, and else beside them `analysis-` and
    their names. Kernels found there are not computed again."""
    imports: Imports = ()
    """A module with classes of your own that the runs name (docs/training.md), which theory takes.
    It is run. May be given several times."""

    def __post_init__(self):
        if not self.runs:
            raise ValueError("no RUN is named; name run directories, or directories of such")
        if not 0 < self.memory < 2**20:
            raise ValueError(f"--memory is {self.memory:g}; it must be a number of GiB above 0")

    def run(self, console: Console) -> None:
        """Compare, write, draw, and print how things stand."""
        runs = runs_in(self.runs, self.imports, partial(print_plain, console))
        output = self.output or default_output(self.options, runs, self.runs)
        kernels = KernelStore(output / "theory", console, int(self.memory * 2**30))
        tables = analyse(self.options, runs, output, kernels, console)
        print_results(tables, console)
        print_plain(
            console, f"written: {output}; {shlex.join(['widesym', 'report', str(output)])} makes one page of it"
        )
