"""How often the estimators' 95 % intervals hold the truth, by simulation of ensembles whose truth is known.

    python -m examples.coverage                          # 400 repetitions; some ten minutes on two cores
    python -m examples.coverage --members 16 --repetitions 100 --output /tmp/coverage.csv

Writes docs/figures/coverage.csv and prints it. Logits of 8 samples and 2 logits are mixtures of independent factors:
normal, products of two normals (heavy tails, as of networks' outputs), or skewed (exponential); in one, three or all
sixteen directions. `signal` is ‖δ‖² over the noise tr S_A/M_A + tr S_B/M_B; B is half as large as A, or theory, or
*paired* with A: as large, its members sharing nine tenths of their variance with A's, of which differences are free.
Exponents are of widths whose members are independent, or share as much.
"""

import csv
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import tyro
from rich.progress import track

from widesym.analysis.estimators.calibration import calibration
from widesym.analysis.estimators.differences import Differences, LogitsPart
from widesym.analysis.estimators.divergence import divergence_interval, squared_divergence_interval
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import EstimatedMean, estimate_mean
from widesym.analysis.estimators.widths import width_scaling

SAMPLES, LOGITS = 8, 2
ENTRIES = SAMPLES * LOGITS
DISTRIBUTIONS, DIRECTIONS, SIGNALS = ("normal", "product", "skewed"), ("one", "three", "many"), (0, 1, 25)
WIDTHS, EXPONENT = (32, 64, 128, 256), -1.0
SHARED = 0.9  # of the variance, where members share randomness
ZERO = np.zeros((SAMPLES, LOGITS))
HEADER = ("members", "distribution", "directions", "against", "interval", "signal", "repetitions", "coverage_percent")


@dataclass(frozen=True)
class Coverage:
    """Simulate the coverage of intervals."""

    members: tuple[int, ...] = (16, 64, 256)
    """Sizes of ensembles."""
    repetitions: int = 400
    """Ensembles per case."""
    workers: int = 2
    """Processes."""
    output: Path = Path("docs/figures/coverage.csv")
    """Where the numbers go."""


class Population(NamedTuple):
    """What members are drawn from."""

    members: int
    distribution: str
    directions: str


class Row(NamedTuple):
    """What was compared with which, and how often the interval held the truth."""

    against: str
    interval: str
    signal: int
    repetitions: int
    covered: float


def main() -> None:
    options = tyro.cli(Coverage)
    populations = [Population(*each) for each in product(options.members, DISTRIBUTIONS, DIRECTIONS)]
    rows = []
    with ProcessPoolExecutor(options.workers, get_context("spawn")) as pool:
        found = pool.map(partial(coverages, repetitions=options.repetitions), populations)
        for population, each in track(zip(populations, found, strict=True), "populations", len(populations)):
            rows += [(*population, *row[:4], f"{100 * row.covered:.1f}") for row in each]
    with options.output.open("w", newline="") as file:
        csv.writer(file).writerows([HEADER, *rows])
    print(options.output.read_text())


