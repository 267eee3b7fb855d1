"""Tables of a comparison, entry by entry against NumPy on whole arrays."""

from dataclasses import replace

import numpy as np
import pytest

from widesym.analysis.comparison import Compared, Times, compare
from widesym.analysis.comparison.at_time import SUBSETS
from widesym.analysis.comparison.metrics.equivariance import orbit_row
from widesym.analysis.dynamics import Prediction
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import estimate_mean, subset_means
from widesym.analysis.estimators.orbit_statistics import OrbitSet, member_orbit_statistics
from widesym.analysis.estimators.orbits import orbit_statistics

LOGITS, TIMES = 3, Times((0.0, 0.5, 2.0), (0, 1, 4))
SIZES = {"train": 4, "letters": 5}  # inputs by set; letters on an orbit of two elements in `orbit`
KEPT = {"gcnn": 12, "cnn": 9, "orbit": 8}


def ensemble(name, members, stored_times=3, indices=(0, 1, 2), elements=1, shift=0.0, start=2):
    """Gaussian logits with one member left out, the common sets behind `start` other inputs on the sample axis."""
    rng = np.random.default_rng(members)
    letters = SIZES["letters"] * elements
    samples = start + SIZES["train"] + letters
    values = rng.standard_normal((stored_times, members + 1, samples, LOGITS)).astype(np.float32) + shift
    kept = np.delete(np.arange(members + 1), 2)
    sets = {"train": slice(start, start + 4), "letters": slice(start + 4, start + 9)}
    mean = rng.standard_normal((3, 9, LOGITS))
    prediction = {
        of_set: Prediction(mean[:, part], np.full((3, SIZES[of_set]), 1.5))
        for of_set, part in {"train": slice(4), "letters": slice(4, 9)}.items()
    }
    return Compared(
        name,
        EnsembleLogits(values, kept),
        indices,
        sets,
        {"letters": OrbitSet(slice(start + 4, start + 4 + letters), elements)} if elements > 1 else {},
        {"train": np.array([0, 2, 1, 0])},
        {"loss": np.abs(rng.standard_normal((3, members))) * np.array([[np.nan], [1], [1]])},
        prediction,
    )


ENSEMBLES = [
    ensemble("cnn", KEPT["cnn"], shift=0.3, start=1),
    ensemble("gcnn", KEPT["gcnn"]),
    ensemble("orbit", KEPT["orbit"], 5, (0, 2, 4), elements=2),
]


@pytest.fixture(scope="module")
def tables():
    return compare(ENSEMBLES, TIMES, "gcnn")


def whole(name, t, of_set):
    """Logits of the counted members on the inputs of a set."""
    each = next(each for each in ENSEMBLES if each.name == name)
    return each.logits.array[each.indices[t], each.logits.kept][:, each.sets[of_set]].astype(np.float64)


@pytest.mark.parametrize("of_set", SIZES)
@pytest.mark.parametrize("run", ["cnn", "orbit"])
def test_divergences_are_from_the_reference(tables, run, of_set):
    assert list(tables["divergence"].run.values) == ["cnn", "orbit"]
    assert tables["divergence"].attrs == {"reference": "gcnn", "reference_members": KEPT["gcnn"]}
    for t in range(3):
        a, b, row = whole(run, t, of_set), whole("gcnn", t, of_set), tables["divergence"].isel(time=t)
        row = row.sel(run=run, evaluation_set=of_set)
        gap = ((a.mean(0) - b.mean(0)) ** 2).sum(-1)
        noise = a.var(0, ddof=1).sum(-1) / len(a) + b.var(0, ddof=1).sum(-1) / len(b)
        # float32 logits of order one, centred before they are summed: relative errors of some 1e-7.
        np.testing.assert_allclose(row.divergence, np.sqrt(gap).mean(), rtol=1e-6)
        np.testing.assert_allclose(row.noise_floor, np.sqrt(noise).mean(), rtol=1e-6)
        np.testing.assert_allclose(row.squared_divergence, (gap - noise).mean(), atol=1e-6)
        for name in ("divergence", "squared_divergence"):
            low, high = row[f"{name}_interval"].values
            assert low < row[name] < high
        first, second = ({e.name: e for e in ENSEMBLES}[n].prediction[of_set].mean[t] for n in (run, "gcnn"))
        np.testing.assert_allclose(row.predicted_divergence, np.linalg.norm(first - second, axis=-1).mean())


