"""Ising spins and their energies: exact enumeration, the exact solution, closed forms."""

import math
from itertools import product

import numpy as np
import pytest

from widesym.ensembles.data import DataError, Dataset
from widesym.ensembles.data.generators.ising import (
    CRITICAL_TEMPERATURE,
    IsingEnergies,
    at_temperature,
    continuous_spins,
    energy_per_site,
    swendsen_wang,
)


def within(found, expected, standard_error, times=5):
    assert abs(found - expected) < times * standard_error, (found, expected, standard_error)


def all_states(size):
    return np.array(list(product((-1, 1), repeat=size**2))).reshape(-1, size, size)


def boltzmann(states, temperature):
    weights = np.exp(-states[0].size * (energy_per_site(states) + 2) / temperature)
    return weights / weights.sum()


@pytest.mark.parametrize("size", [3, 4])
@pytest.mark.parametrize("temperature", [1.5, CRITICAL_TEMPERATURE, 5.0])
def test_spins_have_boltzmanns_moments(size, temperature):
    """Energy, its square and |magnetisation| against the sum over all 2^9 or 2^16 states, to 5 standard errors."""
    states = all_states(size)
    weights = boltzmann(states, temperature)
    spins = swendsen_wang(np.random.default_rng(0), np.full(4000, temperature), size, 30)
    for observable in (
        energy_per_site,
        lambda spins: energy_per_site(spins) ** 2,
        lambda spins: abs(spins.mean((1, 2))),
    ):
        levels = observable(states)
        exact = weights @ levels
        within(observable(spins).mean(), exact, math.sqrt((weights @ (levels - exact) ** 2) / len(spins)))
    within(spins.mean(), 0, 1 / math.sqrt(len(spins)))  # whole lattices turn over: at most 1 from one sample


def kaufman_energy(size, temperature):
    """Exact energy per site of the size × size torus: Kaufman 1949, doi:10.1103/PhysRev.76.1232, eq. 51."""

    def log_partition(K):
        angle = np.pi * np.arange(2 * size) / size
        gamma = np.arccosh(np.cosh(2 * K) / np.tanh(2 * K) - np.cos(angle))
        gamma[0] = 2 * K + np.log(np.tanh(K))
        odd, even = size / 2 * gamma[1::2], size / 2 * gamma[::2]
        products = [np.prod(2 * function(x)) for x in (odd, even) for function in (np.cosh, np.sinh)]
        return size**2 / 2 * np.log(2 * np.sinh(2 * K)) + np.log(sum(products) / 2)

    K, step = 1 / temperature, 1e-5
    return -(log_partition(K + step) - log_partition(K - step)) / (2 * step) / size**2


def test_spins_equilibrate_at_the_critical_temperature():
    """Energy of 16 × 16 spins, by default updates, against the exact solution, itself held against all states first."""
    states = all_states(4)
    enumerated = boltzmann(states, CRITICAL_TEMPERATURE) @ energy_per_site(states)
    # The central difference's own error: step² and rounding/step, both below 1e-8.
    assert abs(kaufman_energy(4, CRITICAL_TEMPERATURE) - enumerated) < 1e-7
    energies = IsingEnergies(16, 600, 1).load().train.values
    within(energies.mean(), kaufman_energy(16, CRITICAL_TEMPERATURE), energies.std() / math.sqrt(600))


def test_samples_take_turns_at_the_temperatures():
    energies = IsingEnergies(6, 400, 2, (1.0, math.inf), updates=20).load().train.values.reshape(-1, 2)
    assert (energies[:, 0] < -1.6).all()  # at T = 1 the mean is −1.997
    within(energies[:, 1].mean(), 0, math.sqrt(2 / 36 / 200))  # 2N independent bonds of variance 1
    assert IsingEnergies(4, 1, 1, [2.0]) == IsingEnergies(4, 1, 1, (2.0,))  # as JSON gives it back


def test_chunks_are_independent(monkeypatch):
    # The function `ising` hides its module from names with dots.
    monkeypatch.setitem(swendsen_wang.__globals__, "SITES_AT_ONCE", 5 * 16)
    spins = swendsen_wang(np.random.default_rng(0), np.full(23, 2.0), 4, 3)
    assert spins.shape == (23, 4, 4)
    assert len(np.unique(spins.reshape(23, -1), axis=0)) > 10


def test_energy_in_closed_form():
    up = np.ones((1, 6, 6))
    flipped = up.copy()
    flipped[0, 2, 3] = -1
    checkered = np.indices((6, 6)).sum(0)[None] % 2 * 2 - 1
    stripes = np.indices((6, 6))[0][None] % 2 * 2 - 1
    found = [energy_per_site(spins)[0] for spins in (up, flipped, checkered, stripes, up / 2)]
    np.testing.assert_allclose(found, [-2, -2 + 8 / 36, 2, 0, -0.5], rtol=1e-12)  # rounding of a mean


