"""Jobs carried out by the process itself, one after the other."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

from rich.console import Console

from widesym.launch.errors import InUseError
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.executors.base import Assignment, End, Ended, Executor
from widesym.launch.sweep.launcher import carry_out
from widesym.launch.sweep.worker import work
from widesym.launch.training.execution import Execution


@dataclass(frozen=True)
class InProcess(Executor):
    """One job after the other in this process."""

    what: ClassVar = "one job after the other in this process"
    takes_devices: ClassVar = True

    def carry_out(self, assignment: Assignment) -> int:
        """All jobs; they have bars of their own, and a terminal shows one at a time, so there is none around them."""
        console = assignment.console
        around = Console(file=console.file, force_terminal=False, emoji=False)
        execution = assignment.execution.of_runs
        return carry_out(assignment, partial(in_process, assignment.directory, execution, console), around)


def in_process(
    directory: SweepDirectory, execution: Execution, console: Console, jobs: Sequence[str], ended: Ended
) -> None:
    """One job after the other; one that fails does not keep the others from being tried."""
    for name in jobs:
        try:
            work(directory, name, console, execution)
            ended(name, End())
        except InUseError as error:
            ended(name, End(str(error), in_use=True))
        except Exception as error:
            ended(name, End(f"{type(error).__name__}: {error}"))
