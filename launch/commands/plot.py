"""`widesym plot`: the figures of an analysis drawn again from its tables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from widesym.launch.analyses.directory import read_inputs, read_tables
from widesym.launch.analyses.figures import figures_of, say_refused
from widesym.launch.analyses.files import write_figures
from widesym.launch.console import print_plain
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import reading


@dataclass(frozen=True)
class PlotCommand:
    """Draw the figures of an analysis again from its tables, without computing anything."""

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Directory that `widesym analyze` has made."""

    def run(self, console: Console) -> None:
        """Write the figures and print which."""
        if not self.directory.is_dir():
            raise RunDirectoryError(f"there is no directory {self.directory}; name one that widesym analyze has made")
        with reading(self.directory):
            figures, refused = figures_of(read_tables(self.directory), read_inputs(self.directory))
            written = write_figures(self.directory, figures)
        say_refused(refused, console)
        print_plain(console, f"written: {', '.join(map(str, written))}")
