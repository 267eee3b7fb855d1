"""How far the NTKs of finite networks move in training, against their width, on real 8×8 digits."""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from rich.console import Console
from rich.table import Table

from widesym.analysis.dynamics import largest_eigenvalue
from widesym.analysis.empirical import empirical_ntk
from widesym.analysis.estimators.power_law import LEVEL
from widesym.analysis.figures.drawing import save_figure
from widesym.analysis.figures.drift_by_width import FITTED, DriftLaws, drift_figure, drift_laws, last_drifts
from widesym.analysis.kernels import analytic_kernel
from widesym.ensembles import Strategy, Trainer, TrainingRecipe, log_spaced_steps
from widesym.ensembles.data import Dataset, Digits
from widesym.ensembles.files import read_text
from widesym.launch.config.snapshots import Parameters
from widesym.launch.console import print_plain, table_of
from widesym.launch.errors import RunDirectoryError
from widesym.launch.kernels.ntk import ntk_of_run
from widesym.launch.recipes.base import Output, Recipe
from widesym.launch.runs.files import write_json
from widesym.launch.runs.run import Run
from widesym.launch.runs.stored import StoredRun
from widesym.launch.training.execution import Execution
from widesym.models import Architecture, Conv, Dense, Flatten, MaxPool, Relu
from widesym.models.checks import MOST_SEED
from widesym.models.zoo import HIDDEN_STD

# A trial for each of fifteen small ensembles would take longer than their training.
EXECUTION = Execution(Strategy(4))

Network = Literal["mlp", "cnn", "maxpool"]
NAMES = {"mlp": "MLP", "cnn": "CNN", "maxpool": "CNN with max pooling"}


