"""Intervals of ensembles that share randomness hold what is true, and those that do not know of it do not.

Members f_A,k = g_k + a_k + δ and f_B,k = g_k + b_k have a part g_k in common; what is true of their means is δ. A rate
of 95 % of n repetitions scatters by 22 %/√n.
"""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from widesym.analysis.comparison import Compared
from widesym.analysis.comparison.pairing import pair_of
from widesym.analysis.estimators.divergence import divergence_by_size, squared_divergence_interval
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import EstimatedMean, estimate_mean, subset_means
from widesym.analysis.estimators.widths import width_scaling
from widesym.models import Architecture, Conv, Dense, Flatten, GroupPool, LiftingConv, Relu, cyclic

SAMPLES, LOGITS = 6, 3
WIDTHS = (16, 32, 64)


def compared(name, logits, shares):
    """Logits [member, sample, logit] at one time, on one set."""
    return Compared(
        name, EnsembleLogits(logits[None].astype(np.float32)), (0,), {"x": slice(0, len(logits[0]))}, shares=shares
    )


def estimates(a, b, seed, draws=100):
    """Of two ensembles as a comparison makes them: of their differences and zero where they share randomness."""
    pair = pair_of(a, b)
    ours = estimate_mean(pair.ours.logits, 0, draws, 2 * seed)
    if pair.theirs is None:
        return pair, ours, EstimatedMean.exact(np.zeros_like(ours.mean))
    return pair, ours, estimate_mean(pair.theirs.logits, 0, draws, 2 * seed + 1)


def interval(a, b, shares, seed):
    """Of ‖δ‖², with what the members' randomness is said to be."""
    both = (compared(name, logits, own) for name, logits, own in zip("ab", (a, b), shares, strict=True))
    _, *means = estimates(*both, seed)
    return squared_divergence_interval(*means)


def members(rng, count, own=0.3, common=None):
    """Of expectation zero: a part of scatter one, in common or not, and one of their own."""
    shape = (count, SAMPLES, LOGITS)
    return (rng.standard_normal(shape) if common is None else common) + own * rng.standard_normal(shape)


def covered(intervals, truth):
    return np.mean([low <= truth <= high for low, high in intervals])


@pytest.mark.parametrize("signal", [0, 1])
def test_intervals_of_pairs_hold_the_difference_and_others_do_not(signal):
    """‖δ‖² is none, or as large as the noise of the mean difference; 300 repetitions place a rate to 1.3 %."""
    repetitions, count = 300, 16
    truth = signal * 2 * 0.3**2 * LOGITS / count
    found = {True: [], False: []}
    for seed in range(repetitions):
        rng = np.random.default_rng(seed)
        common = rng.standard_normal((count, SAMPLES, LOGITS))
        a, b = (members(rng, count, common=common) for _ in range(2))
        a = a + math.sqrt(truth / LOGITS)
        for is_known in found:
            found[is_known].append(interval(a, b, ("s", "s" if is_known else "t"), seed))
    assert covered(found[True], truth) > 0.95 - 4 * 0.013
    # As if independent: T lies below what the noise that is taken for theirs makes of it, and the interval below zero.
    assert covered(found[False], truth) < 0.05 + 4 * 0.013
    assert np.mean([high < 0 for _, high in found[False]]) > 0.9


def test_a_small_difference_is_seen_in_pairs_alone():
    """A hundredth of the members' scatter: three times the noise of pairs that have 0.02 of their own.

    64 members: the mean difference is known to 0.02·√2/8 = 0.0035 an entry, of which there are 18, against 0.18 where
    members are independent. An interval of 95 % lies above zero in one of forty, of twenty in five or more once in 10⁴.
    """
    seen = {"pairs": 0, "independent": 0}
    for seed in range(20):
        rng = np.random.default_rng(seed)
        a, other = (members(rng, 64, own=0.02) for _ in range(2))
        b = a + 0.02 * math.sqrt(2) * rng.standard_normal(a.shape)
        seen["pairs"] += interval(a + 0.01, b, ("s", "s"), seed)[0] > 0
        seen["independent"] += interval(a + 0.01, other, ("s", "t"), seed)[0] > 0
    assert seen["pairs"] == 20
    assert seen["independent"] < 5