def test_sub_ensembles_end_with_the_smallest_ensemble(tables):
    table = tables["divergence_by_size"].isel(time=-1).sel(run="orbit", evaluation_set="train")
    np.testing.assert_array_equal(table["size"], [2, 4, 8])
    a, b = (whole(name, 2, "train") for name in ("orbit", "gcnn"))
    noise = np.sqrt((a.var(0, ddof=1) + b.var(0, ddof=1)).sum(-1)).mean() / np.sqrt([2, 4, 8])
    np.testing.assert_allclose(table.noise_floor, noise, rtol=1e-6)
    assert (np.diff(table.divergence) < 0).all()


def test_sub_ensembles_are_of_the_set_and_drawn_apart():
    """With no scatter between members sub-ensembles have the distance of the whole; equal ensembles do not pair up."""
    means = {each.name: each.logits.array[:, each.logits.kept].mean(1, keepdims=True) for each in ENSEMBLES[:2]}
    still = [
        replace(each, logits=EnsembleLogits(np.repeat(means[each.name], KEPT[each.name], axis=1)))
        for each in ENSEMBLES[:2]
    ]
    tables = compare(still, TIMES, "gcnn")
    whole, parts = tables["divergence"].divergence, tables["divergence_by_size"].divergence
    np.testing.assert_allclose(parts, whole.expand_dims(size=4, axis=-1).values, rtol=1e-5)  # float32 logits
    twins = compare([ENSEMBLES[1], replace(ENSEMBLES[1], name="twin")], TIMES, "gcnn")["divergence_by_size"]
    np.testing.assert_allclose(twins.divergence.sel(size=12), 0, atol=1e-6)
    assert (twins.divergence.sel(size=2) > 0.5 * twins.noise_floor.sel(size=2)).all()


def test_equal_ensembles_and_inputs_without_scatter_have_intervals():
    """Where all is exactly zero: copies of one run, whose half-samples meet, and inputs on which nobody differs."""
    logits = ENSEMBLES[1].logits.array.copy()
    logits[:, :, 2:6] = 0
    pair = [replace(ENSEMBLES[1], name=name, logits=EnsembleLogits(logits[:, :6])) for name in ("one", "copy")]
    tables = compare(pair, TIMES, "one")
    np.testing.assert_array_equal(tables["divergence"].squared_divergence_interval.sel(evaluation_set="train"), 0)
    assert np.isfinite(tables["divergence"].squared_divergence_interval).all()
    assert np.isnan(tables["theory"].rms_z.sel(evaluation_set="train")).all()


@pytest.mark.parametrize("run", KEPT)
def test_distances_from_theory(tables, run):
    each = {each.name: each for each in ENSEMBLES}[run]
    for of_set in SIZES:
        a, mean = whole(run, 1, of_set), each.prediction[of_set].mean
        row = tables["theory"].isel(time=1).sel(run=run, evaluation_set=of_set)
        gap, noise = ((a.mean(0) - mean[1]) ** 2).sum(-1), a.var(0, ddof=1).sum(-1) / len(a)
        np.testing.assert_allclose(row.distance, np.sqrt(gap).mean(), rtol=1e-6)
        np.testing.assert_allclose(row.expected_distance, np.sqrt(LOGITS * 1.5 / KEPT[run]), rtol=1e-6)
        np.testing.assert_allclose(row.squared_bias, (gap - noise).mean(), atol=1e-6)
        np.testing.assert_allclose(row.scale, np.linalg.norm(mean[2], axis=-1).mean(), rtol=1e-6)
        z = (a.mean(0) - mean[1]) / (a.std(0, ddof=1) / np.sqrt(len(a)))
        np.testing.assert_allclose(row.rms_z, np.sqrt((z**2).mean()), rtol=1e-5)
        assert int(row.members) == KEPT[run]
    calibration, a = tables["calibration"].sel(run=run, evaluation_set="train"), whole(run, 2, "train")
    z = (a.mean(0) - each.prediction["train"].mean[2]) / (a.std(0, ddof=1) / np.sqrt(len(a)))
    edges = [*calibration.low.values, calibration.high.values[-1]]
    np.testing.assert_allclose(edges, np.arange(-24, 25) / 4)
    np.testing.assert_allclose(calibration.high[:-1], calibration.low[1:])
    np.testing.assert_array_equal(calibration["count"], np.histogram(np.clip(z, -6, 6), edges)[0])


