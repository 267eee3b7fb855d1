"""`widesym work`: one job of a sweep. Pools start it; people may, to see a job fail before their eyes."""

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from widesym.launch.config.own import Imports
from widesym.launch.errors import InUseError
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.executors.pool import IN_USE
from widesym.launch.sweep.worker import work
from widesym.launch.training.options import ExecutionOptions


@dataclass(frozen=True)
class WorkCommand:
    """Carry out one job of a sweep that has been planned."""

    directory: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="DIRECTORY")]
    """The sweep's directory."""
    job: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="JOB")]
    """The job's name (`widesym status`)."""
    execution: tyro.conf.OmitArgPrefixes[ExecutionOptions] = field(default_factory=ExecutionOptions)
    imports: Imports = ()
    """A module with classes of your own that the job names.
    It is run. May be given several times."""

    def run(self, console: Console) -> None:
        """Do it; raises what it fails of, and exits with 3 where another process is at it."""
        try:
            work(SweepDirectory(self.directory, self.imports), self.job, console, self.execution.of_runs)
        except InUseError as error:
            print(f"widesym: {error}", file=sys.stderr)
            sys.exit(IN_USE)
