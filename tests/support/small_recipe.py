"""The command with one small recipe more, so that it can be interrupted in a process of its own."""

from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from widesym.ensembles import IndependentDraws, Strategy, TrainingRecipe
from widesym.ensembles.data import Digits
from widesym.launch import cli, recipes
from widesym.launch.lazily import Lazily
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Dense, Flatten, Relu

EXECUTION = Execution(Strategy(1))  # no time for a trial


@dataclass(frozen=True)
class Small:
    """One ensemble of small dense networks on digits."""

    steps: int = 8
    members: int = 4
    output: Path = Path("runs/small")

    @property
    def run(self) -> Run:
        """Mini-batches, so that what is drawn has to be resumed as well."""
        train, test = Digits(train=20, test=10).load()
        arch = Architecture((Flatten(), Dense(8, w_std=2**0.5), Relu(), Dense(10, w_std=0.25)))
        recipe, record_steps = TrainingRecipe(0.1, batches=IndependentDraws(6)), (0, 2, self.steps // 2, self.steps)
        return Run(arch, recipe, self.members, 0, record_steps, train, (test,))

    def reproduce(self, name: str, console: Console) -> None:
        """Train it."""
        run_ensemble(self.run, self.output, console, EXECUTION)


if __name__ == "__main__":
    recipes.RECIPES["small"] = Lazily(__name__, "Small")
    cli.main()
