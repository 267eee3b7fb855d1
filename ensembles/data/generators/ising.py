"""The two-dimensional Ising model on the torus: spin pictures, their energies, and spins that it does not make.

Spins s = ±1 on size × size sites with periodic boundaries have the energy per site

    E/N = −(J/N) Σ_⟨ij⟩ s_i s_j,

each of the 2N bonds counted once; it is invariant under the rotations and reflections of the square.
Units: J = k_B = 1.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from widesym.ensembles.data.dataset import DataError, Dataset, Quantity, Splits
from widesym.ensembles.data.streams import other_stream, stream
from widesym.models.checks import check_numbers, check_positive, check_seed

CRITICAL_TEMPERATURE = 2 / math.log(1 + math.sqrt(2))
ENERGY = Quantity("energy per site", "J")
MOST_UPDATES = 10**5
SITES_AT_ONCE = 2**20  # bounds the memory of the bonds to some 100 MB

Spins = Float[np.ndarray, "sample row column"] | Int[np.ndarray, "sample row column"]
Law = Literal["uniform", "normal"]


@dataclass(frozen=True)
class IsingEnergies:
    """Spins ±1, [sample, size, size, 1], and their energy per site in units of J (arXiv:2403.03103, experiments).

    Each sample is the end of a Markov chain of its own, `updates` Swendsen-Wang updates from a random start. Clusters
    equilibrate at the critical temperature, too: 50 updates are several relaxation times of the energy there up to
    size 128, where single spins would need about size^2.2 sweeps. Of several temperatures (in J/k_B; infinity makes
    independent spins), samples take turns. Raises ValueError for numbers out of range.
    """

    size: int
    train: int
    test: int
    temperatures: tuple[float, ...] = (CRITICAL_TEMPERATURE,)
    seed: int = 0
    updates: int = 50

    def __post_init__(self):
        for name in ("train", "test"):
            check_positive("IsingEnergies", name, getattr(self, name))
        check_seed(self.seed, "IsingEnergies: seed")
        check_positive("IsingEnergies", "size", self.size)
        if self.size < 2:
            raise ValueError(
                f"IsingEnergies: size is {self.size}; it must be at least 2, for a site to have neighbours"
            )
        check_positive("IsingEnergies", "updates", self.updates, MOST_UPDATES)
        for samples in (self.train, self.test):
            check_numbers("IsingEnergies", samples=samples, rows=self.size, columns=self.size)
        object.__setattr__(self, "temperatures", tuple(self.temperatures))
        if not self.temperatures or not all(temperature > 0 for temperature in self.temperatures):
            raise ValueError(f"IsingEnergies: temperatures are {self.temperatures}; there must be some, all positive")

    def load(self) -> Splits:
        """As many fresh samples as asked for, in two independent parts."""
        rng = stream(self.seed)
        sizes = {"train": self.train, "test": self.test}
        return Splits(*(self._part(rng, name, samples) for name, samples in sizes.items()))

    def _part(self, rng: np.random.Generator, name: str, samples: int) -> Dataset:
        temperatures = np.resize(self.temperatures, samples)
        spins = swendsen_wang(rng, temperatures, self.size, self.updates)
        return with_energies(name, spins, _provenance(self.size, self.temperatures, self.updates, self.seed))


def at_temperature(
    data: Dataset, samples: int, seed: int = 0, temperature: float = 2 * CRITICAL_TEMPERATURE, updates: int = 50
) -> Dataset:
    """Spins of the size that `data` has at another temperature, with their energies, as IsingEnergies makes them."""
    check_positive("at_temperature", "samples", samples)
    if not temperature > 0:
        raise ValueError(f"at_temperature: temperature is {temperature}; it must be positive")
    size = side(data)
    check_numbers("at_temperature", samples=samples, rows=size, columns=size)
    check_positive("at_temperature", "updates", updates, MOST_UPDATES)
    spins = swendsen_wang(other_stream(seed), np.full(samples, temperature), size, updates)
    return with_energies(f"ising at T = {temperature:.4g}", spins, _provenance(size, (temperature,), updates, seed))


def continuous_spins(data: Dataset, samples: int, seed: int = 0, law: Law = "uniform") -> Dataset:
    """Independent spins uniform in [−1, 1] or standard normal, of the size that `data` has, with the energy that the
    same formula gives them: no states of the model.
    """
    if law not in get_args(Law):
        raise ValueError(f"continuous_spins: law is {law!r}; it must be one of {', '.join(get_args(Law))}")
    check_positive("continuous_spins", "samples", samples)
    rng, shape = other_stream(seed), (samples, side(data), side(data))
    check_numbers("continuous_spins", samples=samples, rows=shape[1], columns=shape[2])
    spins = rng.uniform(-1, 1, shape) if law == "uniform" else rng.standard_normal(shape)
    return with_energies("continuous spins", spins, f"independent {law} spins, seed {seed}")


def energy_per_site(spins: Spins) -> Float[np.ndarray, " sample"]:
    """E/N = −(1/N) Σ_i s_i (s_right + s_below), in units of J."""
    return -np.mean(spins * (np.roll(spins, -1, 1) + np.roll(spins, -1, 2)), axis=(1, 2))


def swendsen_wang(
    rng: np.random.Generator, temperatures: Float[np.ndarray, " sample"], size: int, updates: int
) -> Int[np.ndarray, "sample row column"]:
    """Spins ±1, one chain for each temperature, all from random starts.

    An update joins equal neighbours with probability 1 − exp(−2J/k_B T) and gives every cluster so made a new random
    spin (Swendsen & Wang 1987, doi:10.1103/PhysRevLett.58.86).
    """
    at_once = max(1, SITES_AT_ONCE // size**2)
    chains = [temperatures[start : start + at_once] for start in range(0, len(temperatures), at_once)]
    return np.concatenate([_clusters_flipped(rng, part, size, updates) for part in chains])


def _clusters_flipped(
    rng: np.random.Generator, temperatures: Float[np.ndarray, " sample"], size: int, updates: int
) -> Int[np.ndarray, "sample row column"]:
    spins = rng.choice((-1, 1), (len(temperatures), size, size))
    sites = np.arange(spins.size).reshape(spins.shape)
    joining = -np.expm1(-2 / temperatures)[:, None, None]
    for _ in range(updates):
        here, there = [], []
        for axis in (1, 2):
            joined = (spins == np.roll(spins, -1, axis)) & (rng.random(spins.shape) < joining)
            here.append(sites[joined])
            there.append(np.roll(sites, -1, axis)[joined])
        bonds = np.concatenate(here), np.concatenate(there)
        graph = coo_array((np.ones(len(bonds[0]), bool), bonds), shape=(spins.size, spins.size))
        clusters, cluster = connected_components(graph, directed=False)
        spins = rng.choice((-1, 1), clusters)[cluster].reshape(spins.shape)
    return spins


def with_energies(name: str, spins: Spins, provenance: str) -> Dataset:
    """The spins as pictures of one channel, labelled with their energies."""
    values = energy_per_site(spins)[:, None].astype(np.float32)
    return Dataset(name, spins[..., None].astype(np.float32), None, (), provenance, values, (ENERGY,))


def _provenance(size: int, temperatures: tuple[float, ...], updates: int, seed: int) -> str:
    listed = ", ".join(f"{temperature:.4f}" for temperature in temperatures)
    return f"Ising model, {size}×{size}, T = {listed} J/k_B, {updates} Swendsen-Wang updates, seed {seed}"


def side(data: Dataset) -> int:
    """Of square pictures of one channel; raises DataError for others."""
    shape = data.inputs.shape[1:]
    if len(shape) != 3 or shape[0] != shape[1] or shape[2] != 1:
        raise DataError(f"{data.name}: inputs have shape {shape}; spins are square pictures of one channel, (N, N, 1)")
    return shape[0]
