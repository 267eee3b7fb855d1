"""Sets from TensorFlow Datasets, with a stand-in for the library (test_tfds_library.py has the library itself)."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from widesym.ensembles.data import DataError, Quantity, Source
from widesym.ensembles.data.cache import entries
from widesym.ensembles.data.readers import tfds
from widesym.ensembles.data.readers.tfds import QUANTITIES, Tfds


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    return tmp_path


class Image:
    """TFDS's feature has this name, too."""


class ClassLabel:
    def __init__(self, *names):
        self.names = list(names)


class NotFoundError(ValueError):
    """What TFDS raises for names that it does not know."""


PETS = {"image": Image(), "label": ClassLabel("cat", "dog"), "id": object()}


def pet(index, shape=(4, 3, 1)):
    return {"image": np.random.default_rng(index).integers(0, 256, shape, np.uint8), "label": index % 2, "id": "x"}


def library(splits, features=PETS, keys=("image", "label"), name="pets", is_prepared=True):
    """A stand-in for tensorflow_datasets that knows one set, and one that needs what is not there."""
    info = SimpleNamespace(name=name, version="1.0.0", full_name=f"{name}/1.0.0", homepage="https://pets.org")
    info.features, info.supervised_keys, info.splits, info.file_format = (
        features,
        keys,
        splits,
        SimpleNamespace(value="tfrecord"),
    )
    states = [is_prepared]
    builder = SimpleNamespace(info=info, data_path=Path("/tfds") / name, is_prepared=lambda: states[-1])
    builder.as_data_source = lambda file_format: splits
    builder.download_and_prepare = lambda: states.append(True)

    def find(asked, data_dir, file_format=None):
        assert data_dir == os.environ["TFDS_DATA_DIR"]
        assert file_format in (None, "array_record")
        if asked == "needy":
            raise ImportError("No module named 'pandas'")
        if asked == "pets/colour=red":
            raise TypeError("Failed to construct: unexpected keyword argument 'colour'")
        if asked.startswith("pets/"):
            raise ValueError("BuilderConfig not found\nThe name must be of the form")
        if asked != name:
            raise NotFoundError("Dataset not found. Available: hundreds")
        return builder

    names = ["mnist", "kmnist", "coco", name]
    core, listed = SimpleNamespace(DatasetNotFoundError=NotFoundError), lambda with_community_datasets: names
    return SimpleNamespace(__version__="4.9.10", builder=find, list_builders=listed, core=core, only=builder)


DOWNLOADER = "tensorflow_datasets.core.download.downloader"


@pytest.fixture
def use(monkeypatch):
    def install(*args, **kwargs):
        stand_in = library(*args, **kwargs)
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in)
        monkeypatch.setitem(sys.modules, DOWNLOADER, SimpleNamespace(MAX_RETRIES=10))
        monkeypatch.setattr(tfds, "ANSWERING", "file:///nowhere")
        return stand_in.only

    return install


def test_without_the_extra_the_message_names_it(monkeypatch):
    for found in (None, SimpleNamespace(__version__="imported in part")):
        monkeypatch.setitem(sys.modules, "tensorflow_datasets", found)
        for ask in (Tfds("mnist").load, Tfds("mnist").prepare):
            with pytest.raises(DataError, match=r"TFDS cannot be imported \(.*\): pip install 'widesym\[tfds\]'"):
                ask()


def test_our_modules_do_not_import_it():
    assert isinstance(Tfds("mnist"), Source)
    assert not {"tensorflow", "tensorflow_datasets"} & {*sys.modules} or find_spec("tensorflow_datasets")


