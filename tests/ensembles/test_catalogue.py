"""Data sets by name and by path, and what there is out of distribution of each."""

import sys

import numpy as np
import pytest
from test_tfds import library, pet

from tests.support.stored_pictures import pictures
from widesym.ensembles.data import (
    SETS,
    CifarBinary,
    CrossProduct,
    DataError,
    Dataset,
    Digits,
    IdxFiles,
    ImageFolders,
    IsingEnergies,
    Npz,
    Source,
    Tfds,
    Toy,
    find_source,
    from_arrays,
    ood_sets,
    standardised,
)
from widesym.ensembles.data.catalogue import OF_PICTURES, OF_QUANTITIES


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", library({"train": [pet(index) for index in range(8)]}))
    monkeypatch.chdir(tmp_path)


def test_sources_are_found_by_name():
    for name, known in SETS.items():
        assert find_source(name) is known.source
        assert isinstance(known.source, Source)
    assert find_source("fashion_mnist") == Tfds("fashion_mnist")


def test_any_name_of_tfds_is_found_and_without_tfds_what_is_cached(monkeypatch):
    assert find_source("pets") == Tfds("pets")
    find_source("pets").prepare()
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert len(find_source("pets").load().train) == 6
    with pytest.raises(DataError, match=r"no data set named 'other'.*\(beyond these: TFDS cannot be imported"):
        find_source("other")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("digit", r"did you mean digits\?"),
        ("MNIST", r"did you mean mnist or .*\?"),
        ("fashion-mnist", r"did you mean fashion_mnist.*\?"),
        ("zzz", "there are digits, ising, toy, toy-plane, cross-product, qm9, mnist"),
        ("here/there.npz", "no such file or folder"),
        ("kmnis", r"did you mean kmnist or .*TFDS has no data set named 'kmnis'; did you mean kmnist"),
    ],
)
def test_names_that_come_close_are_told(name, hint):
    with pytest.raises(
        DataError, match=f"there is no data set named '{name}', and no such file or folder; .*{hint}|{hint}"
    ):
        find_source(name)


def test_files_and_folders_are_told_apart_by_what_is_in_them(tmp_path, monkeypatch):
    for name in (
        "idx/train-images-idx3-ubyte.gz",
        "cifar/data_batch_1.bin",
        "tissue/ADI/1.png",
        "pets/train/cat/1.png",
        "pets/test/cat/1.png",
        "set.npz",
        "SET.NPZ",
        "folder.npz/x/1.png",
        "none/x.csv",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).touch()
    expected = {
        "idx": IdxFiles("idx"),
        "cifar": CifarBinary("cifar"),
        "tissue": ImageFolders("tissue"),
        "pets": ImageFolders("pets"),
        "set.npz": Npz("set.npz"),
        "SET.NPZ": Npz("SET.NPZ"),
        "folder.npz": ImageFolders("folder.npz"),
    }
    for name, source in expected.items():
        assert find_source(name) == source
    monkeypatch.setenv("HOME", str(tmp_path))
    assert find_source("~/idx") == IdxFiles(tmp_path / "idx")
    with pytest.raises(DataError, match=r"none is no data set; expected a \.npz file, or .*; it holds x\.csv"):
        find_source("none")
    with pytest.raises(DataError, match=r"x\.csv is no data set; .*; it is a file"):
        find_source("none/x.csv")


def holding_data(path):
    """A folder with a picture in the folder of a class."""
    (path / "a").mkdir(parents=True)
    (path / "a" / "0.png").touch()


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("digits", "{type: Digits}"),
        ("mnist", "{type: Tfds, name: mnist}"),
        ("ising", "{type: IsingEnergies, size: 16, train: 1000, test: 1000}"),
    ],
)
def test_the_name_of_a_set_is_refused_where_data_of_that_name_lie(tmp_path, name, written):
    (tmp_path / name / "checkpoints").mkdir(parents=True)
    assert find_source(name) is SETS[name].source  # a run's directory is no data set
    holding_data(tmp_path / name)
    with pytest.raises(DataError) as refusal:
        find_source(name)
    expected = (
        f"'{name}' is the name of a data set, and {tmp_path / name} holds data, too; write ./{name} for these, and for "
        f"the former write {written} in a configuration, or give them another name"
    )
    assert str(refusal.value) == expected
    assert find_source(f"./{name}") == find_source(f"{name}/") == ImageFolders(name)