@dataclass(frozen=True)
class NtkDrift(Recipe):
    """Train ensembles of MLPs, CNNs and CNNs with max pooling at several widths on 8×8 digits, compute the empirical
    NTK of every member at log-spaced times, and fit how its drift falls with the width.
    """

    networks: tuple[Network, ...] = ("mlp", "cnn", "maxpool")
    """Kinds of networks."""
    widths: tuple[int, ...] = (16, 32, 64, 128, 256)
    """Channels of each hidden layer, ascending."""
    members: int = 8
    """Networks per ensemble."""
    steps: int = 32
    """Steps of full-batch gradient descent."""
    records: int = 6
    """Recorded times: step 0, and log-spaced from 1 to the last step."""
    train: int = 64
    """Training images."""
    samples: int = 16
    """Training images that the kernels are between."""
    rate: float = 0.1
    """Learning rate, as a fraction of the largest stable one, 2N/λ_max: of the analytic kernel or, for max pooling, of
    the mean kernel of untrained networks of the middle width. It is the same at all widths."""
    seed: int = 0
    """Seed of data split and networks."""
    output: Output = Path("runs/ntk-drift")
    """Where runs, kernels, figure and summary go; what is found there is not computed again."""

    limits: ClassVar = {
        "members": (2, 10_000),
        "steps": (1, 1_000_000),
        "records": (2, 1000),
        "train": (1, 1000),
        "samples": (1, 1000),
        "seed": (0, MOST_SEED // (4097 * len(NAMES)) - 1),
    }

    def check(self) -> None:
        """Raise ValueError for a rate, samples, networks or widths that cannot be."""
        super().check()
        if not 0 < self.rate < 1:
            raise ValueError(f"--rate is {self.rate}; descent converges for fractions between 0 and 1")
        if self.samples > self.train:
            raise ValueError(f"--samples is {self.samples}, but there are {self.train} training images (--train)")
        if not self.networks or len(set(self.networks)) < len(self.networks):
            raise ValueError("--networks names no kind, or one twice; choose one or more of mlp, cnn, maxpool")
        ascending = all(a < b for a, b in zip(self.widths, self.widths[1:], strict=False))
        if len(self.widths) < 2 or not ascending or not 1 <= self.widths[0] <= self.widths[-1] <= 4096:
            given = " ".join(map(str, self.widths))
            raise ValueError(f"--widths is {given!r}; give two or more between 1 and 4096, ascending")

    @cached_property
    def data(self) -> tuple[Dataset, Dataset]:
        """The training set, and a test set of one digit, which nothing here reads."""
        return Digits(self.train, 1, self.seed).load()

    def architecture(self, network: Network, width: int) -> Architecture:
        """Two hidden layers: dense, strided convolutions, or convolutions each with a max pool."""
        dense, hidden = Dense(width, w_std=HIDDEN_STD), {"features": width, "size": 3, "w_std": HIDDEN_STD}
        strided, conv = Conv(**hidden, stride=2), Conv(**hidden)
        layers = {
            "mlp": (Flatten(), dense, Relu(), dense, Relu()),
            "cnn": (strided, Relu(), strided, Relu(), Flatten()),
            "maxpool": (conv, Relu(), MaxPool(2), conv, Relu(), MaxPool(2), Flatten()),
        }
        return Architecture((*layers[network], Dense(10)))

    def rates(self) -> dict[str, float]:
        """The learning rate of each kind of network; computed once and kept in `output`.

        Raises RunDirectoryError for a file that does not say them.
        """
        file = self.output / "rates.json"
        if not file.exists():
            write_json(file, {network: self.rate * self._largest_stable(network) for network in self.networks})
        try:
            found = json.loads(read_text(file))
            return {network: _positive(found[network]) for network in self.networks}
        except (ValueError, KeyError, TypeError) as error:  # not JSON, not text, not ours
            raise RunDirectoryError(
                f"{file} is damaged ({type(error).__name__}: {error}); it holds a positive number for each of "
                f"{', '.join(self.networks)}; remove it, and they are computed again"
            ) from None

    def _largest_stable(self, network: Network) -> float:
        x, architecture = self.data[0].inputs, self.architecture(network, self.widths[len(self.widths) // 2])
        if network == "maxpool":
            trainer = Trainer(architecture, TrainingRecipe(1.0), self.members, self.seed, Strategy(1))
            params = jax.tree.map(trainer.on_host, trainer.init(x.shape[1:]).params)
            ntk = np.asarray(empirical_ntk(architecture, params, jnp.asarray(x))).mean(0)
        else:
            ntk = analytic_kernel(architecture)(x).ntk
        return 2 * len(x) / float(largest_eigenvalue(ntk))

    def run(self, network: Network, width: int, learning_rate: float) -> Run:
        """An ensemble; no two of them are initialised alike."""
        number = list(NAMES).index(network) * 4097 + width
        return Run(
            architecture=self.architecture(network, width),
            recipe=TrainingRecipe(learning_rate),
            members=self.members,
            seed=self.seed * 4097 * len(NAMES) + number,
            record_steps=log_spaced_steps(self.steps, self.records),
            training_set=self.data[0],
            evaluation_sets=(self.data[1],),
            snapshots=(Parameters(),),
        )

    def carry_out(self, name: str, console: Console) -> None:
        """Train all networks at all widths, compute their kernels over time, and compare these."""
        rates = self.rates()
        found = {
            network: {width: self._trained(network, width, rates[network], console) for width in self.widths}
            for network in self.networks
        }
        self._report(name, found, rates, console)

    def _trained(self, network: Network, width: int, learning_rate: float, console: Console) -> xr.Dataset:
        """An ensemble's drifts, after all that they need is on disk."""
        path = self.train_in(f"{network}-{width}", self.run(network, width, learning_rate), console, EXECUTION)
        return ntk_of_run(StoredRun(path), self.data[0], self.samples, path / "ntk", console)[["drift", "mean_drift"]]

    def _report(
        self, name: str, found: Mapping[str, Mapping[int, xr.Dataset]], rates: Mapping[str, float], console: Console
    ) -> None:
        title = f"NTKs of wider networks move less: {self.members} networks a width, trained on {self.train} 8×8 digits"
        laws = {network: drift_laws(by_width) for network, by_width in found.items()}
        written = save_figure(drift_figure(found, laws, NAMES, title), self.output / name)
        write_json(self.output / "summary.json", summary(found, laws, rates))
        console.print(table(found))
        for network in found:
            print_plain(console, exponents(network, laws[network]))
        files = ", ".join(map(str, (*written, self.output / "summary.json")))
        print_plain(console, f"written: {files}")


def _positive(rate: float) -> float:
    if not 0 < rate < math.inf:
        raise ValueError(f"a rate is {rate!r}")
    return rate


def summary(
    found: Mapping[str, Mapping[int, xr.Dataset]], laws: Mapping[str, DriftLaws], rates: Mapping[str, float]
) -> dict[str, dict]:
    """Exponents with intervals, None where there is no drift to fit, and drifts after the last step, by network."""
    return {
        network: {
            "learning_rate": rates[network],
            "steps": next(iter(by_width.values())).step.values.tolist(),
            "widths": list(by_width),
            "fitted_widths": list(by_width)[-FITTED:],
            "level_of_intervals": LEVEL,
            "fit_of_members": (members := laws[network].of_members) and members._asdict(),
            "fit_of_mean_kernel": (mean := laws[network].of_mean) and mean._asdict(),
            "drift_of_members": last_drifts(by_width).tolist(),
            "drift_of_mean_kernel": [float(each.mean_drift[-1]) for each in by_width.values()],
        }
        for network, by_width in found.items()
    }


def table(found: Mapping[str, Mapping[int, xr.Dataset]]) -> Table:
    """Drift after the last step, a row for each width."""
    made = table_of("width", *found, numbers=("width", *found), title="Drift of the NTK after the last step")
    for row, width in enumerate(next(iter(found.values()))):
        made.add_row(str(width), *(f"{last_drifts(by_width)[row].mean():.3g}" for by_width in found.values()))
    return made


def exponents(network: str, laws: DriftLaws) -> str:
    """The fitted power laws, for people."""
    members = "no drift to fit" if laws.of_members is None else laws.of_members.text
    mean = "no drift to fit" if laws.of_mean is None else laws.of_mean.exponent_text
    of = f"of the {FITTED} largest widths, if there are as many; interval: {LEVEL:.0%}"
    return f"{network}: exponent of the members' drift {members}, of the mean kernel's {mean} ({of})"
