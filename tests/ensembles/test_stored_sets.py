"""Data sets written to files and read again."""

import io

import numpy as np
import pytest

from widesym.ensembles.data import DataError, Dataset, Digits, Toy
from widesym.ensembles.data.dataset import Quantity
from widesym.ensembles.data.stored import load_dataset, save_dataset

INPUTS = np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4)
SETS = {
    "labels": Digits(4, 2).load().train,
    "values": Toy(4, 2).load().test,
    "neither": Dataset("ü / noise", INPUTS, None, (), "made ‖here‖"),
    "both": Dataset("both", INPUTS, np.array([1, 0]), ("a", "b"), "", np.ones((2, 1)), (Quantity("E", "meV"),)),
}


@pytest.mark.parametrize("name", SETS)
def test_what_is_read_is_what_was_written(tmp_path, name):
    data, path = SETS[name], tmp_path / "set.npz"
    with path.open("wb") as file:
        save_dataset(file, data)
    found = load_dataset(path)
    assert found.fingerprint == data.fingerprint
    for field in ("name", "classes", "provenance", "quantities", "bytes", "normalisation"):
        assert getattr(found, field) == getattr(data, field)
    for field in ("inputs", "labels", "values"):
        assert getattr(getattr(found, field), "dtype", None) == getattr(getattr(data, field), "dtype", None)


def test_damaged_files_are_named(tmp_path):
    path, file = tmp_path / "set.npz", io.BytesIO()
    save_dataset(file, SETS["labels"])
    for content in (b"", b"text", file.getvalue()[:300], file.getvalue()[:-30]):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"set.npz holds no data set that can be read"):
            load_dataset(path)
    with pytest.raises(DataError, match=r"none.npz holds no data set that can be read \(FileNotFoundError"):
        load_dataset(tmp_path / "none.npz")
