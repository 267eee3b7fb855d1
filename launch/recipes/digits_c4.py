"""The demo: on real 8×8 digits, augmented CNN ensemble and C4 group-CNN ensemble against each other and theory."""

from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

from rich.console import Console

from widesym.analysis.dynamics import largest_learning_rate
from widesym.analysis.dynamics.ensembles import training_kernel
from widesym.analysis.estimators.means import FEWEST
from widesym.analysis.figures.demo import comparison_figure
from widesym.analysis.figures.drawing import save_figure
from widesym.analysis.gram.tiling import DEFAULT_MEMORY
from widesym.ensembles import FullOrbit, NoAugmentation, TrainingRecipe, log_spaced_steps
from widesym.ensembles.augmentation import Policy
from widesym.ensembles.data import Dataset, Digits, matched_noise
from widesym.ensembles.data.generators.letters import letters
from widesym.ensembles.data.out_of_distribution import at_temperature, standardised
from widesym.launch.analyses.analyze import analyse
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.analyses.options import AnalysisOptions
from widesym.launch.analyses.results_table import print_results
from widesym.launch.analyses.theory import KernelStore
from widesym.launch.console import print_plain
from widesym.launch.recipes.base import Output, Recipe
from widesym.launch.runs.run import Run
from widesym.models import Architecture, Conv, Dense, Flatten, GroupConv, GroupPool, LiftingConv, Relu, cyclic
from widesym.models.checks import MOST_SEED
from widesym.models.zoo import HIDDEN_STD

C4 = cyclic(4)
# Small logits at initialisation: their scatter over members, which the mean has to average away, is then of the order
# of the targets. Smaller still would take the networks further from the kernel regime (docs/experiments/digits-c4.md).
OUTPUT_STD = 0.25

ISING_TEMPERATURE = 3.0  # above the critical 2.27, where 8×8 spins are mostly all up or all down

OodSet = Literal["noise", "letters", "ising"]


