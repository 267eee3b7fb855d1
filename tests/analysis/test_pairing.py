"""Ensembles that share randomness are compared by differences of members: entry by entry against NumPy on whole arrays.

What these estimators hold is in test_paired_coverage.py.
"""

from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
import zarr

from widesym.analysis.comparison import Compared, Times, compare
from widesym.analysis.comparison.pairing import pair_of
from widesym.analysis.dynamics import Prediction
from widesym.analysis.estimators.differences import Differences, LogitsPart
from widesym.analysis.estimators.divergence import divergence_interval, squared_divergence_interval
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import EstimatedMean, estimate_mean, half_samples, signs_among
from widesym.analysis.estimators.power_law import fit_power_law
from widesym.analysis.estimators.widths import width_scaling
from widesym.analysis.figures.drift_by_width import drift_laws

TIMES, LOGITS = Times((0.0, 0.5), (0, 1)), 2
NUMBERS = {"cnn": [7, 2, 3, 11, 5, 0, 13, 4], "gcnn": [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]}
COMMON = [0, 2, 3, 4, 5, 7]
SETS = {"cnn": {"train": slice(1, 4), "test": slice(6, 8)}, "gcnn": {"train": slice(4, 7), "test": slice(0, 2)}}
INDICES = {"cnn": (0, 2), "gcnn": (1, 0)}


def logits_of(name):
    """Members of one number have a part in common, ten times as large as what is their own."""
    numbers, samples = NUMBERS[name], 9 if name == "cnn" else 7
    common = np.random.default_rng(99).standard_normal((20, LOGITS))[numbers]
    own = np.random.default_rng(len(name)).standard_normal((3, len(numbers), samples, LOGITS))
    return (common[None, :, None] + 0.1 * own + (0.2 if name == "cnn" else 0)).astype(np.float32)


def ensemble(name, shares="seed 0", **changes):
    numbers = np.array(NUMBERS[name])
    made = Compared(name, EnsembleLogits(logits_of(name)), INDICES[name], SETS[name], shares=shares)
    return replace(made, **{"member_numbers": numbers, **changes})


def whole(name, t, of_set):
    """The common members' logits in the order of their numbers, in float64."""
    places = [NUMBERS[name].index(number) for number in COMMON]
    return logits_of(name)[INDICES[name][t], places][:, SETS[name][of_set]].astype(np.float64)


@pytest.fixture(scope="module")
def tables():
    return compare([ensemble("cnn"), ensemble("gcnn")], TIMES, "gcnn")


@pytest.mark.parametrize("of_set", ["train", "test"])
@pytest.mark.parametrize("t", [0, 1])
def test_divergences_are_those_of_differences_of_members(tables, t, of_set):
    """Of six pairs out of eight and ten members, whose logits lie elsewhere on every axis of the two arrays."""
    row = tables["divergence"].isel(time=t).sel(run="cnn", evaluation_set=of_set)
    d = whole("cnn", t, of_set) - whole("gcnn", t, of_set)
    gap, noise = (d.mean(0) ** 2).sum(-1), d.var(0, ddof=1).sum(-1) / len(d)
    # Differences of float32 logits of order one: 6e-8 of these, on numbers of order 0.1.
    np.testing.assert_allclose(row.divergence, np.sqrt(gap).mean(), rtol=1e-5)
    np.testing.assert_allclose(row.noise_floor, np.sqrt(noise).mean(), rtol=1e-5)
    np.testing.assert_allclose(row.squared_divergence, (gap - noise).mean(), atol=1e-6)
    for name in ("divergence", "squared_divergence"):
        low, high = row[f"{name}_interval"].values
        assert low < row[name] < high
    # As members are nearly equal, the noise is a small part of what independent ones would have.
    apart = sum(np.var(whole(name, t, of_set), axis=0, ddof=1).sum(-1) / 6 for name in NUMBERS)
    assert row.noise_floor < 0.2 * np.sqrt(apart).mean()


