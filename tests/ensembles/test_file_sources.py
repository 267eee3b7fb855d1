"""What the sources that read files share: normalisation, messages, and that they are plain values."""

import json
from dataclasses import replace

import numpy as np
import pytest

from ensembles.data import DataError, Source
from ensembles.data.cifar import CifarBinary
from ensembles.data.files import Pictures, class_names, explained, moments, normalised, read_bytes
from ensembles.data.idx import IdxFiles
from ensembles.data.image_folders import ImageFolders
from ensembles.data.npz import Npz
from models.description import describe


def test_channels_are_normalised_each_and_constant_ones_become_zero():
    images = np.random.default_rng(0).standard_normal((2500, 2, 2, 3)) * [3, 0, 20] + [5, 0.3, -100]
    train = Pictures(images[:2400], np.zeros(2400, int), ("a",), "train", "train")
    test = Pictures(images[2400:], np.zeros(100, int), ("a",), "test", "test")
    # The same sums in float64, in another order; they are over more than two blocks.
    np.testing.assert_allclose(
        moments(train.images[..., 0]), [train.images[..., 0].mean(), train.images[..., 0].std()], 1e-12
    )
    splits = normalised(train, test, "made up")
    np.testing.assert_allclose(splits.train.inputs.std((0, 1, 2)), [1, 0, 1], atol=1e-5)  # float32 sums
    np.testing.assert_allclose(splits.test.inputs[..., 1], 0, atol=1e-7)


def test_reading_says_which_file_and_why(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path} cannot be read to its end.*directory"):
        read_bytes(tmp_path)
    with (
        pytest.raises(DataError, match=r"x cannot be read; it may be damaged or cut short \(KeyError\)"),
        explained("x", "read"),
    ):
        raise KeyError
    with pytest.raises(DataError, match=r"^as it is$"), explained("x", "read"):
        raise DataError("as it is")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: IdxFiles("here", ("a", "a")), "classes name a more than once; names must differ"),
        (lambda: IdxFiles("here", "ab"), "classes are 'ab'; give a sequence of names"),
        (lambda: Npz("x.npz", classes=("a", "")), "give a sequence of names"),
        (lambda: Npz("x.npz", test_fraction=1), "test_fraction is 1; it must be a number between 0 and 1"),
        (lambda: Npz("x.npz", test_fraction=float("nan")), "test_fraction is nan"),
        (lambda: Npz("x.npz", test_fraction=True), "test_fraction is True"),
        (lambda: Npz("x.npz", seed=-1), "seed is -1; it must be a whole number, at least 0"),
        (lambda: Npz("x.npz", seed=0.5), "seed is 0.5"),
        (lambda: CifarBinary("here", 0), "images_per_file is 0; it must be at least 1"),
        (lambda: CifarBinary("here", 1.5), "images_per_file is 1.5; it must be a whole number"),
        (lambda: ImageFolders("here", size=0), "size is 0; it must be a whole number of pixels"),
        (lambda: ImageFolders("here", test_fraction=0), "test_fraction is 0"),
    ],
)
def test_sources_are_checked_when_they_are_made(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_sources_are_plain_values(tmp_path):
    for source in (IdxFiles(tmp_path), Npz(tmp_path), CifarBinary(tmp_path), ImageFolders(tmp_path)):
        assert isinstance(source, Source)
        about = json.loads(json.dumps(describe(source)))
        assert about.pop("type") == type(source).__name__
        assert str(tmp_path) in about.values()
        assert type(source)(**about) == source == replace(source)
    assert class_names(["a", "b"]) == ("a", "b")