def test_a_folder_named_like_a_set_in_the_cache_is_refused(tmp_path):
    holding_data(tmp_path / "pets")
    assert find_source("pets") == ImageFolders("pets")
    Tfds("pets").prepare()
    with pytest.raises(
        DataError, match=r"'pets' is the name of a data set in the cache, .* \{type: Tfds, name: pets\}"
    ):
        find_source("pets")
    assert find_source("./pets") == ImageFolders("pets")


def test_a_folder_of_two_layouts_is_refused(tmp_path):
    (tmp_path / "both" / "notes").mkdir(parents=True)
    (tmp_path / "both" / "train-images-idx3-ubyte").touch()
    assert find_source("both") == IdxFiles("both")
    holding_data(tmp_path / "both" / "notes")
    message = (
        r"both may be read as \{type: IdxFiles, directory: both\} or \{type: ImageFolders, path: both\}; write the one"
    )
    with pytest.raises(DataError, match=message):
        find_source("both")


def test_no_name_is_of_two_sets():
    of_probes = {name for known in (OF_PICTURES, *OF_QUANTITIES.values()) for name in known}
    assert not of_probes & SETS.keys()


@pytest.mark.parametrize(
    "source",
    [Digits(40, 20), IsingEnergies(8, 20, 5, updates=5), Toy(), Toy(dimension=2), CrossProduct(20, 5)],
    ids=lambda source: f"{type(source).__name__}{getattr(source, 'dimension', '')}",
)
def test_every_set_out_of_distribution_fits_what_it_is_of(source):
    train, _ = source.load()
    assert ood_sets(train)
    for make in ood_sets(train).values():
        data = make(train, 7, 3)
        assert data.inputs.shape == (7, *train.inputs.shape[1:])
        assert data.fingerprint == make(train, 7, 3).fingerprint
        assert data.fingerprint != make(train, 7, 4).fingerprint
        if train.inputs.ndim == 4:
            # float32 rounding of values of order one.
            np.testing.assert_allclose(standardised(data).inputs.std((1, 2, 3)), 1, atol=1e-5)


def test_colours_and_other_shapes_have_sets_out_of_distribution_too():
    colours = from_arrays(pictures(12, (6, 8, 3), 0)).splits().train
    for make in ood_sets(colours).values():
        assert make(colours, 5, 0).inputs.shape == (5, 6, 8, 3)
    for channels in (2, 4):
        others = from_arrays(pictures(12, (6, 8, channels), 0)).splits().train
        for make in ood_sets(others).values():
            assert make(others, 5, 0).inputs.shape == (5, 6, 8, channels)
        assert set(ood_sets(colours)) - set(ood_sets(others)) == {"letters"}
    signals = Dataset("signals", np.ones((4, 2, 6, 5, 3), "f"), None, (), "made up")
    assert set(ood_sets(signals)) == {"white noise", "pixel noise", "uniform noise"}


def test_what_is_further_out_is_uniform_in_its_shell():
    train, _ = Toy(dimension=2).load()
    norms = np.linalg.norm(ood_sets(train)["further out"](train, 4000, 0).inputs, axis=1)
    assert 1 <= norms.min() <= norms.max() <= 2
    # Half of the shell's area lies within √2.5; to 4.5 standard errors.
    assert abs((norms < np.sqrt(2.5)).mean() - 0.5) < 4.5 * 0.5 / np.sqrt(4000)
