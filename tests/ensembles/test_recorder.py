"""The logits store: readable by xarray, whole, and written record by record."""

import numpy as np
import pytest
import xarray as xr

from widesym.ensembles.recorder import (
    Layout,
    SickMembersError,
    Snapshot,
    check_store,
    create_store,
    read_logits,
    read_orbits,
    together,
    write_record,
)
from widesym.ensembles.stores import METRICS

SETS = {"train": 2, "ood": 3}
STEPS = (0, 4, 10)


LAYOUT = Layout(STEPS, np.array(STEPS)[None] * 0.5, members=2, sets=SETS, logits=4)
HEALTHY = np.ones(2, bool)


def arrays(seed):
    """What a record holds."""
    return {"logits": np.concatenate(list(logits(seed).values()), axis=1), **{name: np.ones(2) for name in METRICS}}


def logits(seed):
    """Of two members and four logits on both sets."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((2, samples, 4)).astype("f") for name, samples in SETS.items()}


@pytest.fixture
def store(tmp_path):
    """A store whose last record is not written yet."""
    path = tmp_path / "logits.zarr"
    create_store(path, LAYOUT)
    for index in (0, 1):
        write_record(path, index, arrays(index), HEALTHY)
    return path


def test_xarray_opens_the_store_with_its_labels(store):
    """Warnings are errors here: opening it must not raise any."""
    with xr.open_zarr(store) as found:
        assert found.logits.dims == ("time", "member", "sample", "logit")
        assert found.logits.shape == (3, 2, 5, 4)
        assert found.logits.dtype == np.float32
        np.testing.assert_array_equal(found.time, [0, 2, 5])  # step × learning rate
        np.testing.assert_array_equal(found.step, STEPS)
        assert found.step.dims == ("time",)
        np.testing.assert_array_equal(found.member, [0, 1])
        assert found.attrs["evaluation_sets"] == ["train", "ood"]
        np.testing.assert_array_equal(found.evaluation_set, [0, 0, 1, 1, 1])
        np.testing.assert_array_equal(found.logits.sel(time=2.0, member=1)[2:], logits(1)["ood"][1])
        np.testing.assert_array_equal(found.image, [0, 1, 0, 1, 2])
        np.testing.assert_array_equal(found.element, 0)
        np.testing.assert_array_equal(found.recorded, [True, True, False])
        np.testing.assert_array_equal(found.healthy, [[True, True], [True, True], [False, False]])
        np.testing.assert_array_equal(found.loss, [[1, 1], [1, 1], [np.nan, np.nan]])


def test_logits_come_back_by_set_and_missing_times_are_nan(store):
    found = read_logits(store)
    assert list(found) == list(SETS)
    for name, values in found.items():
        for index in (0, 1):
            np.testing.assert_array_equal(values[index], logits(index)[name])
        assert values.shape == (3, 2, SETS[name], 4)
        assert np.isnan(values[2]).all()


def test_a_record_is_replaced_alone(store):
    write_record(store, 0, arrays(7), HEALTHY)
    found = read_logits(store)
    for name in SETS:
        np.testing.assert_array_equal(found[name][0], logits(7)[name])
        np.testing.assert_array_equal(found[name][1], logits(1)[name])


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    path = tmp_path / "logits.zarr"
    (tmp_path / ".logits.zarr.new" / "junk").mkdir(parents=True)
    create_store(path, LAYOUT)
    assert [entry.name for entry in tmp_path.iterdir()] == ["logits.zarr"]
    assert np.isnan(read_logits(path)["ood"]).all()


def test_members_of_another_number_are_refused(store):
    """zarr would broadcast one member's logits over all."""
    with pytest.raises(ValueError, match=r"shape \(1, 5, 4\), but .* stores \(2, 5, 4\) a time"):
        write_record(store, 2, {"logits": arrays(0)["logits"][:1]}, HEALTHY)


def sick_store(tmp_path, healthy):
    """Two members, the health of whom is given at the two recorded times."""
    path = tmp_path / "logits.zarr"
    create_store(path, LAYOUT)
    for index, flags in enumerate(healthy):
        write_record(path, index, arrays(index), np.array(flags))
    return path


def test_sick_members_are_neither_included_nor_excluded_in_silence(tmp_path):
    path = sick_store(tmp_path, [[True, True], [True, False]])
    with pytest.raises(
        SickMembersError, match=r"1 of 2 members in .*logits.zarr are not healthy.* \(members 1\); lower"
    ):
        read_logits(path)
    assert read_logits(path, sick="include")["ood"].shape[1] == 2
    found = read_logits(path, sick="exclude")  # at all times: the mean is over the same members at each
    for index in (0, 1):
        np.testing.assert_array_equal(found["ood"][index], logits(index)["ood"][:1])


def test_of_sick_members_alone_there_is_no_mean(tmp_path):
    path = sick_store(tmp_path, [[False, True], [True, False]])
    with pytest.raises(SickMembersError, match="none is left"):
        read_logits(path, sick="exclude")


