"""Ensembles of several widths, recorded on the orbits of their inputs, held against theory: all figures of `analyze`.

python -m examples.widths_and_orbits        # runs/widths-and-orbits; some minutes on two cores
"""

from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from widesym.analysis.dynamics import largest_learning_rate
from widesym.analysis.dynamics.ensembles import training_kernel
from widesym.ensembles import FullOrbit, NoAugmentation, TrainingRecipe, log_spaced_steps
from widesym.ensembles.augmentation import Policy
from widesym.ensembles.data import Digits, matched_noise
from widesym.ensembles.data.generators.letters import letters
from widesym.launch.analyses.options import AnalysisOptions
from widesym.launch.commands.analyze import AnalyzeCommand
from widesym.launch.commands.report import ReportCommand
from widesym.launch.process import configure_jax
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import run_ensemble
from widesym.models import Architecture, Conv, Dense, Flatten, GroupPool, LiftingConv, Relu, cyclic

C4 = cyclic(4)
HIDDEN = {"size": 8, "padding": "VALID", "w_std": 2**0.5}  # one filter as large as the picture


@dataclass(frozen=True)
class WidthsAndOrbits:
    """Train augmented networks of several widths and group-CNNs on digits, and analyse them."""

    members: int = 128
    """Networks per ensemble."""
    widths: tuple[int, ...] = (32, 64, 128, 256)
    """Channels of the hidden layer of the augmented networks; the group-CNNs have the largest."""
    steps: int = 64
    """Steps of full-batch gradient descent."""
    output: Path = Path("runs/widths-and-orbits")
    """Where the runs go, and the analysis."""


def main() -> None:
    options, console = tyro.cli(WidthsAndOrbits), Console()
    configure_jax()
    train, test = Digits(32, 64).load()
    evaluation = (test, matched_noise(train, 64, 0), letters(64, 8, 0))
    networks = {f"augmented-{width}": (cnn(width), FullOrbit(C4)) for width in options.widths}
    networks["gcnn"] = (gcnn(max(options.widths)), NoAugmentation())
    rate = learning_rate([networks[f"augmented-{options.widths[0]}"], networks["gcnn"]], train.inputs)
    for seed, (name, (architecture, policy)) in enumerate(networks.items()):
        recipe, steps = TrainingRecipe(rate, augmentation=policy), log_spaced_steps(options.steps, 7)
        run = Run(architecture, recipe, options.members, seed, steps, train, evaluation, FullOrbit(C4))
        run_ensemble(run, options.output / name, console)
    runs = tuple(options.output / name for name in networks)
    asked = AnalysisOptions(theory=True, reference="gcnn", yes=True)
    AnalyzeCommand(runs, asked, output=options.output / "analysis").run(console)
    ReportCommand(options.output / "analysis").run(console)


def cnn(width: int) -> Architecture:
    """One hidden layer of filters as large as the picture: a network that is fast at any width."""
    return Architecture((Conv(width, **HIDDEN), Relu(), Flatten(), Dense(10, w_std=0.5)))


def gcnn(width: int) -> Architecture:
    """The same, lifted to C4 and pooled."""
    return Architecture((LiftingConv(C4, width, **HIDDEN), Relu(), GroupPool(), Dense(10, w_std=0.5)))


def learning_rate(networks: list[tuple[Architecture, Policy]], x) -> float:
    """Half of the smallest of the networks' largest stable ones."""
    return min(largest_learning_rate(training_kernel(*network, x)) for network in networks) / 2


if __name__ == "__main__":
    main()