def test_tables_say_who_is_paired_and_who_is_left_out(tables):
    for name in ("divergence", "divergence_by_size"):
        table = tables[name].sel(run="cnn")
        assert str(table.pairing.values) == "paired"
        assert [int(table[count]) for count in ("pairs", "left_out", "reference_left_out")] == [6, 2, 4]
    assert tables["mean_logits"].members.sel(run=["cnn", "gcnn"]).values.tolist() == [8, 10]  # who are alone as ever
    apart = compare([ensemble("cnn", "seed 1"), ensemble("gcnn")], TIMES, "gcnn")["divergence"].sel(run="cnn")
    assert str(apart.pairing.values) == "independent"
    assert [int(apart[count]) for count in ("pairs", "left_out", "reference_left_out")] == [0, 0, 0]


def test_sub_ensembles_are_of_pairs(tables):
    table = tables["divergence_by_size"].isel(time=1).sel(run="cnn", evaluation_set="train")
    np.testing.assert_array_equal(table["size"], [2, 4, 8])
    d = whole("cnn", 1, "train") - whole("gcnn", 1, "train")
    for size in (2, 4):
        floor = np.sqrt(d.var(0, ddof=1).sum(-1) / size).mean()
        np.testing.assert_allclose(table.noise_floor.sel(size=size), floor, rtol=1e-5)
        low, high = table.divergence_interval.sel(size=size).values
        assert low < table.divergence.sel(size=size) < high
        assert (
            table.divergence.sel(size=size) < 0.5
        )  # means of unpaired members: N(0, 2/size) a logit, norm 0.9 and more
    assert np.isnan(table.divergence.sel(size=8))  # of six pairs


def test_all_else_is_said_of_each_ensemble_alone(tables):
    """Nothing but divergences knows of pairs."""
    apart = compare([ensemble("cnn", ""), ensemble("gcnn", "")], TIMES, "gcnn")
    assert set(apart) == set(tables)
    for name in set(tables) - {"divergence", "divergence_by_size"}:
        assert apart[name].identical(tables[name])
    again = compare([ensemble("cnn", "seed 1"), ensemble("gcnn", "seed 0")], TIMES, "gcnn")
    assert all(apart[name].identical(again[name]) for name in tables)


def test_equal_ensembles_are_exactly_equal():
    twins = [replace(ensemble("gcnn"), name=name) for name in ("one", "copy")]
    table = compare(twins, TIMES, "one")["divergence"]
    for name in ("divergence", "noise_floor", "squared_divergence", "divergence_interval"):
        np.testing.assert_array_equal(table[name], 0)
    np.testing.assert_array_equal(table.squared_divergence_interval, 0)


@pytest.mark.parametrize(
    ("ours", "others", "expected"),
    [
        (range(8), range(8), ("paired", 8, 0, 0)),
        (range(8), range(3, 20), ("paired", 5, 3, 12)),
        (range(8), range(4, 20), ("independent", 0, 0, 4)),  # of four pairs there is no interval
        (range(20), range(16, 22), ("independent", 0, 4, 0)),
        (range(6), range(2, 8), ("paired", 4, 2, 2)),  # nor would there be of what is left of either
        (range(3), range(3), ("paired", 3, 0, 0)),
        (range(8), range(8, 16), ("independent", 0, 0, 0)),
        (range(3), range(3, 6), ("independent", 0, 0, 0)),
    ],
    ids=str,
)
def test_members_of_common_numbers_are_pairs(ours, others, expected):
    def of(name, numbers):
        logits = EnsembleLogits(np.zeros((1, len(numbers), 1, 1), np.float32))
        return Compared(name, logits, (0,), {"x": slice(0, 1)}, shares="s", member_numbers=np.array(numbers))

    found = pair_of(of("a", ours), of("b", others))
    assert (found.kind, found.pairs, found.left_out, found.reference_left_out) == expected
    if not found.pairs:
        assert not set(found.ours.numbers) & set(found.theirs.numbers)
        assert (found.ours.members, found.theirs.members) == (len(ours) - expected[2], len(others) - expected[3])


