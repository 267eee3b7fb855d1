"""Tables of a comparison, entry by entry against NumPy on whole arrays."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.comparison import Compared, Times, compare
from analysis.dynamics import Prediction
from analysis.ensemble_logits import EnsembleLogits
from analysis.orbit_statistics import OrbitSet

LOGITS, TIMES = 3, Times((0.0, 0.5, 2.0), (0, 1, 4))
SIZES = {"train": 4, "letters": 5}  # inputs by set; letters on an orbit of two elements in `orbit`
KEPT = {"gcnn": 12, "cnn": 9, "orbit": 8}


def ensemble(name, members, stored_times=3, indices=(0, 1, 2), elements=1, shift=0.0):
    """Gaussian logits with one member left out, the common sets behind another one on the sample axis."""
    rng = np.random.default_rng(members)
    start, letters = 2, SIZES["letters"] * elements
    samples = start + SIZES["train"] + letters
    values = rng.standard_normal((stored_times, members + 1, samples, LOGITS)).astype(np.float32) + shift
    kept = np.delete(np.arange(members + 1), 2)
    sets = {"train": slice(2, 6), "letters": slice(6, 11)}
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
        {"letters": OrbitSet(slice(6, 6 + letters), elements)} if elements > 1 else {},
        {"train": np.array([0, 2, 1, 0])},
        {"loss": np.abs(rng.standard_normal((3, members))) * np.array([[np.nan], [1], [1]])},
        prediction,
    )


ENSEMBLES = [
    ensemble("cnn", KEPT["cnn"], shift=0.3),
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
    assert tables["calibration"]["count"].sel(run=run, evaluation_set="train").sum() == 4 * LOGITS


def test_mean_logits_are_of_all_sets(tables):
    table = tables["mean_logits"]
    np.testing.assert_array_equal(table.evaluation_set, ["train"] * 4 + ["letters"] * 5)
    np.testing.assert_array_equal(table.image, [*range(4), *range(5)])
    at = table.sel(run="orbit").isel(time=2, sample=slice(4, 9))
    a = whole("orbit", 2, "letters")
    np.testing.assert_allclose(at["mean"], a.mean(0), atol=1e-6)
    np.testing.assert_allclose(at.standard_error, a.std(0, ddof=1) / np.sqrt(8), rtol=1e-5)
    np.testing.assert_allclose(at.theory_deviation, np.sqrt(1.5))


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
    by_size = tables["equivariance_by_size"].sel(run="orbit", evaluation_set="letters")
    np.testing.assert_allclose(by_size.osp.sel(size=8), row.osp_mean)  # all subsets of 8 are the ensemble


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
