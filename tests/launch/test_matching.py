"""Runs that are to be compared: what they have in common, and why they are refused."""

import os
import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from tests.support.stored_runs import TEST, TRAIN, trained
from widesym.analysis.comparison import compare
from widesym.ensembles import Constant, Cosine, Piecewise, Strategy, TrainingRecipe
from widesym.ensembles.data import Toy
from widesym.ensembles.data.stored import load_dataset
from widesym.launch.analyses.files import frame_of
from widesym.launch.analyses.matching import compared, match
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.errors import MismatchError
from widesym.launch.runs import data
from widesym.launch.runs.data import sets_of_runs
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Dense, Flatten

LETTERS = replace(TEST, name="letters", labels=None, classes=())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "one", data=(TRAIN, TEST, LETTERS))
    trained(folder / "other", data=(TRAIN, LETTERS, TEST), recipe=TrainingRecipe(0.05))
    return folder


def matched(*paths, sick="refuse"):
    return match(runs_in(paths), sick)


def test_directories_of_runs_are_looked_into(runs, tmp_path):
    assert list(runs_in([runs])) == ["one", "other"]
    assert list(runs_in([runs / "other", runs / "one"])) == ["other", "one"]
    shutil.copytree(runs / "one", tmp_path / "copy" / "one")
    assert list(runs_in([runs / "one", tmp_path / "copy"])) == [f"{runs.name}/one", "copy/one"]
    assert list(runs_in([runs / "one" / ".." / "other"])) == ["other"]
    shutil.copytree(runs / "one", tmp_path / "two\nlines")
    with pytest.raises(MismatchError, match=r"'two\\nlines' is no name that can be written down"):
        runs_in([tmp_path / "two\nlines"])
    with pytest.raises(MismatchError, match="one is named twice; an ensemble would be compared with itself"):
        runs_in([runs, runs / "one"])


def test_data_that_runs_have_in_common_are_read_and_held_once(runs, tmp_path, monkeypatch):
    """By hard links, as in sweeps, one file; copies are read, as they may be damaged, and held once."""
    linked = shutil.copytree(runs / "one", tmp_path / "linked", copy_function=os.link)
    copied = shutil.copytree(runs / "one", tmp_path / "copied")
    read = []
    monkeypatch.setattr(data, "load_dataset", lambda file: read.append(file) or load_dataset(file))
    found = sets_of_runs(runs_in([runs / "one", linked, copied]))
    assert {file.parents[1].name for file in read} == {"one", "copied"}
    assert len(read) == 6
    for name in ("train", "test", "letters"):
        assert found["linked"][name] is found["copied"][name] is found["one"][name]


def test_sets_are_matched_by_name_and_data_and_times_by_training_time(runs):
    """Steps 0, 1, 4 at rates 0.1 and 0.05: only step 0 is in common, and one more where rates are twice as large."""
    with pytest.raises(
        MismatchError, match=r"no training time after 0 in common .*one: 0, 0.1, 0.4; other: 0, 0.05, 0.2"
    ):
        matched(runs)
    alone = matched(runs / "one")
    assert list(alone.data) == ["train", "test", "letters"]
    assert alone.trained_on.fingerprint == TRAIN.fingerprint
    np.testing.assert_allclose(alone.times.times, (0, 0.1, 0.4))
    assert alone.times.steps == (0, 1, 4)


def test_what_only_one_run_has_is_left_out_and_said(runs, tmp_path):
    third = trained(tmp_path / "third", data=(TRAIN, TEST), recipe=TrainingRecipe(0.4))
    found = matched(runs / "one", third)
    assert list(found.data) == ["train", "test"]
    np.testing.assert_allclose(found.times.times, (0, 0.4))
    assert found.times.steps == (0, 4)
    assert found.left_out == (
        "set letters: only of one",
        "1 of 3 recorded times of one, which not all have",
        "1 of 3 recorded times of third, which not all have",
    )


def test_times_that_are_almost_the_same_are_not(runs, tmp_path):
    near = trained(tmp_path / "near", data=(TRAIN, TEST), recipe=TrainingRecipe(0.41))
    with pytest.raises(MismatchError, match="no training time after 0 in common"):
        matched(runs / "one", near)


WARMED = Cosine(8, warmup=1)  # its first rate is 0
HALTED = Piecewise((2, 4), (0.0, 1.0))  # as are its third and fourth


def scheduled(path, schedule, steps):
    network = Architecture((Flatten(), Dense(10)))
    run = Run(network, TrainingRecipe(0.5, schedule=schedule), 6, 3, steps, TRAIN, (TEST,))
    run_ensemble(run, path, Console(quiet=True), Execution(Strategy(1)))
    return path


def medians(path, name):
    with xr.open_zarr(path / "logits.zarr") as store:
        return np.median(store[name].values, axis=1)


