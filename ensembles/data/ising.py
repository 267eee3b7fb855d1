"""Spin pictures of the two-dimensional Ising model near its critical temperature."""

import math

import numpy as np
from jaxtyping import Int

from ensembles.data.dataset import Dataset, standardise_each

CRITICAL_TEMPERATURE = 2 / math.log(1 + math.sqrt(2))


def ising(
    samples: int, size: int, temperature: float = CRITICAL_TEMPERATURE, seed: int = 0, sweeps: int = 200
) -> Dataset:
    """Configurations of size × size spins on the torus, one independent chain each (units J = k_B = 1).

    Raises ValueError for an odd size (the checkerboard update needs an even one) or a temperature that is not positive.
    """
    if size < 2 or size % 2:
        raise ValueError(f"ising: size is {size}; the checkerboard update needs an even size ≥ 2")
    if not temperature > 0:
        raise ValueError(f"ising: temperature is {temperature}; it must be positive")
    spins = heat_bath(np.random.default_rng(seed), samples, size, temperature, sweeps)
    provenance = f"Ising model, {size}×{size}, T = {temperature:.4f} J/k_B, {sweeps} heat-bath sweeps"
    return Dataset("ising", standardise_each(spins[..., None].astype(np.float32)), None, (), provenance)


def heat_bath(
    rng: np.random.Generator, samples: int, size: int, temperature: float, sweeps: int
) -> Int[np.ndarray, "sample row column"]:
    """Spins ±1 after `sweeps` heat-bath sweeps from a random start, black and white squares in turn."""
    spins = rng.choice([-1, 1], size=(samples, size, size))
    black = np.add.outer(np.arange(size), np.arange(size)) % 2 == 0
    for _ in range(sweeps):
        for colour in (black, ~black):
            field = sum(np.roll(spins, shift, axis) for shift in (-1, 1) for axis in (1, 2))
            up = rng.random(spins.shape) < (1 + np.tanh(field / temperature)) / 2
            spins = np.where(colour, np.where(up, 1, -1), spins)
    return spins