def test_bands_by_size_hold_new_pairs_of_that_size():
    """And those of sub-ensembles drawn apart do not: D of 8 pairs is a third of what their bands are about.

    40 ensembles of 64, each with 25 new ones of 8 pairs: 1,000, which place a rate to 0.7 %; a band's own ends, of one
    ensemble's scatter of 63 degrees, move by 9 % of its half width, so that rates lie a few percent about 95.
    """
    size, inside = 8, {True: [], False: []}
    for seed in range(40):
        rng = np.random.default_rng(seed)
        common = rng.standard_normal((64, SAMPLES, LOGITS))
        a, b = (members(rng, 64, common=common) for _ in range(2))
        new = 0.3 * math.sqrt(2 / size) * rng.standard_normal((25, SAMPLES, LOGITS)) + 0.05
        distances = np.linalg.norm(new, axis=-1).mean(-1)
        for is_known in inside:
            both = (compared("a", a + 0.05, "s"), compared("b", b, "s" if is_known else "t"))
            pair, *means = estimates(*both, seed)
            ours = subset_means(pair.ours.logits, 0, [size], seed=2 * seed)
            zero = [np.zeros((1, SAMPLES, LOGITS))]
            theirs = zero if pair.theirs is None else subset_means(pair.theirs.logits, 0, [size], seed=2 * seed + 1)
            (band,) = divergence_by_size(*means, [size], zip(ours, theirs, strict=True)).band
            inside[is_known].append(((band[0] <= distances) & (distances <= band[1])).mean())
    assert 0.91 < np.mean(inside[True]) < 0.985
    assert np.mean(inside[False]) < 0.05


def series(seed, sign):
    """Means by width of ensembles with bias ∝ 1/width, and what the members have in common.

    The bias is ten times the noise at the largest of three widths, and along it; the part that members have in common
    enters the smallest width with this sign.
    """
    profile = np.random.default_rng(9).standard_normal((SAMPLES, LOGITS))
    profile /= np.sqrt((profile**2).sum(-1).mean())
    rng, means = np.random.default_rng(seed), {}
    common = rng.standard_normal((32, 1, 1))
    for index, width in enumerate(WIDTHS):
        bias = 10 / math.sqrt(32) * WIDTHS[-1] / width
        logits = (bias + (sign if index == 0 else 1) * common) * profile + members(rng, 32, own=0.1, common=0)
        means[width] = estimate_mean(EnsembleLogits(logits[None].astype(np.float32)), 0, seed=seed)
    return means, common


def exponent_fit(means, shares):
    fit = width_scaling(means, np.zeros((SAMPLES, LOGITS)), dict.fromkeys(WIDTHS, shares)).bias_fit
    assert fit is not None
    return fit


@pytest.mark.parametrize("sign", [1, -1])
def test_exponents_over_widths_that_share_members_know_how_errors_belong_together(sign):
    """Intervals are as wide as errors make them that are common to all widths, or independent of each other.

    To first order: α = ½ Σ w_i (x_i − x̄) ε_i/Σ w_i (x_i − x̄)², x = log width, with ε_i = 2e/c_i the relative errors of
    the squared biases c_i², and weights w_i ∝ c_i². Common errors make this narrower if of one sign, and wider if the
    smallest width's is the other one's. Quantiles of 400 draws are known to 7 %, the second order is a tenth.
    """
    x, c = np.log(WIDTHS), 10 / math.sqrt(32) * WIDTHS[-1] / np.array(WIDTHS)
    apart = x - np.average(x, weights=c**2)
    terms = c**2 * apart * np.array([sign, 1, 1]) / c / (c**2 * apart**2).sum()
    for seed in range(3):
        means, common = series(seed, sign)
        error = common.std(ddof=1) / math.sqrt(32)
        for shares, size in {"s": abs(terms.sum()), "": math.sqrt((terms**2).sum())}.items():
            low, high = exponent_fit(means, shares).interval
            np.testing.assert_allclose((high - low) / (2 * 1.96), size * error, rtol=0.2)


@pytest.mark.slow
@pytest.mark.parametrize(("sign", "unknown"), [(1, (0.9, 1)), (-1, (0.5, 0.86))])
def test_exponents_over_widths_that_share_members_are_held(sign, unknown):
    """95 % of 150 repetitions scatters by 1.8 %; of 71 %, as of intervals 0.57 times as wide, by 3.7."""
    found = {"s": [], "": []}
    for seed in range(150):
        means, _ = series(seed, sign)
        for shares, intervals in found.items():
            intervals.append(exponent_fit(means, shares).interval)
    assert covered(found["s"], -1) > 0.95 - 4 * 0.018
    assert unknown[0] <= covered(found[""], -1) <= unknown[1]


