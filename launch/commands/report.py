"""`widesym report`: an analysis directory as one HTML file, to be read anywhere and sent to anyone."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from widesym.launch.analyses.page import render
from widesym.launch.console import print_plain
from widesym.launch.runs.directory import reading
from widesym.launch.runs.files import write_text


@dataclass(frozen=True)
class ReportCommand:
    """Write the report of an analysis: one HTML file with its figures, tables, runs and checks."""

    run_directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")]
    """Directory that an analysis has made; the report is written there, as report.html."""

    def run(self, console: Console) -> None:
        """Write DIR/report.html and print its path."""
        output = self.run_directory / "report.html"
        with reading(self.run_directory):
            write_text(output, render(self.run_directory))
        print_plain(console, f"written: {output}")
