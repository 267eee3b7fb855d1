"""What an executor is: one way to carry out the jobs of a sweep."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, NamedTuple

from rich.console import Console

from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.folder import StoredPlan
from widesym.launch.sweep.states import State
from widesym.launch.training.options import ExecutionOptions


class End(NamedTuple):
    """How a job ended, "" if well; or that another process was at it."""

    how: str = ""
    in_use: bool = False


Ended = Callable[[str, End], None]  # hears of each job and how it ended


@dataclass(frozen=True)
class Assignment:
    """What an executor is to do: those jobs of the plan that are in one of the states."""

    directory: SweepDirectory
    plan: StoredPlan
    states: tuple[State, ...]
    execution: ExecutionOptions
    console: Console

    @property
    def arguments(self) -> list[str]:
        """What `widesym work` takes for each of these jobs, beside the directory and its name."""
        imports = [argument for module in self.directory.modules for argument in ("--import", module)]
        return [*self.execution.arguments, *imports]


class Executor(ABC):
    """A frozen dataclass that inherits from this declares as fields what it takes, each with its help below: options of
    `widesym sweep`, which begin with `prefix` if there is one. `what` goes on with "--executor: …" in the help. It may
    be made where it cannot be used, and says in `check_directory` and `check_machine` what is in its way.
    """

    what: ClassVar[str]
    prefix: ClassVar[str] = ""
    takes_devices: ClassVar[bool] = False  # this process keeps its GPUs to compute on

    @abstractmethod
    def carry_out(self, assignment: Assignment) -> int:
        """Do the jobs, or hand them to whoever does, and say so; the exit code of the command."""

    def check_directory(self, path: Path) -> None:
        """Raise UserError where sweeps in this directory cannot be carried out; by default they can in each."""
        return

    def check_machine(self) -> None:
        """Raise UserError where this machine lacks what it takes; by default it lacks nothing."""
        return
