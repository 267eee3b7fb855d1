"""What a recipe is: a named experiment, whose fields are the options of `widesym reproduce NAME`."""

import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import tyro
from rich.console import Console

from widesym.launch.config.checks import check_limits, check_output
from widesym.launch.console import print_plain
from widesym.launch.runs.begun import unstated_told
from widesym.launch.runs.directory import Contents, claim
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, peak_memory, run_ensemble
from widesym.models.description import describe

OTHER_OPTIONS = Contents("what was made with other options")
Output = Annotated[Path, tyro.conf.arg(metavar="DIRECTORY")]  # what the field `output` is


class Recipe(ABC):
    """A frozen dataclass that inherits from this declares its options as fields, each with its help below, and does its
    stages one after the other in `carry_out`, each of which finds on disk what it has left there before.

    `output` is one of the fields: the directory that the recipe has to itself while it runs. `limits` are the smallest
    and largest values of options that are whole numbers. A recipe that has the sizes of a publication, too, has a
    field `paper` and says in `sizes_of_paper` which values it stands for.
    """

    output: Path
    paper: bool = False
    limits: ClassVar[Mapping[str, tuple[int, int]]] = {}
    sizes_of_paper: ClassVar[Mapping[str, Any]] = {}

    def __post_init__(self):
        if self.paper:
            self._take_sizes_of_paper()
        self.check()
        check_output(self.output)

    def check(self) -> None:
        """Raise ValueError for values of options that cannot be: those beyond `limits`, and what a recipe adds."""
        check_limits(self, self.limits)

    @abstractmethod
    def carry_out(self, name: str, console: Console) -> None:
        """Do all stages, inside `output`; figures bear the recipe's name."""

    def reproduce(self, name: str, console: Console) -> None:
        """Do what the recipe of this name does, and say what it took in time and memory.

        Raises RunDirectoryError where another process is at it, or it was done there with other options.
        """
        began = time.perf_counter()
        with claim(self.output, self.options, OTHER_OPTIONS):
            self.carry_out(name, console)
        seconds, memory = time.perf_counter() - began, peak_memory() / 2**30
        print_plain(console, f"{seconds:.0f} s, at most {memory:.1f} GiB of memory")

    @property
    def options(self) -> dict[str, Any]:
        """What `output` is claimed for: all options but where that is, and what `paper` has come to."""
        return {name: describe(getattr(self, name)) for name in self._defaults if name not in ("output", "paper")}

    def train_in(self, folder: str, run: Run, console: Console, execution: Execution = Execution()) -> Path:
        """Train an ensemble in a folder of `output`, unless that is done; with the random numbers that an earlier
        version has begun it with. Returns the folder.
        """
        path = self.output / folder
        run_ensemble(replace(run, randomness=unstated_told(path, console)), path, console, execution)
        return path

    @property
    def _defaults(self) -> dict[str, Any]:
        return {each.name: each.default for each in fields(cast(Any, self))}

    def _take_sizes_of_paper(self) -> None:
        given = {name: getattr(self, name) for name in self.sizes_of_paper}
        defaults = {name: self._defaults[name] for name in given}
        if given not in (defaults, self.sizes_of_paper):
            options = " and ".join(f"--{name}" for name in given)
            raise ValueError(f"--paper says what {options} are; leave these out, or --paper")
        for name, size in self.sizes_of_paper.items():
            object.__setattr__(self, name, size)
