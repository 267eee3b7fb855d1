"""How often the estimators' 95 % intervals hold the truth for trained networks, whose truth is many of their kind.

    python -m examples.coverage_networks        # five minutes on two cores

Thousands of small CNNs, trained on full C4 orbits of digits, and as many C4 group-CNNs are the populations; ensembles
are drawn from them again and again. What is true of their means is known from all of them, but for 1/√members of the
populations. Writes docs/figures/coverage-networks.csv and prints it.
"""

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from jaxtyping import Float
from rich.progress import track

from widesym.analysis.dynamics import largest_learning_rate
from widesym.analysis.dynamics.ensembles import training_kernel
from widesym.analysis.estimators.calibration import calibration
from widesym.analysis.estimators.divergence import divergence, divergence_interval, squared_divergence_interval
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import EstimatedMean, estimate_mean
from widesym.ensembles import FullOrbit, NoAugmentation, TrainingRecipe, train_ensemble
from widesym.ensembles.data import Digits
from widesym.ensembles.data.generators.letters import letters
from widesym.models import Architecture, Conv, Dense, Flatten, GroupPool, LiftingConv, Relu, cyclic

C4 = cyclic(4)
HIDDEN = {"size": 8, "padding": "VALID", "w_std": 2**0.5}
CNN = Architecture((Conv(16, **HIDDEN), Relu(), Flatten(), Dense(10, w_std=0.5)))
GCNN = Architecture((LiftingConv(C4, 8, **HIDDEN), Relu(), GroupPool(), Dense(10, w_std=0.5)))
STEPS = (0, 40)
HEADER = ("set", "step", "members", "interval", "repetitions", "coverage_percent")

Population = Float[np.ndarray, "time member sample logit"]


@dataclass(frozen=True)
class Coverage:
    """Train populations of networks, and see how often intervals of ensembles of them hold what is true of all."""

    population: int = 8000
    """Networks of each kind."""
    members: tuple[int, ...] = (16, 64, 256)
    """Sizes of ensembles."""
    repetitions: int = 1000
    """Ensembles of each size."""
    output: Path = Path("docs/figures/coverage-networks.csv")
    """Where the numbers go."""


class Truth(NamedTuple):
    """Means of both populations, at one time on one set."""

    cnn: Float[np.ndarray, "sample logit"]
    gcnn: Float[np.ndarray, "sample logit"]


def main() -> None:
    options = tyro.cli(Coverage)
    train, test = Digits(32, 24).load()
    sets = {"test": slice(0, 24), "letters": slice(24, 48)}
    inputs = np.concatenate([test.inputs, letters(24, 8).inputs])
    populations = trained(train.inputs, train.targets(), inputs, options.population)
    rows = []
    for name, samples in sets.items():
        for time, step in enumerate(STEPS):
            cnn, gcnn = (each[time : time + 1, :, samples] for each in populations)
            for members in options.members:
                found = covered(cnn, gcnn, members, options.repetitions)
                rows += [
                    (name, step, members, kind, options.repetitions, f"{100 * share:.1f}")
                    for kind, share in found.items()
                ]
    with options.output.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    print(options.output.read_text())


def trained(
    x: Float[np.ndarray, "train row column channel"],
    y: Float[np.ndarray, "train logit"],
    inputs: Float[np.ndarray, "sample row column channel"],
    count: int,
) -> tuple[Population, Population]:
    """Logits of augmented CNNs and of group-CNNs, at half the largest stable learning rate."""
    kinds = ((CNN, FullOrbit(C4)), (GCNN, NoAugmentation()))
    rate = min(largest_learning_rate(training_kernel(*kind, x)) for kind in kinds) / 2
    cnn, gcnn = (
        train_ensemble(network, TrainingRecipe(rate, augmentation=policy), x, y, inputs, count, STEPS, seed)
        for seed, (network, policy) in enumerate(kinds)
    )
    return cnn, gcnn


def covered(cnn: Population, gcnn: Population, members: int, repetitions: int) -> dict[str, float]:
    """How often each kind of interval holds the truth, for ensembles of so many members drawn from the populations."""
    truth = Truth(*(each[0].mean(0, dtype=np.float64) for each in (cnn, gcnn)))
    pairs = [drawn(cnn, gcnn, members, seed) for seed in range(repetitions)]
    theory = EstimatedMean.exact(truth.gcnn)
    # E[D] is the mean over the ensembles that are drawn here.
    expected = float(np.mean([divergence(a, b) for a, b in pairs]))
    distance = float(np.mean([divergence(b, theory) for _, b in pairs]))
    square = float(((truth.cnn - truth.gcnn) ** 2).sum(-1).mean())
    inside = {
        "divergence": [holds(divergence_interval(a, b), expected) for a, b in track(pairs, f"{members} members")],
        "squared divergence": [holds(squared_divergence_interval(a, b), square) for a, b in pairs],
        "distance from theory": [holds(divergence_interval(b, theory), distance) for _, b in pairs],
        "squared bias": [holds(squared_divergence_interval(b, theory), 0.0) for _, b in pairs],
        "rms z": [holds(found.rms_interval, found.rms) for _, b in pairs for found in [calibration(b, truth.gcnn)]],
    }
    return {name: float(np.mean(each)) for name, each in inside.items()}


def drawn(cnn: Population, gcnn: Population, members: int, seed: int) -> tuple[EstimatedMean, EstimatedMean]:
    """An ensemble of each population, and how its mean scatters."""
    rng = np.random.default_rng(seed)
    chosen = [np.sort(rng.choice(each.shape[1], members, replace=False)) for each in (cnn, gcnn)]
    a, b = (
        estimate_mean(EnsembleLogits(each[:, which]), 0, seed=2 * seed + index)
        for index, (each, which) in enumerate(zip((cnn, gcnn), chosen, strict=True))
    )
    return a, b


def holds(interval: tuple[float, float], truth: float) -> bool:
    """Whether the truth lies in it."""
    return interval[0] <= truth <= interval[1]


if __name__ == "__main__":
    main()