def test_a_set_is_read_once_and_then_needs_no_library(use, monkeypatch):
    records = {"train": [pet(index) for index in range(12)], "test": [pet(index) for index in range(20, 25)]}
    use(records)
    first = Tfds("pets").load()
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    again = Tfds("pets").load()
    assert [part.fingerprint for part in first] == [part.fingerprint for part in again]
    train, test = again
    assert (train.inputs.shape, test.inputs.shape) == ((12, 4, 3, 1), (5, 4, 3, 1))
    assert (train.classes, train.provenance) == (("cat", "dog"), "TensorFlow Datasets, pets/1.0.0 (https://pets.org)")
    pixels = np.stack([record["image"] for record in records["train"]]).astype(float)
    for data, split in zip(again, ("train", "test"), strict=True):
        for x, label in zip(data.inputs * pixels.std() + pixels.mean(), data.labels, strict=True):
            matches = [record for record in records[split] if abs(record["image"] - x).max() < 1e-3]  # of 255
            assert [record["label"] for record in matches] == [label]
    assert [len(part) for part in Tfds("pets", train=3, test=2, seed=1).load()] == [3, 2]  # the same entry
    (entry,) = entries()
    assert entry.facts["versions"] == {"tensorflow-datasets": "4.9.10", "pets": "1.0.0"}


@pytest.mark.parametrize(("splits", "sizes"), [(("train", "validation"), [8, 8]), (("train",), [6, 2])])
def test_other_splits_stand_in_for_a_missing_test_split(use, splits, sizes):
    use({split: [pet(index) for index in range(8)] for split in splits})
    assert [len(part) for part in Tfds("pets").load()] == sizes


def test_molecules_are_charges_and_positions_with_quantities(use):
    rng = np.random.default_rng(0)

    def molecule(index):
        values = {quantity.name: np.float32(index + position / 32) for position, quantity in enumerate(QUANTITIES)}
        return {"charges": np.array([6, 1, 0]), "positions": rng.standard_normal((3, 3)).astype("f"), **values}

    records = [molecule(index) for index in range(10)]
    use({"train": records}, dict.fromkeys(records[0], object()), None, "qm9")
    raw = Tfds("qm9").raw()
    assert (raw.train.inputs.shape, raw.train.labels, raw.test) == ((10, 3, 4), None, None)
    assert raw.quantities[10] == Quantity("U0", "Ha")
    for x, values, record in zip(raw.train.inputs, raw.train.values, records, strict=True):
        np.testing.assert_array_equal(x, np.column_stack([record["charges"], record["positions"]]))
        np.testing.assert_array_equal(values, [record[quantity.name] for quantity in QUANTITIES])
    with pytest.raises(DataError, match=r"qm9 has molecules, not images: load Qm9\(origin='tfds'\)"):
        Tfds("qm9").load()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("mnst", r"TFDS has no data set named 'mnst'; did you mean mnist or kmnist\?"),
        ("zzz", "TFDS has no data set named 'zzz'; they are listed at https://"),
        ("pets/colour=red", "TFDS cannot find 'pets/colour=red': Failed to construct: unexpected keyword argument"),
        ("pets/small", "TFDS cannot find 'pets/small': BuilderConfig not found$"),
        ("needy", r"needy cannot be read \(No module named 'pandas'\): pip install 'widesym\[tfds\]'"),
    ],
)
def test_names_that_cannot_be_found(use, name, message):
    use({"train": [pet(0)]})
    with pytest.raises(DataError, match=message):
        Tfds(name).load()


@pytest.mark.parametrize(
    ("splits", "features", "message"),
    [
        ({"all": [pet(0)]}, PETS, r"/tfds/pets has the splits \['all'\], expected one named train"),
        (
            {"train": [pet(0)]},
            PETS | {"label": Image()},
            r"expected an image and a label, found image \(Image\), label",
        ),
        (
            {"train": [pet(0), pet(1, (4, 5, 1))]},
            PETS,
            r"/tfds/pets has images of several sizes, \(4, 3, 1\) and \(4, 5, 1\)",
        ),
        ({"train": [pet(0), pet(1) | {"label": -1}]}, PETS, "pets: labels run from -1 to 0, but there are 2 classes"),
    ],
)
def test_sets_that_we_cannot_use(use, splits, features, message):
    use(splits, features)
    with pytest.raises(ValueError, match=message):
        Tfds("pets").load()
    assert entries() == []


