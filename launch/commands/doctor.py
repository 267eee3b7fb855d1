"""`widesym doctor`: whether run directories are whole, or what there is on this machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from widesym.launch.config.own import Imports
from widesym.launch.console import print_plain
from widesym.launch.integrity.files import Check
from widesym.launch.integrity.machine import machine_facts, machine_warnings
from widesym.launch.integrity.run import Examination, examine
from widesym.launch.runs.directory import runs_within

DAMAGED = 1  # exit code


@dataclass(frozen=True)
class DoctorCommand:
    """Say of every run in a directory whether it is whole, what to do where it is not, and where it would go on;
    without a directory, what there is on this machine. Changes nothing. Exits with 1 if a run is damaged, with 2 if
    there is none.
    """

    directory: Annotated[Path | None, tyro.conf.Positional, tyro.conf.arg(metavar="DIR")] = None
    """A run directory, or one with run directories in it, however deep."""
    imports: Imports = ()
    """A module with classes of your own that runs name, whose checkpoints are read with them.
    It is run. May be given several times."""

    def run(self, console: Console) -> None:
        """Print it; raises RunDirectoryError where there are no runs, and SystemExit where one is damaged."""
        if self.directory is None:
            print_machine(console)
            return
        paths = runs_within(self.directory)
        damaged = 0
        for path in paths:
            found = examine(path, self.imports)
            print_examination(found, console, every=len(paths) == 1)
            damaged += found.damaged
        if len(paths) > 1:
            print_plain(console, f"{len(paths)} runs, {damaged} damaged")
        if damaged:
            raise SystemExit(DAMAGED)


def print_examination(found: Examination, console: Console, every: bool) -> None:
    """Print what was found in a run directory: every check, or those alone that are not ok."""
    shown = [check for check in found.checks if every or check.status != "ok"]
    print_plain(console, f"{found.path}: {'DAMAGED' if found.damaged else 'whole'}; {found.state}")
    for line in _lines(shown):
        print_plain(console, line)


def _lines(checks: Sequence[Check]) -> list[str]:
    width = max((len(check.file) for check in checks), default=0)
    lines = []
    for check in checks:
        lines.append(f"  {check.status:<7}  {check.file:<{width}}  {check.detail}")
        if check.remedy:
            lines.append(f"  {'':<7}  → {check.remedy}")
    return lines


def print_machine(console: Console) -> None:
    """Print what there is on this machine, and what will not work."""
    facts = machine_facts()
    width = max(len(fact.what) for fact in facts)
    for fact in facts:
        print_plain(console, f"{fact.what:<{width}}  {fact.value}")
    for warning in machine_warnings():
        print_plain(console, f"{'warning':<{width}}  {warning}")
