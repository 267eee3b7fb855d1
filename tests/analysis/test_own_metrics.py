"""Metrics of one's own: their tables beside the others, value for value; what does not fit is refused."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from widesym.analysis.comparison import METRICS, Column, Compared, Drawing, Metric, Times, compare
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.launch.analyses.figures import figures_of

TIMES = Times((0.0, 0.5), (0, 1))
SETS = {"train": slice(0, 2), "test": slice(2, 5)}
LOGITS = {name: np.random.default_rng(seed).standard_normal((2, 7, 5, 3)) for seed, name in enumerate("abc")}
ENSEMBLES = [Compared(name, EnsembleLogits(logits), (0, 1), SETS) for name, logits in LOGITS.items()]
BY_SET, LARGEST = ("run", "evaluation_set", "time"), {"largest": Column((), "largest mean logit")}


def largest(now):
    for of_set in SETS:
        yield (now.of.name, of_set, now.time), {"largest": now.mean_on(of_set).mean.max()}


def apart(both):
    ours, theirs = both.means_on("test")
    yield (both.ensemble.of.name, both.ensemble.time), {"apart": np.abs(ours.mean - theirs.mean).max()}


def drawings(tables, inputs):
    yield Drawing("largest", Figure, "Of " + ", ".join(tables))


def only(*metrics):
    return compare(ENSEMBLES, TIMES, "b", metrics=metrics)


def test_tables_of_ones_own():
    of_one = Metric("largest", LARGEST, BY_SET, of_one=largest, drawings=drawings)
    of_pair = Metric("apart", {"apart": Column((), "largest gap", unit=None)}, ("run", "time"), of_pair=apart)
    tables = compare(ENSEMBLES, TIMES, "b", metrics=(*METRICS, of_one, of_pair))
    assert set(tables) == {"divergence", "divergence_by_size", "mean_logits", "largest", "apart"}
    means = {name: logits.mean(1) for name, logits in LOGITS.items()}
    for run in "abc":
        for of_set, where in SETS.items():
            found = tables["largest"].largest.sel(run=run, evaluation_set=of_set)
            np.testing.assert_allclose(
                found, means[run][:, where].max((1, 2)), rtol=1e-6
            )  # means are of float32 products
    assert list(tables["apart"].run) == ["a", "c"]  # the reference is apart from nothing
    for run in "ac":
        gap = np.abs(means[run] - means["b"])[:, SETS["test"]].max((1, 2))
        np.testing.assert_allclose(tables["apart"].apart.sel(run=run), gap, rtol=1e-5)
    assert tables["largest"].largest.attrs == {"long_name": "largest mean logit", "units": "1"}
    assert list(tables["largest"].step) == [0, 1]
    drawn, refused = figures_of({"largest": tables["largest"]}, {}, (of_one, of_pair))
    assert drawn["largest"][1] == "Of largest"
    assert not refused


def test_metrics_of_one_table_add_columns():
    smallest = Metric(
        "largest",
        {"smallest": Column((), "smallest mean logit")},
        ("run", "time"),
        of_one=lambda now: [((now.of.name, now.time), {"smallest": now.mean.mean.min()})],
    )
    table = only(Metric("largest", LARGEST, BY_SET, of_one=largest), smallest)["largest"]
    assert table.largest.dims == BY_SET
    assert table.smallest.dims == ("run", "time")
    np.testing.assert_allclose(table.smallest.sel(run="c"), LOGITS["c"].mean(1).min((1, 2)), rtol=1e-5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Metric("m", LARGEST, BY_SET), "metric m takes of_one, of_pair or both, or of_series alone"),
        (
            lambda: Metric("m", LARGEST, ("run", "epoch"), of_one=largest),
            "dimensions run, epoch; they are run, and any of",
        ),
        (lambda: Metric("m", LARGEST, (), of_one=largest), "dimensions none"),
        (lambda: only(*[Metric("m", LARGEST, BY_SET, of_one=largest)] * 2), "2 metrics give largest of the table m"),
        (lambda: only(Metric("m", {}, BY_SET, of_one=largest)), "metric m: a row has largest, but columns are none"),
        (
            lambda: only(
                Metric("m", LARGEST, BY_SET, of_one=largest),
                Metric("m", {}, ("series",), of_series=lambda ensembles, means: None),
            ),
            "2 metrics give the table m, which one of them makes as a whole",
        ),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
