"""The logits store: readable by xarray, whole, and written record by record."""

import numpy as np
import pytest
import xarray as xr

from ensembles.recorder import create_store, read_logits, write_record

SETS = {"train": 2, "ood": 3}
STEPS = (0, 4, 10)


def logits(seed):
    """Of two members and four logits on both sets."""
    rng = np.random.default_rng(seed)
    return {name: rng.standard_normal((2, samples, 4)).astype("f") for name, samples in SETS.items()}


@pytest.fixture
def store(tmp_path):
    """A store whose last record is not written yet."""
    path = tmp_path / "logits.zarr"
    create_store(path, STEPS, learning_rate=0.5, members=2, sets=SETS, logits=4)
    for index in (0, 1):
        write_record(path, index, logits(index))
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


def test_logits_come_back_by_set_and_missing_times_are_nan(store):
    found = read_logits(store)
    assert list(found) == list(SETS)
    for name, values in found.items():
        for index in (0, 1):
            np.testing.assert_array_equal(values[index], logits(index)[name])
        assert values.shape == (3, 2, SETS[name], 4)
        assert np.isnan(values[2]).all()


def test_a_record_is_replaced_alone(store):
    write_record(store, 0, logits(7))
    found = read_logits(store)
    for name in SETS:
        np.testing.assert_array_equal(found[name][0], logits(7)[name])
        np.testing.assert_array_equal(found[name][1], logits(1)[name])


def test_what_a_killed_process_left_is_in_nobodys_way(tmp_path):
    path = tmp_path / "logits.zarr"
    (tmp_path / "logits.zarr.new" / "junk").mkdir(parents=True)
    create_store(path, STEPS, 0.5, 2, SETS, 4)
    assert [entry.name for entry in tmp_path.iterdir()] == ["logits.zarr"]
    assert np.isnan(read_logits(path)["ood"]).all()


def test_members_of_another_number_are_refused(store):
    """zarr would broadcast one member's logits over all."""
    with pytest.raises(ValueError, match=r"shape \(1, 5, 4\), but .* stores \(2, 5, 4\) a time"):
        write_record(store, 2, {name: values[:1] for name, values in logits(0).items()})