def test_energy_is_invariant_under_the_square_and_shifts():
    spins = np.random.default_rng(0).standard_normal((5, 6, 6))
    energies = energy_per_site(spins)
    for turned in (np.rot90(spins, 1, (1, 2)), spins[:, ::-1], spins.swapaxes(1, 2), np.roll(spins, (2, 1), (1, 2))):
        # Sums in another order.
        np.testing.assert_allclose(energy_per_site(turned), energies, rtol=1e-12, atol=1e-13)


def test_ising_sets_hold_spins_and_their_energies():
    train, test = IsingEnergies(4, 30, 10, updates=5).load()
    assert (train.inputs.shape, test.inputs.shape) == ((30, 4, 4, 1), (10, 4, 4, 1))
    assert set(np.unique(train.inputs)) == {-1, 1}
    # Multiples of 1/8, exact in float32.
    np.testing.assert_array_equal(train.values[:, 0], energy_per_site(train.inputs[..., 0]))
    assert [(quantity.name, quantity.unit) for quantity in train.quantities] == [("energy per site", "J")]
    assert "4×4, T = 2.2692 J/k_B, 5 Swendsen-Wang updates" in train.provenance


@pytest.mark.parametrize(("law", "variance", "excess"), [("uniform", 1 / 3, -1.2), ("normal", 1, 0)])
def test_continuous_spins_have_their_laws_moments(law, variance, excess):
    like = IsingEnergies(6, 2, 1, updates=1).load().train
    data = continuous_spins(like, 2000, law=law)
    spins, energies = data.inputs.astype(float), data.values.astype(float)
    assert spins.shape == (2000, 6, 6, 1)
    # float32 spins of order one; sums of 72 products.
    np.testing.assert_allclose(energies[:, 0], energy_per_site(spins[..., 0]), atol=1e-5)
    within(spins.mean(), 0, math.sqrt(variance / spins.size))
    within(spins.var(), variance, variance * math.sqrt((2 + excess) / spins.size))  # Var s² = (2 + excess) variance²
    within(energies.mean(), 0, variance * math.sqrt(2 / 36 / 2000))  # 2N uncorrelated bonds of variance σ⁴
    assert (abs(spins).max() <= 1) == (law == "uniform")


def test_probes_do_not_share_the_draws_of_their_training_set():
    """Though both have seed 0 and the same temperature."""
    spins = IsingEnergies(4, 50, 1, updates=5).load().train
    probe = at_temperature(spins, 50, temperature=CRITICAL_TEMPERATURE, updates=5)
    assert np.mean((probe.inputs == spins.inputs).all((1, 2, 3))) < 0.5


def test_spins_at_another_temperature():
    like = IsingEnergies(4, 2, 1, updates=1).load().train
    hot = at_temperature(like, 3000, temperature=8.0)
    states = all_states(4)
    weights, levels = boltzmann(states, 8.0), energy_per_site(states)
    exact = weights @ levels
    within(hot.values.mean(), exact, math.sqrt(weights @ (levels - exact) ** 2 / 3000))
    assert hot.name == "ising at T = 8"
    assert at_temperature(like, 1).provenance.startswith("Ising model, 4×4, T = 4.5384 J/k_B")  # twice the critical one


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IsingEnergies(1, 2, 2), "IsingEnergies: size is 1; it must be at least 2"),
        (lambda: IsingEnergies(4, 0, 2), "IsingEnergies: train is 0; it must be a positive integer"),
        (lambda: IsingEnergies(4, 1, 2, updates=0), "updates is 0"),
        (lambda: IsingEnergies(4, 1, 2, (2.0, -1.0)), r"temperatures are \(2.0, -1.0\); there must be some, all posit"),
        (lambda: IsingEnergies(4, 1, 2, ()), r"temperatures are \(\)"),
        (lambda: IsingEnergies(4, 1, 2, (math.nan,)), r"temperatures are \(nan,\)"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("probe", "shape", "error", "message"),
    [
        (at_temperature, (4, 5, 1), DataError, r"set: inputs have shape \(4, 5, 1\); spins are square pictures"),
        (continuous_spins, (4, 4, 2), DataError, r"inputs have shape \(4, 4, 2\)"),
        (continuous_spins, (4,), DataError, r"inputs have shape \(4,\)"),
        (lambda data, n: at_temperature(data, n, temperature=0), (4, 4, 1), ValueError, "at_temperature: temperature"),
        (lambda data, n: continuous_spins(data, n, law="beta"), (4, 4, 1), ValueError, "law is 'beta'; it must be one"),
        (lambda data, n: at_temperature(data, 0), (4, 4, 1), ValueError, "samples is 0; it must be a positive integer"),
        (lambda data, n: continuous_spins(data, 0), (4, 4, 1), ValueError, "samples is 0"),
    ],
)
def test_probes_refuse_what_they_cannot_be_like(probe, shape, error, message):
    data = Dataset("set", np.ones((2, *shape), np.float32), None, (), "made up")
    with pytest.raises(error, match=message):
        probe(data, 3)
