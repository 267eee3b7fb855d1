"""What the tests have SLURM do: small ensembles, which can be held at a step until they are told to stop."""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from widesym.ensembles import IndependentDraws, Strategy, TrainingRecipe, trainer
from widesym.ensembles.data import Digits
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Dense, Flatten, Relu

ARCH = Architecture((Flatten(), Dense(8, w_std=2**0.5), Relu(), Dense(10, w_std=0.25)))
STEPS, HELD_AT = (0, 4, 8), 6  # held between two records


def small_run(seed):
    """Mini-batches, so that what is drawn has to be resumed as well."""
    train, test = Digits(train=20, test=10).load()
    return Run(ARCH, TrainingRecipe(0.1, batches=IndependentDraws(6)), 4, seed, STEPS, train, (test,))


@dataclass(frozen=True)
class Train:
    """The ensemble of the seed that a job is called by, in a directory of that name."""

    folder: Path

    def __call__(self, job, request):
        execution = Execution(Strategy(1), request=request)  # a trial could choose otherwise the next time
        run_ensemble(small_run(int(job)), self.folder / job, Console(width=200), execution)


@dataclass(frozen=True)
class TrainHeld(Train):
    """The same, which stands still at a step until it is told to stop, if its folder has a file `hold`.

    Process n says in the file `held-n` that it does, and that alone shows that it has come to that step.
    """

    def __call__(self, job, request):
        advance = trainer.Trainer.advance

        def held(*arguments):
            if arguments[3] >= HELD_AT and (self.folder / "hold").exists():
                (self.folder / f"held-{os.environ['SLURM_PROCID']}").touch()
                while not request.made:
                    time.sleep(0.05)
            return advance(*arguments)

        trainer.SECONDS_A_CALL, trainer.Trainer.advance = 0.0, held  # one step a call
        super().__call__(job, request)


def fail(job, request):
    """An error of its own."""
    raise RuntimeError(f"job {job} has failed")
