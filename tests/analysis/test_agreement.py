"""Verdicts on analyses whose means are known: which differ, by how much, and which nobody can tell apart."""

import numpy as np
import pytest

from widesym.analysis.comparison import Compared, Times, compare
from widesym.analysis.comparison.agreement import agreements, as_sentences
from widesym.analysis.dynamics import Prediction
from widesym.analysis.estimators.logits import EnsembleLogits

SAMPLES, LOGITS = 6, 4
SETS = {"test": slice(0, 3), "noise": slice(3, 6)}
MEAN = np.random.default_rng(0).standard_normal((SAMPLES, LOGITS))
MEAN /= np.sqrt((MEAN**2).sum(-1, keepdims=True))  # of size 1 on every input
TIMES = Times((0.0, 1.0), (0, 5))


def ensemble(name, seed, shares, members=64, scatter=0.2, predicted=None):
    """Gaussian members about (1 + share) · MEAN, share by set; before training about 0. `predicted` are shares, too."""
    factor = np.concatenate([np.full(3, 1 + shares[of_set]) for of_set in SETS])[:, None]
    noise = np.random.default_rng(seed).standard_normal((2, members, SAMPLES, LOGITS))
    logits = (np.stack([0 * MEAN, factor * MEAN])[:, None] + scatter * noise).astype(np.float32)
    prediction = None
    if predicted is not None:
        prediction = {
            of_set: Prediction(
                np.stack([0 * MEAN[part], (1 + predicted[of_set]) * MEAN[part]]), np.full((2, 3), scatter**2)
            )
            for of_set, part in SETS.items()
        }
    return Compared(name, EnsembleLogits(logits), (0, 1), SETS, prediction=prediction)


def verdicts(*ensembles):
    """By what and set."""
    found = agreements(compare(ensembles, TIMES, ensembles[0].name))
    return {(each.what, each.evaluation_set): each for each in found}


NOWHERE = {"test": 0.0, "noise": 0.0}
ON_NOISE = {"test": 0.0, "noise": 0.5}


def test_means_that_differ_are_told_by_how_much():
    """The true distance is 50 % on noise and 0 on test. 64 members scatter by .2 √(2 · 4/64) = 7 % of the size."""
    found = verdicts(ensemble("gcnn", 1, NOWHERE), ensemble("cnn", 2, ON_NOISE))
    apart, near = found["cnn and gcnn", "noise"], found["cnn and gcnn", "test"]
    assert apart.verdict == "differ"
    assert apart.low < 0.5 < apart.high
    assert abs(apart.difference - 0.5) < 0.1  # 3 standard errors of a mean over three inputs at most
    assert apart.detail.startswith(f"by {100 * apart.difference:.3g} % [{100 * apart.low:.3g} %, ")
    assert apart.detail.endswith("of the size of gcnn's mean logits")
    assert near.verdict == "not distinguishable"
    assert near.low == 0
    assert near.high < 0.15
    assert near.detail.startswith(f"at most {100 * near.high:.3g} % of the size") or near.high == 0
    assert near.detail.endswith("by ensembles of this size")


def test_a_run_far_from_theory_differs_however_sound_its_data():
    """162 % away, as measured and predicted means are 2.62 and 1 times the same."""
    far, right = ({"test": share, "noise": share} for share in (1.62, 0.0))
    found = verdicts(ensemble("far", 1, far, predicted=NOWHERE), ensemble("right", 2, right, predicted=NOWHERE))
    for of_set in SETS:
        far = found["far and theory", of_set]
        assert far.verdict == "differ"
        assert far.low < 1.62 < far.high
        assert far.detail.endswith("of the size of the predicted mean logits")
        assert found["right and theory", of_set].verdict == "not distinguishable"
        assert found["right and far", of_set].verdict == "differ"
        assert found["right and far in theory", of_set].verdict == "the same"


@pytest.mark.parametrize(("share", "verdict"), [(0.0, "the same"), (0.002, "the same"), (0.5, "differ")])
def test_theory_says_itself_where_means_differ(share, verdict):
    found = verdicts(
        ensemble("gcnn", 1, NOWHERE, predicted=NOWHERE),
        ensemble("cnn", 2, {"test": 0.0, "noise": share}, predicted={"test": 0.0, "noise": share}),
    )
    said = found["cnn and gcnn in theory", "noise"]
    assert said.verdict == verdict
    np.testing.assert_allclose(said.difference, share / (1 + share), atol=1e-7)  # of the larger of the two sizes
    assert found["cnn and gcnn in theory", "test"].verdict == "the same"
    if verdict == "differ":
        assert said.detail == "theory itself predicts means up to 33.3 % of their size apart"


def test_a_few_members_are_no_verdict():
    found = verdicts(
        ensemble("gcnn", 1, NOWHERE, predicted=NOWHERE), ensemble("few", 2, ON_NOISE, 4, predicted=ON_NOISE)
    )
    for what in ("few and gcnn", "few and theory"):
        each = found[what, "noise"]
        assert each.verdict == "not known"
        assert each.detail == "there is no interval; it takes 5 members"
    assert found["gcnn and theory", "noise"].verdict == "not distinguishable"
    one = verdicts(ensemble("gcnn", 1, NOWHERE), ensemble("one", 2, ON_NOISE, 1))
    assert one["one and gcnn", "noise"].verdict == "not known"


def test_where_logits_are_nothing_a_difference_is_a_number():
    """Of means that are zero there is no share; of logits that are zero for all members, nothing differs."""
    silent = {"test": -1.0, "noise": -1.0}
    found = verdicts(ensemble("zero", 3, silent), ensemble("cnn", 4, NOWHERE))["cnn and zero", "test"]
    assert found.verdict == "differ"
    assert found.difference is None
    value = float(found.detail.split()[1])
    assert abs(value - 1) < 0.1
    assert "of logits whose mean is 0 for all that can be told" in found.detail
    blank = verdicts(ensemble("zero", 3, silent, scatter=0.0), ensemble("other", 4, silent, scatter=0.0))
    assert blank["other and zero", "test"].verdict == "the same"


def test_lines_are_one_for_each_pair():
    found = agreements(
        compare(
            [ensemble("gcnn", 1, NOWHERE, predicted=NOWHERE), ensemble("cnn", 2, ON_NOISE, predicted=ON_NOISE)],
            TIMES,
            "gcnn",
        )
    )
    lines = as_sentences(found)
    assert [line.partition(":")[0] for line in lines] == [
        *("cnn and gcnn", "cnn and gcnn in theory", "cnn and theory", "gcnn and theory"),
    ]
    assert lines[0].startswith("cnn and gcnn: not distinguishable on test (at most ")
    assert "; differ on noise (by " in lines[0]


def test_equal_means_are_called_different_no_more_often_than_intervals_are_wrong():
    """95 % intervals have 2.5 % beyond their lower end: of 40 pairs 1 is expected, 5 or more have p = 0.004."""
    wrong = 0
    for seed in range(40):
        pair = [ensemble(name, (seed, part), NOWHERE, members=16) for part, name in enumerate(("a", "b"))]
        wrong += verdicts(*pair)["b and a", "test"].verdict == "differ"
    assert wrong < 5