SHAPE = (4, 4, 1)
HIDDEN = {"size": 4, "padding": "VALID", "w_std": 2**0.5}
READ_OUT = Dense(10)


def cnn(width):
    return Architecture((Conv(width, **HIDDEN), Relu(), Flatten(), READ_OUT))


def gcnn(width):
    return Architecture((LiftingConv(cyclic(4), width, **HIDDEN), Relu(), GroupPool(), READ_OUT))


def mlp(width):
    return Architecture((Flatten(), Dense(width, w_std=2**0.5), Relu(), READ_OUT))


def untrained(architecture, seed, count):
    """Logits of members that take all their randomness from the seed and their number, whatever the architecture.

    Read-outs are as likely as their negatives, so that the expectation is zero.
    """
    x = np.random.default_rng(0).standard_normal((4, *SHAPE)).astype(np.float32)

    @jax.jit
    def member(number):
        key = jax.random.fold_in(jax.random.key(seed), number)
        return architecture.apply(architecture.init(key, SHAPE), jnp.asarray(x))

    return np.asarray(jax.lax.map(member, jnp.arange(count), batch_size=200))


def correlation(a, b):
    return (a * b).mean() / np.sqrt((a**2).mean() * (b**2).mean())


def rates(a, b, shares, count):
    """How often zero, which is true, is held, and how often the interval lies below it."""
    parts = [np.split(each, len(each) // count) for each in (a, b)]
    found = [interval(*both, shares, seed) for seed, both in enumerate(zip(*parts, strict=True))]
    return covered(found, 0), np.mean([high < 0 for _, high in found])


@pytest.fixture(scope="module")
def networks():
    kinds = {"CNN": cnn(4), "group-CNN": gcnn(4), "wide CNN": cnn(8)}
    return {name: untrained(each, 0, 1600) for name, each in kinds.items()} | {
        "other seed": untrained(gcnn(4), 1, 1600)
    }


def test_networks_of_one_seed_are_compared_in_pairs(networks):
    """100 ensembles of 16: 95 % scatters by 2.2 %, and is 93 % of networks as narrow as these (400 ensembles)."""
    assert correlation(networks["CNN"], networks["group-CNN"]) > 0.5
    assert abs(correlation(networks["CNN"], networks["other seed"])) < 4 / math.sqrt(1600)
    for name in ("group-CNN", "wide CNN"):
        held, _ = rates(networks["CNN"], networks[name], ("s", "s"), 16)
        assert held > 0.93 - 4 * 0.025
    held, below = rates(networks["CNN"], networks["group-CNN"], ("s", "t"), 16)  # of 400: 10 %, and 90 % below zero
    assert held < 0.1 + 4 * 0.03
    assert below > 0.9 - 4 * 0.03


def test_networks_of_other_seeds_are_independent(networks):
    held, _ = rates(networks["CNN"], networks["other seed"], ("s", "t"), 16)
    assert held > 0.93 - 4 * 0.025


@pytest.mark.slow
@pytest.mark.parametrize("members", [16, 64])
def test_all_networks_of_two_widths_and_seeds(members):
    """400 ensembles of 16, and 100 of 64: rates of 93 % scatter by 1.3 and 2.6 %; those who do not know hold nothing.

    Dense networks are the CNNs, whose filters are as large as the picture: of one seed their difference is exactly 0.
    """
    kinds = {(kind.__name__, width): kind(width) for kind in (cnn, gcnn, mlp) for width in (4, 8)}
    found = {(*name, seed): untrained(each, seed, 6400) for name, each in kinds.items() for seed in (0, 1)}
    least = 0.93 - 4 * math.sqrt(0.93 * 0.07 / (6400 / members))
    for a, b in itertools.combinations(found, 2):
        shared = a[2] == b[2]
        held, _ = rates(found[a], found[b], ("s", "s" if shared else "t"), members)
        assert held > least, (a, b)
        if shared and a[1] == b[1]:
            held, below = rates(found[a], found[b], ("s", "t"), members)
            assert held < 0.25, (a, b)
            assert below > 0.75, (a, b)
