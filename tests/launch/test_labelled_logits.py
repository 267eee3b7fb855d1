"""Logits of a run with labels: what `sel` finds is what the store holds."""

import shutil

import numpy as np
import pytest
import zarr

from tests.support.stored_runs import LINEAR, STEPS, TEST, TRAIN, trained
from widesym.ensembles import FullOrbit, TrainingRecipe
from widesym.ensembles.data import CrossProduct, DataError, letters
from widesym.ensembles.recorder import SickMembersError, read_logits, read_orbits
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.stored import open_run
from widesym.models import Architecture, Dense, Flatten, cyclic

OTHER = letters(5, size=8)


@pytest.fixture(scope="module")
def orbits(tmp_path_factory):
    """Members 4, 7 and 9 of a larger ensemble, on two sets turned by C4."""
    path = tmp_path_factory.mktemp("labelled") / "run"
    numbers = {"orbit": FullOrbit(cyclic(4)), "member_numbers": (4, 7, 9)}
    return trained(path, LINEAR, data=(TRAIN, TEST, OTHER), **numbers)


def test_labels_find_what_is_stored(orbits):
    logits, stored = open_run(orbits).logits, read_orbits(RunPaths(orbits).store)
    assert logits.dims == ("time", "member", "sample", "logit")
    assert logits.sizes["sample"] == sum(values.shape[2] * values.shape[3] for values in stored.values())
    for name, values in stored.items():
        of_set = logits.sel(evaluation_set=name)
        assert of_set.shape == (3, 3, values.shape[2] * values.shape[3], 10)
        for element in range(values.shape[2]):
            np.testing.assert_array_equal(of_set.sel(element=element), values[:, :, element])
    one = logits.sel(evaluation_set=OTHER.name, element=3, image=2, member=7, step=4, logit="6")
    assert one.item() == stored[OTHER.name][2, 1, 3, 2, 6]
    assert {*logits.indexes} == {*logits.dims, "evaluation_set", "element", "image", "step"}


def test_sets_are_alone_once_they_are_found(orbits):
    """Neither other sets nor a name that is not there."""
    logits = open_run(orbits).logits
    assert logits.sel(evaluation_set=OTHER.name, element=0).dims == ("time", "member", "image", "logit")
    assert {*logits.evaluation_set.values} == {TRAIN.name, TEST.name, OTHER.name}
    with pytest.raises(KeyError, match="blur"):
        logits.sel(evaluation_set="blur")


def test_times_are_labels_too(orbits):
    logits = open_run(orbits).logits
    np.testing.assert_allclose(logits.time, [0.1 * step for step in STEPS])  # the rate, summed up in float64
    assert logits.sel(time=0.3, method="nearest").step == 4
    assert logits.sel(step=[0, 4]).step.values.tolist() == [0, 4]
    assert logits.healthy.all()


def test_the_store_stays_as_it_is(orbits):
    before = {file: file.stat().st_mtime_ns for file in orbits.rglob("*")}
    _ = open_run(orbits).logits.sel(evaluation_set=TEST.name).mean("member").values
    assert {file: file.stat().st_mtime_ns for file in orbits.rglob("*")} == before


def test_numbers_of_members_stand_along_them(tmp_path):
    """Where members have learning rates of their own, training times are (time, member), and labels of neither."""
    path = trained(tmp_path / "run", LINEAR, TrainingRecipe((0.1, 0.2, 0.4)))
    logits = open_run(path).logits
    assert logits.learning_rate.dims == ("member",)
    np.testing.assert_allclose(logits.training_time, np.outer(STEPS, logits.learning_rate))  # in float64
    assert "time" not in logits.coords
    np.testing.assert_array_equal(
        logits.sel(evaluation_set=TEST.name, step=1), read_logits(path / "logits.zarr")[TEST.name][1]
    )


def test_values_have_their_names(tmp_path):
    sets = CrossProduct(train=6, test=3).load()
    path = trained(tmp_path / "run", Architecture((Flatten(), Dense(3))), data=sets)
    names = [quantity.name for quantity in sets.train.quantities]
    assert open_run(path).logits.logit.values.tolist() == names
    assert len(names) == 3


@pytest.fixture
def copied(orbits, tmp_path):
    return shutil.copytree(orbits, tmp_path / "copy")


def test_without_the_data_logits_are_numbered(copied):
    shutil.rmtree(copied / "data")
    assert open_run(copied).logits.logit.values.tolist() == [*range(10)]


def test_data_that_are_damaged_are_named(copied):
    (file,) = (copied / "data").glob("0-*")
    file.write_bytes(b"")
    with pytest.raises(DataError, match=r"0-train\.npz holds no data set"):
        _ = open_run(copied).logits


def test_sick_members_are_asked_about(copied):
    healthy = zarr.open_group(copied / "logits.zarr", mode="r+")["healthy"]
    healthy[2, 1] = False
    run = open_run(copied)
    with pytest.raises(SickMembersError, match=r"1 of 3 members .* read with sick='exclude' or 'include'"):
        _ = run.logits
    assert run.labelled_logits("exclude").member.values.tolist() == [4, 9]
    included = run.labelled_logits("include")
    assert included.healthy.values.tolist() == [[True] * 3, [True] * 3, [True, False, True]]


def test_times_that_are_not_recorded_yet_are_left_out(copied):
    recorded = zarr.open_group(copied / "logits.zarr", mode="r+")["recorded"]
    recorded[2] = False
    assert open_run(copied).logits.step.values.tolist() == [0, 1]
