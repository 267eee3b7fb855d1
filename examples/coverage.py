"""How often the estimators' 95 % intervals hold the truth, by simulation of ensembles whose truth is known.

    python -m examples.coverage                          # 400 repetitions; six minutes on two busy cores
    python -m examples.coverage --members 16 --repetitions 100 --output /tmp/coverage.csv

Writes docs/figures/coverage.csv and prints it. Logits of 8 samples and 2 logits are mixtures of independent factors:
normal, products of two normals (heavy tails, as of networks' outputs), or skewed (exponential); in one, three or all
sixteen directions. `signal` is ‖δ‖² over the noise tr S_A/M_A + tr S_B/M_B; B is half as large as A, or theory.
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

from analysis.calibration import calibration
from analysis.divergence import divergence_interval, squared_divergence_interval
from analysis.ensemble_logits import EnsembleLogits
from analysis.resampling import EstimatedMean, estimate_mean
from analysis.width_scaling import width_scaling

SAMPLES, LOGITS = 8, 2
ENTRIES = SAMPLES * LOGITS
DISTRIBUTIONS, DIRECTIONS, SIGNALS = ("normal", "product", "skewed"), ("one", "three", "many"), (0, 1, 25)
WIDTHS, EXPONENT = (32, 64, 128, 256), -1.0
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
    rows = [row for against in ("pair", "theory") for row in distances_covered(population, against, repetitions)]
    rows.append(Row("theory", "rms z", 0, repetitions, rms_covered(population, repetitions)))
    fewer = max(1, repetitions // 4)
    return [*rows, *(Row("theory", "exponent", s, fewer, exponent_covered(population, s, fewer)) for s in (25, 400))]


def distances_covered(population: Population, against: str, repetitions: int) -> list[Row]:
    """How often the intervals of E[D] and of ‖δ‖² hold them, for each signal."""
    others = population._replace(members=max(8, population.members // 2)) if against == "pair" else None
    noise, zero = 1 / population.members + (1 / others.members if others else 0), np.zeros((SAMPLES, LOGITS))
    deltas = [profile() * np.sqrt(signal * noise) for signal in SIGNALS]
    expected = [expected_distance(population, others, delta) for delta in deltas]
    inside = np.zeros((2, len(SIGNALS)))
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        centred = estimated(rng, population, zero)
        b = estimated(rng, others, zero) if others else EstimatedMean.exact(zero)
        for i, signal in enumerate(SIGNALS):
            a = centred._replace(mean=centred.mean + deltas[i])
            inside[0, i] += holds(divergence_interval(a, b), expected[i])
            inside[1, i] += holds(squared_divergence_interval(a, b), signal * noise)
    return [
        Row(against, name, signal, repetitions, count / repetitions)
        for name, counts in zip(("divergence", "squared divergence"), inside, strict=True)
        for signal, count in zip(SIGNALS, counts, strict=True)
    ]


def holds(interval: tuple[float | None, float | None], truth: float) -> bool:
    """Whether the truth lies in it; an end that is None is open."""
    low, high = interval
    return (low is None or low <= truth) and (high is None or truth <= high)


def rms_covered(population: Population, repetitions: int) -> float:
    """How often the root mean square of z lies where it should without bias."""
    zero = np.zeros((SAMPLES, LOGITS))
    found = [calibration(estimated(np.random.default_rng(seed), population, zero), zero) for seed in range(repetitions)]
    return float(np.mean([holds(each.rms_interval, each.rms) for each in found]))


def exponent_covered(population: Population, signal: int, repetitions: int) -> float:
    """How often the interval of the bias's exponent holds it, among those where a law was fitted.

    The squared bias is `signal` times the noise at the least width.
    """
    inside = []
    for seed in range(repetitions):
        rng, delta = np.random.default_rng(seed), profile() * np.sqrt(signal / population.members)
        means = {width: estimated(rng, population, delta * (width / WIDTHS[0]) ** EXPONENT) for width in WIDTHS}
        fit = width_scaling(means, 0 * delta).bias_fit
        if fit is not None:
            inside.append(holds(fit.interval, EXPONENT))
    return float(np.mean(inside)) if inside else float("nan")


def estimated(rng: np.random.Generator, population: Population, shift: np.ndarray, draws: int = 200) -> EstimatedMean:
    """The mean of one simulated ensemble."""
    logits = ensemble(rng, population) + shift
    return estimate_mean(EnsembleLogits(logits[None]), 0, draws, seed=int(rng.integers(2**32)))


def expected_distance(population: Population, others: Population | None, delta: np.ndarray) -> float:
    """E mean_x ‖δ + noise‖, to about half a percent."""
    noise = errors(population, 1) - (errors(others, 2) if others else 0)
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