def test_the_rest_of_an_ensemble_with_few_common_members_is_independent():
    """Members 0 to 3 of the reference have partners, and are no part of what the others are compared with."""
    numbers = np.array([0, 1, 2, 3, 20, 21, 22, 23])
    table = compare([ensemble("cnn", member_numbers=numbers), ensemble("gcnn")], TIMES, "gcnn")["divergence"]
    row = table.isel(time=1).sel(run="cnn", evaluation_set="test")
    a, b = logits_of("cnn")[2][:, 6:8].astype(np.float64), logits_of("gcnn")[0, 4:, 0:2].astype(np.float64)
    np.testing.assert_allclose(row.divergence, np.linalg.norm(a.mean(0) - b.mean(0), axis=-1).mean(), rtol=1e-6)
    noise = sum(x.var(0, ddof=1).sum(-1) / len(x) for x in (a, b))
    np.testing.assert_allclose(row.noise_floor, np.sqrt(noise).mean(), rtol=1e-6)


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ([0, 1, 2, 2, 4, 5, 6, 7], "cnn holds member 2 more than once, and members of one number are not independent"),
        ([0, 1], "cnn has 8 members, but 2 numbers of members"),
    ],
)
def test_numbers_that_cannot_be_right_are_refused(numbers, message):
    with pytest.raises(ValueError, match=message):
        ensemble("cnn", member_numbers=np.array(numbers))


def test_differences_are_read_in_blocks_of_any_size():
    """From zarr, by chunks of three members, whoever they are; and no parts of other shapes."""
    values = np.random.default_rng(0).standard_normal((2, 2, 11, 5, 2)).astype(np.float32)
    arrays = [zarr.create_array({}, shape=each.shape, chunks=(1, 3, 5, 2), dtype="float32") for each in values]
    for array, each in zip(arrays, values, strict=True):
        array[:] = each
    members = [np.array([0, 1, 2, 5, 6, 9]), np.array([10, 3, 4, 5, 6, 0])]
    ours = LogitsPart(arrays[0], (1, 0), members[0], (slice(3, 5), slice(0, 1)))
    theirs = LogitsPart(arrays[1], (0, 1), members[1], (slice(1, 4),))
    expected = values[0, 1][members[0]][:, [3, 4, 0]] - values[1, 0][members[1]][:, 1:4]
    read = EnsembleLogits(Differences(ours, theirs))
    for memory in (1, 60, 2**20):
        np.testing.assert_array_equal(np.concatenate([block for _, block in read.blocks(0, memory)]), expected)
    with pytest.raises(ValueError, match=r"shapes \(2, 6, 3, 2\) and \(2, 6, 1, 2\) have no differences"):
        Differences(ours, replace(theirs, samples=(slice(0, 1),)))


def test_intervals_are_those_of_an_ensemble_against_an_exact_mean():
    logits = [logits_of(name)[:, [NUMBERS[name].index(number) for number in COMMON], 0:3] for name in NUMBERS]
    d, zero = (
        estimate_mean(EnsembleLogits(logits[0] - logits[1]), 0, seed=1),
        EstimatedMean.exact(np.zeros((3, LOGITS))),
    )
    pair = [
        Compared(name, EnsembleLogits(each), (0,), {"x": slice(0, 3)}, shares="s")
        for name, each in zip(NUMBERS, logits, strict=True)
    ]
    row = compare(pair, Times((0.0,), (0,)), "gcnn")["divergence"].isel(run=0, time=0, evaluation_set=0)
    # Draws of the second ensemble's seed, 1; sums of float32.
    np.testing.assert_allclose(row.divergence_interval, divergence_interval(d, zero), rtol=1e-5)
    np.testing.assert_allclose(row.squared_divergence_interval, squared_divergence_interval(d, zero), rtol=1e-5)


def test_common_signs_have_the_covariances_of_means_with_each_other():
    """(1/M) Σ w_i f_i has the covariance S/M with itself, and that of the common members with the other ensemble's.

    Over all patterns E[v vᵀ] of one is M/(M − 1) times the projection off constants, and that of two the same of the
    common members, but for a factor that is M/(M − 1) of the smaller at most. Entries are known to 1/√draws.
    """
    draws, a, b = 20_000, np.arange(16), np.array([21, 20, *range(8, 20), 22, 23])
    v, w = (signs_among(each, np.arange(24), draws, 0).astype(np.float64) for each in (a, b))
    project, error = np.eye(16) - 1 / 16, 4 / np.sqrt(draws)
    for each in (v, w):
        np.testing.assert_allclose(each.sum(1), 0, atol=1e-5)
        np.testing.assert_allclose((each**2).sum(1), 16, rtol=1e-5)
        np.testing.assert_allclose(each.T @ each / draws, 16 / 15 * project, atol=error)
    common = project @ (a[:, None] == b) @ project
    np.testing.assert_allclose(v.T @ w / draws, 16 / 15 * common, atol=error)
    np.testing.assert_array_equal(signs_among(a, a, 50, 3), half_samples(16, 50, 3))