def coverages(population: Population, repetitions: int) -> list[Row]:
    """All intervals of one population; of exponents, which take as long as all others, a quarter of the repetitions."""
    compared = ("pair", "theory", "paired")
    rows = [row for against in compared for row in distances_covered(population, against, repetitions)]
    rows.append(Row("theory", "rms z", 0, repetitions, rms_covered(population, repetitions)))
    fewer = max(1, repetitions // 4)
    for kind, shared in (("exponent", 0.0), ("exponent, shared", SHARED)):
        rows += [Row("theory", kind, s, fewer, exponent_covered(population, s, fewer, shared)) for s in (25, 400)]
    return rows


def distances_covered(population: Population, against: str, repetitions: int) -> list[Row]:
    """How often the intervals of E[D] and of ‖δ‖² hold them, for each signal."""
    noise = noise_of(population, against)
    deltas = [profile() * np.sqrt(signal * noise) for signal in SIGNALS]
    expected = [expected_distance(population, against, delta) for delta in deltas]
    inside = np.zeros((2, len(SIGNALS)))
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        centred, b = held_against(rng, population, against)
        for i, signal in enumerate(SIGNALS):
            a = centred._replace(mean=centred.mean + deltas[i])
            inside[0, i] += holds(divergence_interval(a, b), expected[i])
            inside[1, i] += holds(squared_divergence_interval(a, b), signal * noise)
    return [
        Row(against, name, signal, repetitions, count / repetitions)
        for name, counts in zip(("divergence", "squared divergence"), inside, strict=True)
        for signal, count in zip(SIGNALS, counts, strict=True)
    ]


def held_against(rng: np.random.Generator, population: Population, against: str) -> tuple[EstimatedMean, EstimatedMean]:
    """An ensemble and what it is compared with, or differences and zero; no expectations differ."""
    if against == "paired":
        common, members = common_part(rng, population, SHARED), np.arange(population.members)
        both = (sharing(rng, population, common, SHARED)[None] for _ in range(2))
        parts = (LogitsPart(logits, (0,), members, (slice(0, SAMPLES),)) for logits in both)
        return estimate_mean(EnsembleLogits(Differences(*parts)), 0, seed=int(rng.integers(2**32))), theory()
    a = estimated(rng, population, ZERO)
    return a, estimated(rng, smaller(population), ZERO) if against == "pair" else theory()


def theory() -> EstimatedMean:
    """A mean that is known to be zero."""
    return EstimatedMean.exact(ZERO)


def smaller(population: Population) -> Population:
    """That of B."""
    return population._replace(members=max(8, population.members // 2))


def noise_of(population: Population, against: str) -> float:
    """E mean_x ‖m_A − m_B‖² where the expectations are equal."""
    if against == "paired":
        return 2 * (1 - SHARED) / population.members
    return 1 / population.members + (1 / smaller(population).members if against == "pair" else 0)


def holds(interval: tuple[float | None, float | None], truth: float) -> bool:
    """Whether the truth lies in it; an end that is None is open."""
    low, high = interval
    return (low is None or low <= truth) and (high is None or truth <= high)


def rms_covered(population: Population, repetitions: int) -> float:
    """How often the root mean square of z lies where it should without bias."""
    zero = np.zeros((SAMPLES, LOGITS))
    found = [calibration(estimated(np.random.default_rng(seed), population, zero), zero) for seed in range(repetitions)]
    return float(np.mean([holds(each.rms_interval, each.rms) for each in found]))


def exponent_covered(population: Population, signal: int, repetitions: int, shared: float = 0.0) -> float:
    """How often the interval of the bias's exponent holds it, among those where a law was fitted.

    The squared bias is `signal` times the noise at the least width. Of the members' variance so much is `shared` by
    those of all widths; then the draws of the means belong together, as those of one seed do.
    """
    inside = []
    for seed in range(repetitions):
        rng, delta = np.random.default_rng(seed), profile() * np.sqrt(signal / population.members)
        common, means = common_part(rng, population, shared), {}
        for width in WIDTHS:
            logits = sharing(rng, population, common, shared) + delta * (width / WIDTHS[0]) ** EXPONENT
            own = int(rng.integers(2**32))
            means[width] = estimate_mean(EnsembleLogits(logits[None]), 0, seed=seed if shared else own)
        fit = width_scaling(means, ZERO, dict.fromkeys(WIDTHS, "shared" if shared else "")).bias_fit
        if fit is not None:
            inside.append(holds(fit.interval, EXPONENT))
    return float(np.mean(inside)) if inside else float("nan")


def estimated(rng: np.random.Generator, population: Population, shift: np.ndarray, draws: int = 200) -> EstimatedMean:
    """The mean of one simulated ensemble."""
    logits = ensemble(rng, population) + shift
    return estimate_mean(EnsembleLogits(logits[None]), 0, draws, seed=int(rng.integers(2**32)))


def expected_distance(population: Population, against: str, delta: np.ndarray) -> float:
    """E mean_x ‖δ + noise‖, to about half a percent."""
    if against == "paired":
        noise = np.sqrt(1 - SHARED) * (errors(population, 1) - errors(population, 2))
    else:
        noise = errors(population, 1) - (errors(smaller(population), 2) if against == "pair" else 0)
    return float(np.linalg.norm(delta + noise, axis=-1).mean())


@cache
def errors(population: Population, seed: int, draws: int = 10_000) -> np.ndarray:
    """Draws of an ensemble's mean [draw, sample, logit]."""
    rng = np.random.default_rng((2**40, seed))
    return np.stack([ensemble(rng, population).mean(0) for _ in range(draws)])


def ensemble(rng: np.random.Generator, population: Population) -> np.ndarray:
    """Logits [member, sample, logit] of expectation zero and mean_x tr S = 1."""
    mixing = directions(population.directions)
    shape = (population.members, ENTRIES)
    factors = rng.exponential(size=shape) - 1 if population.distribution == "skewed" else rng.standard_normal(shape)
    if population.distribution == "product":
        factors = factors * rng.standard_normal(shape)
    return (factors @ mixing).reshape(-1, SAMPLES, LOGITS)


def common_part(rng: np.random.Generator, population: Population, shared: float) -> np.ndarray:
    """What the logits of members of one number have in common: so much of their variance."""
    return np.sqrt(shared) * ensemble(rng, population) if shared else ZERO


def sharing(rng: np.random.Generator, population: Population, common: np.ndarray, shared: float) -> np.ndarray:
    """Logits of an ensemble that has this part in common with others."""
    return common + np.sqrt(1 - shared) * ensemble(rng, population)


@cache
def directions(kind: str) -> np.ndarray:
    """[factor, entry]: orthogonal directions of variances given; of one and three, 2 % of it in all the others."""
    few = {"one": [1.0], "three": [1.0, 0.6, 0.3], "many": [1.0] * ENTRIES}[kind]
    rest = ENTRIES - len(few)
    variances = np.array([*few, *[0.02 * sum(few) / max(1, rest)] * rest])
    rotation, _ = np.linalg.qr(np.random.default_rng(5).standard_normal((ENTRIES, ENTRIES)))
    return np.sqrt(variances * SAMPLES / variances.sum())[:, None] * rotation


def profile() -> np.ndarray:
    """A direction of δ [sample, logit], of mean square 1, none of the noise's."""
    delta = np.random.default_rng(9).standard_normal((SAMPLES, LOGITS))
    return delta / np.sqrt((delta**2).sum(-1).mean())


if __name__ == "__main__":
    main()