def test_z_scores_are_of_the_inputs_whose_logits_differ():
    """The first training input is the same for all members."""
    logits = ENSEMBLES[1].logits.array.copy()
    logits[:, :, 2] = 1
    found = compare([replace(ENSEMBLES[1], logits=EnsembleLogits(logits))], TIMES, "gcnn")
    row = found["theory"].isel(time=1).sel(run="gcnn", evaluation_set="train")
    a, mean = logits[1, :, 3:6].astype(np.float64), ENSEMBLES[1].prediction["train"].mean[1, 1:]
    z = (a.mean(0) - mean) / (a.std(0, ddof=1) / np.sqrt(len(a)))
    np.testing.assert_allclose(row.rms_z, np.sqrt((z**2).mean()), rtol=1e-5)  # float32 logits


def test_mean_logits_are_of_all_sets(tables):
    table = tables["mean_logits"]
    np.testing.assert_array_equal(table.evaluation_set, ["train"] * 4 + ["letters"] * 5)
    np.testing.assert_array_equal(table.image, [*range(4), *range(5)])
    at = table.sel(run="orbit").isel(time=2, sample=slice(4, 9))
    a = whole("orbit", 2, "letters")
    np.testing.assert_allclose(at["mean"], a.mean(0), atol=1e-6)
    np.testing.assert_allclose(at.standard_error, a.std(0, ddof=1) / np.sqrt(8), rtol=1e-5)
    np.testing.assert_allclose(at.theory_deviation, np.sqrt(1.5))
    np.testing.assert_allclose(at.theory_mean, ENSEMBLES[2].prediction["letters"].mean[2])


def test_orbits_are_of_those_who_were_recorded_on_them(tables):
    table = tables["equivariance"]
    assert list(table.evaluation_set.values) == ["letters"]
    assert list(table.run.values) == ["orbit"]
    assert table.elements.values.tolist() == [2]
    each = ENSEMBLES[2]
    logits = each.logits.array[4, each.logits.kept][:, 6:16].reshape(8, 2, 5, LOGITS)
    members = 1 + (logits[:, 0].argmax(-1) == logits[:, 1].argmax(-1)).mean(-1)
    mean = logits.mean(0, dtype=np.float64)
    row = table.isel(time=-1).sel(run="orbit", evaluation_set="letters")
    np.testing.assert_allclose(row.osp_members, members.mean())
    np.testing.assert_allclose(row.osp_members_deviation, members.std(ddof=1))
    np.testing.assert_allclose(row.osp_mean, 1 + (mean[0].argmax(-1) == mean[1].argmax(-1)).mean())
    np.testing.assert_allclose(row.orbit_deviation_mean, orbit_statistics(mean).orbit_deviation, rtol=1e-5)  # float32
    by_size = tables["equivariance_by_size"].sel(run="orbit", evaluation_set="letters")
    np.testing.assert_allclose(by_size.osp.sel(size=8), row.osp_mean)  # all subsets of 8 are the ensemble
    drawn = next(subset_means(each.logits, 4, [2, 4, 8], SUBSETS, 2))[:, 6:16].reshape(SUBSETS, 2, 5, LOGITS)
    low, high = np.quantile([orbit_statistics(one).orbit_deviation for one in drawn], (0.025, 0.975))
    np.testing.assert_allclose(by_size.orbit_deviation_interval.sel(size=2), (low, high), rtol=1e-5)


def test_training_metrics_are_medians_and_spreads(tables):
    table, loss = tables["training"], ENSEMBLES[0].training["loss"]
    assert np.isnan(table.loss.sel(run="cnn")[0])  # before the first batch
    np.testing.assert_allclose(table.loss.sel(run="cnn")[1:], np.median(loss[1:], axis=1))
    np.testing.assert_allclose(table.loss_spread.sel(run="cnn")[1:], np.quantile(loss[1:], (0.05, 0.95), axis=1).T)
    right = (whole("cnn", 1, "train").mean(0).argmax(-1) == [0, 2, 1, 0]).mean()
    np.testing.assert_allclose(table.ensemble_accuracy.sel(run="cnn", evaluation_set="train")[1], right)