def test_laws_of_widths_that_share_members_know_it():
    """Each member's values follow the law exactly, by factors of its own: of shared members the exponent is certain."""
    widths, factors = [8, 16, 32], np.random.default_rng(0).uniform(0.5, 2, 12)
    values = factors / np.array(widths)[:, None]
    np.testing.assert_allclose(fit_power_law(widths, values, shares=["s", "s", "s"]).interval, (-1, -1), rtol=1e-9)
    # Equally spaced logarithms: the slope is that of both ends.
    np.testing.assert_allclose(fit_power_law(widths, values, shares=["s", "t", "s"]).interval, (-1, -1), rtol=1e-9)
    alone, empty, ends = (fit_power_law(widths, values, shares=each) for each in (None, ["", "", ""], ["s", "s", "t"]))
    assert alone == empty
    for law in (alone, ends):
        assert law.interval[0] < -1.05
        assert law.interval[1] > -0.95


def in_series(name, width, shares):
    """One of a series of widths, with theory's mean at zero and a bias of 4/width."""
    common = np.random.default_rng(0).standard_normal((1, 12, 3, LOGITS))
    logits = (common + 0.1 * np.random.default_rng(width).standard_normal(common.shape) + 12 / width).astype(np.float32)
    theory = {"x": Prediction(np.zeros((1, 3, LOGITS)), np.ones((1, 3)))}
    logits = EnsembleLogits(logits, np.arange(12 if width == 8 else 10))  # of which ten are of both
    made = Compared(name, logits, (0,), {"x": slice(0, 3)}, prediction=theory, series="s", width=width)
    return replace(made, shares=shares)


def test_a_series_of_widths_is_fitted_to_draws_that_belong_together():
    """Those of NumPy's half-samples of all numbers, the wide ensemble's of its ten alone, made whole again."""
    ensembles = [in_series("narrow", 8, "seed 0"), in_series("wide", 16, "seed 0")]
    found = compare(ensembles, Times((1.0,), (1,)), "narrow", draws=100)["widths"].isel(series=0)
    assert str(found.randomness.values) == "shared"
    signs = half_samples(12, 100, 0).astype(np.float64)
    means = {}
    for each in ensembles:
        f = each.logits.array[0, each.logits.numbers].astype(np.float64)
        w = signs[:, : len(f)] - signs[:, : len(f)].mean(1, keepdims=True)
        w /= np.sqrt((w**2).mean(1, keepdims=True))
        noise = (np.einsum("dm,msl->dsl", w, f) / len(f)).astype(np.float32)
        means[each.width] = EstimatedMean(len(f), f.mean(0), f.var(0, ddof=1), noise)
    law = width_scaling(means, np.zeros((3, LOGITS)), {8: "s", 16: "s"}).bias_fit
    # The grid of exponents has steps of 0.002; sums of float32 may fall on either side.
    np.testing.assert_allclose([found.exponent, found.exponent_low, found.exponent_high], [law[0], *law[2]], atol=0.003)
    apart = [replace(each, shares=each.name) for each in ensembles]
    other = compare(apart, Times((1.0,), (1,)), "narrow", draws=100)["widths"].isel(series=0)
    assert str(other.randomness.values) == "independent"
    # Twelve members in common: errors of either width belong together, and leave the exponent less room.
    assert other.exponent_high - other.exponent_low > 1.2 * (found.exponent_high - found.exponent_low)


def test_drifts_of_widths_that_share_members_know_it():
    """Each member's drift is its own factor over the width: of shared members the exponent is certain."""
    factors = np.random.default_rng(0).uniform(0.5, 2, 12)

    def found(width, randomness):
        drifts = {"drift": (("time", "member"), factors[None] / width), "mean_drift": (("time",), [1 / width])}
        return xr.Dataset(drifts, attrs={"randomness": randomness})

    for of, is_certain in (("shared, seed 0", True), ("", False), (None, False)):
        law = drift_laws({width: found(width, str(width) if of is None else of) for width in (8, 16, 32)}).of_members
        low, high = law.interval
        assert (high - low < 1e-9) == is_certain
        assert low - 1e-9 <= -1 <= high + 1e-9