def test_orbits_come_back_element_by_element(tmp_path):
    path, rng = tmp_path / "logits.zarr", np.random.default_rng(0)
    layout = Layout((0,), np.zeros((1, 1)), 2, SETS, 4, orbits={"ood": 8})
    create_store(path, layout)
    train, ood = rng.standard_normal((2, 2, 4)), rng.standard_normal((2, 8, 3, 4))
    joined = np.concatenate([train, ood.reshape(2, 24, 4)], axis=1).astype("f")
    write_record(path, 0, {"logits": joined}, HEALTHY)
    np.testing.assert_array_equal(read_orbits(path)["ood"][0], ood.astype("f"))
    np.testing.assert_array_equal(read_orbits(path)["train"][0, :, 0], train.astype("f"))
    np.testing.assert_array_equal(read_logits(path)["ood"][0], ood[:, 0].astype("f"))
    with xr.open_zarr(path) as found:
        chosen = (found.evaluation_set == 1) & (found.element == 5) & (found.image == 2)
        np.testing.assert_array_equal(found.logits[0, :, chosen].squeeze(), ood[:, 5, 2].astype("f"))


def test_times_that_differ_between_members_and_their_numbers(tmp_path):
    path, rates = tmp_path / "logits.zarr", np.float32([0.5, 1])
    create_store(path, Layout(STEPS, np.outer(rates, STEPS), 2, SETS, 4, by_member={"learning_rate": rates}))
    with xr.open_zarr(path) as found:
        assert "time" not in found.variables
        np.testing.assert_array_equal(found.training_time, np.outer(STEPS, rates))
        assert found.training_time.dims == ("time", "member")
        np.testing.assert_array_equal(found.learning_rate, rates)


def test_snapshots_and_sizes(tmp_path):
    path = tmp_path / "logits.zarr"
    layout = Layout(STEPS, np.zeros((1, 3)), 2, SETS, 4, snapshots=(Snapshot("ntk", ("input", "other"), (5, 5)),))
    create_store(path, layout)
    ntk = np.random.default_rng(0).standard_normal((2, 5, 5)).astype("f")
    write_record(path, 1, {"ntk": ntk}, HEALTHY)
    with xr.open_zarr(path) as found:
        np.testing.assert_array_equal(found.ntk[1], ntk)
        assert found.ntk.dims == ("time", "member", "input", "other")
        floats = sum(found[name].nbytes for name in ("logits", *METRICS, "ntk"))
    assert layout.bytes == floats


def test_large_records_are_cut_into_files_of_some_members(tmp_path, monkeypatch):
    """And a record leaves the numbers of others alone."""
    monkeypatch.setattr("widesym.ensembles.recorder.CHUNK_BYTES", 4 * 20 * 3)  # a record of three members
    layout = Layout(STEPS, np.zeros((1, 3)), 7, SETS, 4)
    create_store(tmp_path / "logits.zarr", layout)
    values = np.random.default_rng(0).standard_normal((3, 7, 5, 4)).astype("f")
    for index in (2, 0, 1):
        write_record(tmp_path / "logits.zarr", index, {"logits": values[index]}, np.ones(7, bool))
    with xr.open_zarr(tmp_path / "logits.zarr") as found:
        np.testing.assert_array_equal(found.logits, values)
        assert found.logits.encoding["chunks"] == (1, 3, 5, 4)


def files_in(path):
    return sorted(file.relative_to(path).as_posix() for file in path.rglob("*") if file.is_file())


def test_a_small_store_is_few_files(tmp_path):
    """Two for each array that holds something, whatever the number of records; and what each records is its own."""
    path, steps = tmp_path / "logits.zarr", tuple(range(20))
    create_store(path, Layout(steps, np.zeros((1, 20)), 2, SETS, 4))
    values = np.random.default_rng(0).standard_normal((20, 2, 5, 4)).astype("f")
    for index in (3, 0, 19):
        write_record(path, index, {"logits": values[index], "loss": values[index, :, 0, 0]}, HEALTHY)
    with xr.open_zarr(path) as found:
        at = [0, 3, 19]
        np.testing.assert_array_equal(found.logits[at], values[at])
        np.testing.assert_array_equal(found.loss[at], values[at, :, 0, 0])
        np.testing.assert_array_equal(np.flatnonzero(found.recorded), at)
        np.testing.assert_array_equal(found.healthy.sum("member") > 0, found.recorded)
        assert np.isnan(found.logits.values[1]).all()
    of_arrays = {file.split("/")[0] for file in files_in(path)}
    assert len(files_in(path)) <= 2 * len(of_arrays)
    assert {file for file in files_in(path) if file.startswith("logits/")} == {"logits/zarr.json", "logits/c.0.0.0.0"}


@pytest.mark.parametrize(
    ("times", "members", "bytes_each", "expected"),
    [
        (20, 2, 4, (20, 2)),
        (64, 2**12, 4, (64, 2**12)),  # a MiB, written anew 64 times
        (64, 2**12 + 1, 4, (1, 2**12 + 1)),
        (10**5, 2, 4, (1, 2)),  # 0.8 MB, written anew 100,000 times, would be 80 GB
        (10, 10**4, 4 * 10**4, (1, 419)),  # 16 MiB of a record
        (10, 3, 2**26, (1, 1)),
    ],
)
def test_files_hold_what_can_be_written_anew(times, members, bytes_each, expected):
    assert together(times, members, bytes_each) == expected


def test_what_cannot_be_written_on_is_refused_before_training(store):
    """A file of several times is read before a record is added; a damaged one is known by its checksum."""
    check_store(store, LAYOUT)
    file = store / "loss" / "c.0.0"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"logits\.zarr cannot be read"):
        check_store(store, LAYOUT)