def test_another_file_format_is_named(use):
    builder = use({"train": [pet(0)]})

    def refuse(file_format):
        raise NotImplementedError("Random access data source for file format tfrecord is not supported")

    builder.as_data_source = refuse
    with pytest.raises(DataError, match=r"/tfds/pets has files of format tfrecord, expected array_record; remove it"):
        Tfds("pets").load()


@pytest.mark.parametrize("error", [RuntimeError("chunk data hash mismatch"), OSError("cannot identify image file")])
def test_damaged_records_are_named(use, error):
    class Damaged(list):
        def __getitem__(self, index):
            raise error

    use({"train": Damaged([pet(0)])})
    with pytest.raises(
        DataError, match=rf"/tfds/pets cannot be read \({error}\); remove it and run `widesym data prepare"
    ):
        Tfds("pets").load()


def test_an_unprepared_set_is_not_fetched_unless_asked(use, folders):
    use({"train": [pet(index) for index in range(5)]}, is_prepared=False)
    entry = rf"{folders}/cache/data/tfds-pets-\w{{12}}"
    message = (
        rf"pets is neither in the cache \({entry}\) nor prepared by TFDS \(/tfds/pets\)\. On a machine with internet "
        rf"run `widesym data prepare pets`, then copy the folder {entry} here"
    )
    with pytest.raises(DataError, match=message):
        Tfds("pets").load()
    Tfds("pets").prepare()
    assert [len(part) for part in Tfds("pets").load()] == [4, 1]


@pytest.mark.parametrize(("answer", "retries"), [("file:///nowhere", 0), (f"file://{__file__}", 10)])
def test_downloads_are_tried_again_only_where_there_is_internet(use, monkeypatch, answer, retries):
    found = []
    builder = use({}, is_prepared=False)

    def fail():
        found.append(sys.modules[DOWNLOADER].MAX_RETRIES)
        raise ConnectionError("no route")

    monkeypatch.setattr(tfds, "ANSWERING", answer)
    builder.download_and_prepare = fail
    with pytest.raises(DataError, match="it takes internet"):
        Tfds("pets").prepare()
    assert (found, sys.modules[DOWNLOADER].MAX_RETRIES) == ([retries], 10)


def test_sets_of_other_things_are_refused_before_they_are_downloaded(use):
    use({}, keys=("image", "id"), is_prepared=False).download_and_prepare = lambda: pytest.fail("downloaded")
    for ask in (Tfds("pets").prepare, Tfds("pets").load):
        with pytest.raises(
            DataError, match=r"pets/1\.0\.0 is no image classification set: expected an image and a label"
        ):
            ask()
    assert entries() == []


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            ConnectionError("no route"),
            r"could not prepare pets in /tfds/pets \(ConnectionError: no route\); it takes internet: run `widesym data",
        ),
        (
            ValueError("could not convert string"),
            r"could not prepare pets in /tfds/pets \(ValueError: could not convert string\); .* pandas < 3",
        ),
        (
            ModuleNotFoundError("No module named 'tensorflow'"),
            r"need TensorFlow \(No .*\): pip install 'widesym\[tfds",
        ),
    ],
)
def test_what_is_in_the_way_of_preparing_is_said(use, error, message):
    def fail():
        raise error

    use({}, is_prepared=False).download_and_prepare = fail
    with pytest.raises(DataError, match=message):
        Tfds("pets").prepare()
    assert entries() == []


@pytest.mark.parametrize("name", ["huggingface:mnist", "mnist:3.0.1", "kaggle:x/y", ":"])
def test_names_that_lead_to_code_of_others_are_refused(name):
    """TFDS would import, or fetch, what stands before the colon."""
    with pytest.raises(DataError, match=r"name is '.*'; names with a colon lead to code of other people's"):
        Tfds(name)