@dataclass(frozen=True)
class DigitsC4(Recipe):
    """Train three ensembles on 8×8 digits - CNNs on the full C4 orbit, C4 group-CNNs on the plain set, and CNNs on it
    as control - and compare their mean logits, over training time and ensemble size, with each other and with the
    analytic infinite-width prediction.
    """

    members: int = 64
    """Networks per ensemble."""
    width: int = 64
    """Channels of the CNNs; the group-CNNs have half as many on each of the four rotations."""
    steps: int = 48
    """Steps of full-batch gradient descent."""
    records: int = 9
    """Recorded times: step 0, and log-spaced from 1 to the last step."""
    train: int = 64
    """Training images."""
    samples: int = 128
    """Images of the test set and of each OOD set."""
    ood: tuple[OodSet, ...] = ("noise", "letters", "ising")
    """Out-of-distribution sets: Gaussian noise with the digits' mean and covariance, printed letters, Ising spins."""
    rate: float = 0.6
    """Learning rate, as a fraction of the largest stable one, 2N/λ_max of the analytic kernels."""
    seed: int = 0
    """Seed of data split, OOD sets and networks."""
    output: Output = Path("runs/digits-c4")
    """Where runs, figure and summary go; finished runs found there are not repeated."""

    limits: ClassVar = {
        "members": (FEWEST, 100_000),  # that the intervals of the figure take
        "width": (2, 4096),
        "steps": (1, 1_000_000),
        "records": (2, 1000),
        "train": (1, 1000),
        "samples": (1, 512),
        "seed": (0, MOST_SEED // 3 - 1),
    }

    def check(self) -> None:
        """Raise ValueError for a width, a rate or sets that cannot be."""
        super().check()
        if self.width % 2:
            raise ValueError(f"--width is {self.width}; it must be even, as the group-CNNs take half of it")
        if not 0 < self.rate < 1:
            raise ValueError(f"--rate is {self.rate}; descent converges for fractions between 0 and 1")
        if not self.ood or len(set(self.ood)) < len(self.ood):
            raise ValueError("--ood names no set, or one twice; choose one or more of noise, letters, ising")

    @property
    def cnn(self) -> Architecture:
        """VALID convolutions from 8×8 down to 1×1."""
        hidden = {"features": self.width, "padding": "VALID", "w_std": HIDDEN_STD}
        layers = (Conv(size=3, **hidden), Relu(), Conv(size=3, **hidden), Relu(), Conv(size=4, **hidden), Relu())
        return Architecture((*layers, Flatten(), Dense(10, w_std=OUTPUT_STD)))

    @property
    def gcnn(self) -> Architecture:
        """The same with a lifting and group convolutions, and group pooling before the last layer."""
        hidden = {"features": self.width // 2, "padding": "VALID", "w_std": HIDDEN_STD}
        lifting, *convolutions = (
            LiftingConv(C4, size=3, **hidden),
            GroupConv(C4, size=3, **hidden),
            GroupConv(C4, size=4, **hidden),
        )
        layers = (lifting, Relu(), convolutions[0], Relu(), convolutions[1], Relu())
        return Architecture((*layers, GroupPool(), Dense(10, w_std=OUTPUT_STD)))

    @property
    def networks(self) -> dict[str, tuple[Architecture, Policy]]:
        """The three ensembles, by name."""
        return {
            "augmented": (self.cnn, FullOrbit(C4)),
            "gcnn": (self.gcnn, NoAugmentation()),
            "control": (self.cnn, NoAugmentation()),
        }

    @cached_property
    def data(self) -> tuple[Dataset, tuple[Dataset, ...]]:
        """The training set, and the evaluation sets: test, then OOD."""
        train, test = Digits(self.train, self.samples, self.seed).load()
        side = train.inputs.shape[1]
        make = {
            "noise": lambda: matched_noise(train, self.samples, self.seed),
            "letters": lambda: letters(self.samples, side, self.seed),
            "ising": lambda: replace(
                standardised(at_temperature(train, self.samples, self.seed, ISING_TEMPERATURE)), name="ising"
            ),
        }
        return train, (test, *(make[name]() for name in self.ood))

    @property
    def record_steps(self) -> tuple[int, ...]:
        """The steps at which logits are recorded, spaced logarithmically up to the last."""
        return log_spaced_steps(self.steps, self.records)

    def learning_rate(self, kernels: KernelStore) -> float:
        """The common one: `rate` of the smallest of the networks' largest stable ones."""
        x = self.data[0].inputs
        training = [
            training_kernel(architecture, policy, x, kernels.of(architecture))
            for architecture, policy in self.networks.values()
        ]
        return self.rate * min(map(largest_learning_rate, training))

    def runs(self, learning_rate: float) -> dict[str, Run]:
        """The three ensembles, ready to run."""
        train, evaluation = self.data
        return {
            name: Run(
                architecture=architecture,
                recipe=TrainingRecipe(learning_rate, augmentation=policy),
                members=self.members,
                seed=len(self.networks) * self.seed + number,
                record_steps=self.record_steps,
                training_set=train,
                evaluation_sets=evaluation,
            )
            for number, (name, (architecture, policy)) in enumerate(self.networks.items())
        }

    def carry_out(self, name: str, console: Console) -> None:
        """Predict, train the three ensembles, compare them, and draw the figure."""
        kernels = KernelStore(self.output / "theory", console, DEFAULT_MEMORY)
        runs = self.runs(self.learning_rate(kernels))
        trained = runs_in([self.train_in(network, run, console) for network, run in runs.items()])
        asked = AnalysisOptions(theory=True, reference="gcnn", yes=True)
        tables = analyse(asked, trained, self.output / "analysis", kernels, console)
        data = {data.name: data for data in (self.data[0], *self.data[1])}
        written = save_figure(comparison_figure(tables, data), self.output / name)
        print_results(tables, console)
        paths = ", ".join(map(str, (*written, self.output / "analysis")))
        print_plain(console, f"written: {paths}")
