"""What the sources that read files share: messages, and that they are plain values."""

import json
from dataclasses import replace

import pytest

from widesym.ensembles.data import Amat, Cifar10C, Cifar100Binary, CifarPython, DataError, Emnist, Qm9, Source
from widesym.ensembles.data.readers.cifar import CifarBinary
from widesym.ensembles.data.readers.files import class_names, explaining_read_errors, read_bytes
from widesym.ensembles.data.readers.idx import IdxFiles
from widesym.ensembles.data.readers.image_folders import ImageFolders
from widesym.ensembles.data.readers.npz import Npz
from widesym.models.description import describe


def test_reading_says_which_file_and_why(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} cannot be read to its end.*directory"):
        read_bytes(tmp_path, 10)
    with (
        pytest.raises(DataError, match=r"x cannot be read; it may be damaged or cut short \(KeyError\)"),
        explaining_read_errors("x", "read"),
    ):
        raise KeyError
    with pytest.raises(DataError, match=r"^as it is$"), explaining_read_errors("x", "read"):
        raise DataError("as it is")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IdxFiles("here", ("a", "a")), "classes name a more than once; names must differ"),
        (lambda: IdxFiles("here", "ab"), "classes are 'ab'; give a sequence of names"),
        (lambda: Npz("x.npz", classes=("a", "")), "give a sequence of names"),
        (lambda: CifarBinary("here", 0), "images_per_file is 0; it must be a positive integer"),
        (lambda: CifarBinary("here", 1.5), r"images_per_file is 1\.5; it must be a positive integer"),
        (lambda: ImageFolders("here", size=0), "size is 0; it must be a positive integer"),
    ],
)
def test_sources_are_checked_when_they_are_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sources_are_plain_values(tmp_path):
    sources = (
        *(IdxFiles(tmp_path), Npz(tmp_path), CifarBinary(tmp_path), ImageFolders(tmp_path), CifarPython(tmp_path)),
        *(Cifar100Binary(tmp_path), Cifar10C(tmp_path, "fog"), Emnist(tmp_path, "letters"), Amat(tmp_path)),
        Qm9(origin="files", directory=tmp_path),
    )
    for source in sources:
        assert isinstance(source, Source)
        about = json.loads(json.dumps(describe(source)))
        assert about.pop("type") == type(source).__name__
        assert str(tmp_path) in about.values()
        assert type(source)(**about) == source == replace(source)
    assert class_names(["a", "b"]) == ("a", "b")
