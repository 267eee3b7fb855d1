"""Trees of picture files: which picture is of which class and part, and that none is left out without a word."""

import numpy as np
import pytest
from PIL import Image

from tests.support.stored_pictures import standardised
from widesym.ensembles.data import DataError, ImageFolders
from widesym.ensembles.data.cache import cached
from widesym.ensembles.data.raw import Raw, RawSplit


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def tree(tmp_path):
    """A function that writes pictures, of one colour each, which it gives, to these places below a folder."""

    def write(*names):
        greys = np.random.default_rng(0).permutation(256)[: len(names)]
        for name, grey in zip(names, greys, strict=True):
            file = tmp_path / "set" / name
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("wb") as opened:  # whatever its suffix
                Image.fromarray(np.full((2, 2, 3), grey, np.uint8)).save(opened, "PNG")
        return ImageFolders(tmp_path / "set", 2), dict(zip(names, greys.tolist(), strict=True))

    return write


@pytest.mark.parametrize(
    ("folders", "parts"),
    [
        (("train", "test"), ("train", "test")),
        (("training", "Testing"), ("training", "Testing")),
        (("train", "val"), ("train", "val")),
        (("train", "test", "val"), ("train", "test")),
    ],
)
def test_parts_in_folders_of_their_own_are_the_splits(tree, folders, parts):
    names = [f"{part}/{name}/{index}.png" for part in folders for name in ("b", "a") for index in range(3)]
    source, greys = tree(*names)
    splits = source.load()
    expected = [[greys[f"{part}/{name}/{index}.png"] for name in "ab" for index in range(3)] for part in parts]
    pixels = [np.full((6, 2, 2, 3), np.reshape(each, (6, 1, 1, 1))) for each in expected]
    for split, images in zip(splits, pixels, strict=True):
        assert split.classes == ("a", "b")
        np.testing.assert_array_equal(split.labels, [0, 0, 0, 1, 1, 1])
        # Values of order one, rounded to float32.
        np.testing.assert_allclose(split.inputs, standardised(images, pixels[0]), atol=1e-6)
    provenance = f"(image folders, {parts[0]} and {parts[1]}, averaged to 2×2 pixels)"
    assert splits.train.provenance.endswith(provenance)
    assert [len(part) for part in ImageFolders(source.path, 2, train=4, test=5).load()] == [4, 5]


def test_a_class_may_be_called_like_a_part(tree):
    source, _ = tree("train/0.png", "bus/0.png", "tram/0.png")
    assert source.load().train.classes == ("bus", "train", "tram")


def test_what_is_hidden_and_folders_without_pictures_are_left_out(tree, tmp_path):
    source, _ = tree("a/0.png", "b/0.png", "a/.hidden.gif", "b/.more/0.png")
    (tmp_path / "set" / "a" / "notes").mkdir()
    (tmp_path / "set" / "a" / "notes" / "read.me").touch()
    assert [len(part) for part in source.load()] == [1, 1]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("train/0.png", "test/0.png"),
         "set has the folders test, train, which are read as parts, but .*test has pictures outside folders of classes "
         r"\(0\.png\); if these are classes"),
        (("train/a/0.png", "test/a/0.png", "test/1.png"), r"read as parts, but .*/test has pictures outside .*1\.png"),
        (("train/a/0.png",), "set has the folders train: one must be `train`, and one `test` or `val`; to hold some"),
        (("test/a/0.png", "val/a/0.png"), "set has the folders test, val: one must be `train`"),
        (("train/a/0.png", "test/a/0.png", "Train/a/1.png"), "folders Train, test, train: one must be `train`"),
        (("train/a/0.png", "train/b/0.png", "test/a/0.png"), "other classes than each other; b are in one of them al"),
        (("train/a/0.png", "test/a/0.png", "extra/a/0.png"),
         r"extra has pictures in folders of its own \(a/0\.png\); classes cannot be nested"),
        (("a/0.png", "a/x/0.png", "a/x/1.TIF", "b/0.png"),
         r"set/a has pictures in folders of its own \(x/0\.png, x/1\.TIF\); classes cannot be nested: move them into"),
        (("cats/tabby/0.png", "dogs/pug/0.png"), r"cats has pictures in folders of its own \(tabby/0\.png\)"),
        (("a/deep/er/0.gif", "a/0.png"), r"set/a has pictures in folders of its own \(deep/er/0\.gif\)"),
        (("a/0.png", "b/0.png", "c.png"), r"set has pictures beside its folders \(c\.png\); each must be in that of"),
        (("train/a/0.png", "test/a/0.png", "c.gif"), r"set has pictures beside its folders \(c\.gif\); each must be i"),
        (("a/0.png", "a/1.gif", "a/2.bmp", "a/3.JFIF", "a/4.webp"),
         r"set/a has pictures of other formats \(1\.gif, 2\.bmp, 3\.JFIF, … \(4 in all\)\), expected \.jpeg, \.jpg"),
    ],
)  # fmt: skip
def test_pictures_that_would_be_dropped_or_of_two_meanings_are_refused(tree, tmp_path, names, message):
    source, _ = tree(*names)
    with pytest.raises(DataError, match=message):
        source.load()
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_parts_are_of_one_size(tree, tmp_path):
    source, _ = tree("train/a/0.png", "test/a/0.png")
    Image.new("RGB", (4, 4)).save(tmp_path / "set" / "test" / "a" / "0.png")
    with pytest.raises(DataError, match=r"test/a/0\.png has 4×4 pixels; the first picture has 2×2"):
        source.load()


def test_what_an_earlier_version_read_is_read_again(tree):
    source, _ = tree("a/0.png", "a/1.png", "b/0.png")
    about = {name: value for name, value in source._description.items() if name != "reading"}  # as it was said
    stale = Raw("set", RawSplit(np.zeros((3, 2, 2, 3), np.uint8), np.zeros(3, int)), None, "earlier", ("x",))
    cached(source._title, about, lambda: stale)
    assert source.load().train.classes == ("a", "b")