def test_without_predictions_orbits_or_others_their_tables_are_left_out():
    alone = replace(ENSEMBLES[0], prediction=None)
    assert set(compare([alone], TIMES, "cnn")) == {"mean_logits", "training"}


def test_one_member_has_a_mean_and_no_spread():
    one = replace(
        ENSEMBLES[0], name="one", logits=EnsembleLogits(ENSEMBLES[0].logits.array, np.array([3])), training={}
    )
    tables = compare([one, ENSEMBLES[1]], TIMES, "gcnn")
    assert set(tables["divergence"].data_vars) == {"divergence", "predicted_divergence"}
    assert "divergence_by_size" not in tables
    assert np.isnan(tables["mean_logits"].standard_error.sel(run="one")).all()
    assert np.isnan(tables["theory"].rms_z.sel(run="one")).all()
    assert np.isfinite(tables["theory"].distance.sel(run="one")).all()


def test_two_members_have_a_noise_floor_and_no_interval():
    two = replace(ENSEMBLES[0], logits=EnsembleLogits(ENSEMBLES[0].logits.array, np.array([3, 4])), training={})
    table = compare([two, ENSEMBLES[1]], TIMES, "gcnn")["divergence"]
    assert set(table.data_vars) == {"divergence", "predicted_divergence", "noise_floor", "squared_divergence"}
    assert (table.noise_floor > 0).all()


def test_logits_that_are_not_finite_are_named():
    logits = ENSEMBLES[0].logits.array.copy()
    logits[1, 4] = np.nan
    with pytest.raises(ValueError, match=r"^cnn: logits of member 4 at time index 1 are not finite"):
        compare([replace(ENSEMBLES[0], logits=EnsembleLogits(logits)), ENSEMBLES[1]], TIMES, "gcnn")


def test_of_two_ensembles_of_one_width_the_larger_counts():
    """One of too few members does not; all are held against the same prediction."""
    prediction, array = ENSEMBLES[1].prediction, ENSEMBLES[0].logits.array
    series = [replace(each, prediction=prediction, series="s", width=8) for each in ENSEMBLES]
    series[1] = replace(series[1], width=4)
    few = replace(series[0], name="few", width=16, logits=EnsembleLogits(array, np.arange(4)))
    tables = compare([*series, few], TIMES, "gcnn")
    widths, theory = tables["widths"], tables["theory"].isel(time=-1)
    assert widths.series.values.tolist() == ["train: gcnn, cnn", "letters: gcnn, cnn"]
    np.testing.assert_array_equal(widths.width, [4, 8])
    for of_set in SIZES:
        expected = theory.squared_bias.sel(evaluation_set=of_set, run=["gcnn", "cnn"])
        np.testing.assert_allclose(widths.squared_bias.sel(series=f"{of_set}: gcnn, cnn"), expected)


def test_orbits_of_few_members_have_no_interval():
    """Five have; four have their members' scatter alone."""
    rng = np.random.default_rng(0)
    for members, expected in ((4, False), (5, True)):
        logits = EnsembleLogits(rng.standard_normal((1, members, 12, 3)).astype(np.float32))
        where = OrbitSet(slice(0, 12), 4)
        each = member_orbit_statistics([logits.array[0]], {"": where})[""]
        row = orbit_row(each, estimate_mean(logits, 0), where)
        assert ("osp_mean_interval" in row) == expected
        assert row["osp_members_deviation"] >= 0


def test_progress_is_told():
    told = []
    compare(ENSEMBLES[:2], TIMES, "gcnn", progress=told.append)
    assert told == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("ensembles", "message"),
    [
        ([], "there are 0 ensembles at 3 times"),
        ([ENSEMBLES[0], ENSEMBLES[0]], "named cnn, cnn; each needs a name of its own"),
        (
            [ENSEMBLES[0], replace(ENSEMBLES[1], sets={"train": slice(0, 4)})],
            r"gcnn has inputs train: 4 and 3 logits, but",
        ),
        ([ENSEMBLES[0], replace(ENSEMBLES[1], indices=(0,))], "gcnn has 1 of the 3 common times"),
        ([ENSEMBLES[0]], "there is no ensemble named 'gcnn'; there are cnn"),
    ],
    ids=["none", "names", "sets", "times", "reference"],
)
def test_what_does_not_fit_is_refused(ensembles, message):
    with pytest.raises(ValueError, match=message):
        compare(ensembles, TIMES, "gcnn")
