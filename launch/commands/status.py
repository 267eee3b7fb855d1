"""`widesym status`: how the runs of sweeps, or any run directories, stand."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.live import Live

from widesym.launch.console import print_plain
from widesym.launch.sweep.states import State
from widesym.launch.sweep.status import Row, as_json, rows_in
from widesym.launch.sweep.status_table import StatusTable

SECONDS_BETWEEN_TABLES = 2.0
IDLE_LOOKS = 5  # after which nothing is expected to begin: between two jobs nothing is running either
WIDTH = 160  # of what is no terminal
ROWS_AROUND = 6  # of a table, and below it


@dataclass(frozen=True)
class StatusCommand:
    """Show which runs are finished, failed, running or stale; on a terminal, live while there is something to see."""

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIRECTORY")]
    """A sweep's directory, a run directory, or one that holds some."""
    once: bool = False
    """Show the table once, also on a terminal."""
    only: tuple[State, ...] = ()
    """Show the runs of these states alone, such as: --only failed stale."""
    json: bool = False
    """Print what is known of the runs as JSON, once; null for what is not known."""

    def run(self, console: Console) -> None:
        """Print the table; raises RunDirectoryError where there are no runs."""
        rows = self._rows()
        if self.json:
            print_plain(console, json.dumps([as_json(row) for row in rows], indent=2, allow_nan=False))
            return
        if self.once or not console.is_terminal:
            wide = console if console.is_terminal else Console(file=console.file, width=WIDTH, emoji=False)
            wide.print(StatusTable(rows, len(rows)))
            return
        with Live(console=console, screen=False, auto_refresh=False) as live:
            idle = 0
            while True:
                live.update(StatusTable(rows, console.height - ROWS_AROUND), refresh=True)
                idle = 0 if {"running", "queued"} & {row.state for row in rows} else idle + 1
                if idle == IDLE_LOOKS:
                    return
                time.sleep(SECONDS_BETWEEN_TABLES)
                rows = self._rows()

    def _rows(self) -> list[Row]:
        rows = rows_in(self.directory)
        return [row for row in rows if not self.only or row.state in self.only]