@pytest.mark.parametrize(
    ("schedule", "steps", "times"),
    [(WARMED, (0, 1, 2), (0, 0, 0.5)), (HALTED, (0, 1, 2, 3, 4, 5), (0, 0.5, 1, 1, 1, 1.5))],
    ids=["warm-up", "rates of 0 in between"],
)
def test_records_of_one_time_are_kept_apart(tmp_path, schedule, steps, times):
    path = scheduled(tmp_path / "run", schedule, steps)
    found = matched(path)
    np.testing.assert_allclose(found.times.times, times)
    assert found.times.steps == steps
    assert found.left_out == ()
    tables = compare(compared(found, {}), found.times, "run")
    for name in ("loss", "gradient_norm"):
        of_store = medians(path, name)
        assert np.isnan(of_store[0])  # no batch before the first step
        assert np.isfinite(of_store[1:]).all()
        np.testing.assert_array_equal(tables["training"][name].sel(run="run"), of_store)
    with xr.open_zarr(path / "logits.zarr") as store:
        means = store.logits.values.mean(1)
    np.testing.assert_allclose(tables["mean_logits"]["mean"].sel(run="run"), means, atol=1e-6)  # float32 sums of 6
    frame = frame_of(tables["training"])
    rows = frame[frame.evaluation_set == "test"]
    assert rows.step.tolist() == list(steps)
    np.testing.assert_array_equal(rows.loss, medians(path, "loss"))


def test_records_of_one_time_are_matched_in_their_order(tmp_path):
    """Of three records at t = 1 and two, two are compared, each with the other run's of its place among them."""
    one = scheduled(tmp_path / "one", HALTED, (0, 2, 3, 4, 5))  # t = 0, 1, 1, 1, 1.5
    other = scheduled(tmp_path / "other", Piecewise((2, 3), (0.0, 1.0)), (0, 1, 2, 3, 4))  # 0, 0.5, 1, 1, 1.5
    found = matched(one, other)
    np.testing.assert_allclose(found.times.times, (0, 1, 1, 1.5))
    assert found.steps == {"one": (0, 2, 3, 5), "other": (0, 2, 3, 4)}
    assert found.left_out == (
        "1 of 5 recorded times of one, which not all have",
        "1 of 5 recorded times of other, which not all have",
    )
    tables = compare(compared(found, {}), found.times, "one")
    for name, at in (("one", [0, 1, 2, 4]), ("other", [0, 2, 3, 4])):
        np.testing.assert_array_equal(tables["training"].loss.sel(run=name), medians(tmp_path / name, "loss")[at])


def test_a_run_without_warm_up_is_matched_with_the_first_record_of_a_time(tmp_path):
    warmed, plain = scheduled(tmp_path / "warmed", WARMED, (0, 1, 2)), scheduled(tmp_path / "plain", Constant(), (0, 1))
    assert matched(warmed, plain).steps == {"warmed": (0, 2), "plain": (0, 1)}
    assert matched(plain, warmed).steps == {"plain": (0, 1), "warmed": (0, 2)}


def changed(data, **changes):
    return replace(data, **changes)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((TRAIN, replace(TEST, inputs=TEST.inputs + 1)), "set 'test' holds other data in third .*than in one"),
        ((TRAIN, replace(TEST, classes=(*TEST.classes[1:], "x"))), "set 'test' has other classes in third"),
        (
            (replace(TRAIN, classes=(*TRAIN.classes[1:], "x")), TEST),
            "third was trained on other classes .*than one .*: logits are not of the same things",
        ),
        (
            (replace(TRAIN, name="mine", inputs=TRAIN.inputs[::-1].copy()), replace(TEST, name="yours")),
            r"no evaluation set in common \(one: train, test, letters; third: mine, yours\)",
        ),
    ],
    ids=["data", "labels", "classes", "none in common"],
)
def test_other_sets_are_refused(runs, tmp_path, data, message):
    with pytest.raises(MismatchError, match=message):
        matched(runs / "one", trained(tmp_path / "third", data=data))


def test_other_outputs_are_refused(runs, tmp_path):
    toy = Toy(8, 4).load()
    third = trained(tmp_path / "third", Architecture((Dense(1),)), data=tuple(toy))
    with pytest.raises(MismatchError, match="third has 1 logits, but one has 10"):
        matched(runs / "one", third)


def test_members_with_rates_of_their_own_have_no_common_time(runs, tmp_path):
    third = trained(tmp_path / "third", recipe=TrainingRecipe((0.1, 0.2, 0.3)))
    with pytest.raises(MismatchError, match="members of third have learning rates of their own"):
        matched(runs / "one", third)


def test_there_is_no_other_reference(runs):
    assert matched(runs / "one").named(None) == "one"
    with pytest.raises(MismatchError, match="there is no run named 'gcnn'; there are one"):
        matched(runs / "one").named("gcnn")
