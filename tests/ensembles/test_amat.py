"""MNIST's variations in .amat files: written here line by line."""

import numpy as np
import pytest

from tests.support.memory import little_memory
from tests.support.stored_pictures import check_splits
from widesym.ensembles.data import Amat, DataError, find_source
from widesym.ensembles.data.readers.amat import VARIATIONS

CLASSES = tuple("0123456789")
TRAIN, TEST = VARIATIONS["rotated"][:2]


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))


def images(samples, seed):
    """Pixels from 0 to 1 that differ from their mirror images, and labels."""
    rng = np.random.default_rng(seed)
    return np.round(rng.random((samples, 28, 28)), 5), rng.integers(0, 10, samples)


def lines(pixels, labels, by_columns=False):
    """The text of a file, each pixel as its authors write it, and a label as float."""
    for image, label in zip(pixels, labels, strict=True):
        order = [(row, column) for row in range(28) for column in range(28)]
        values = [image[column, row] if by_columns else image[row, column] for row, column in order]
        yield " " + " ".join(f"{value:.5f}" for value in values) + f" {label:.5f}\n"


def write(folder, name="rotated"):
    """The two files of a variation with three and two images, and what is in them."""
    variation, parts = VARIATIONS[name], (images(3, 0), images(2, 1))
    folder.mkdir(exist_ok=True)
    for file, part in zip(variation[:2], parts, strict=True):
        (folder / file).write_text("".join(lines(*part, variation.by_columns)))
    return parts


@pytest.mark.parametrize("name", VARIATIONS)
def test_digits_stand_upright_whichever_way_their_pixels_are_written(tmp_path, name):
    train, test = write(tmp_path / "set", name)
    splits = Amat(tmp_path / "set", (3, 2)).load()
    for part, (pixels, labels) in zip(splits, (train, test), strict=True):
        np.testing.assert_array_equal(part.labels, labels)
        # Numbers between 0 and 1, as float32 that were normalised and brought back.
        np.testing.assert_allclose(part.normalisation.undone(part.inputs)[..., 0], pixels, atol=1e-6)
    check_splits(splits, *((np.float32(pixels)[..., None], labels) for pixels, labels in (train, test)), CLASSES)
    assert splits.train.provenance == f"{tmp_path / 'set'} (MNIST {name}, amat files)"
    assert find_source(str(tmp_path / "set")) == Amat(tmp_path / "set")


def test_three_of_the_variations_are_written_otherwise():
    """Those of which github.com/jaberg/skdata says that they lie on their side, as far as they are read."""
    assert {name for name, variation in VARIATIONS.items() if variation.by_columns} == {"on images", "on noise"}


def test_what_is_read_is_cached_until_a_file_changes(tmp_path):
    source = Amat(tmp_path / "set", (3, 2))
    write(tmp_path / "set")
    source.prepare()
    entry = source.entry
    assert entry.path.exists()
    text = (tmp_path / "set" / TEST).read_text()
    (tmp_path / "set" / TEST).write_text(text.replace("0.", "0.0", 1))
    assert source.entry.path != entry.path


def changed(lines, number, text):
    return [*lines[:number], text, *lines[number + 1 :]]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[:2], f"{TRAIN} has 2 lines; expected one for each of 3 images"),
        (lambda text: [*text, "\n", text[0]], f"{TRAIN} has more than 3 lines"),
        (
            lambda text: changed(text, 1, text[1].replace(" ", "", 2)),
            "line 2 has 784 numbers; expected 784 pixels and a",
        ),
        (
            lambda text: changed(text, 1, text[1][:-30] + "\n"),
            r"line 2 has \d+ numbers; expected 784 pixels and a label",
        ),
        (lambda text: changed(text, 2, text[2].replace(" 0.", " x.", 1)), "line 3 cannot be read as numbers"),
        (lambda text: changed(text, 2, " nan" + text[2][8:]), "line 3 has numbers that are NaN or infinite"),
        (lambda text: changed(text, 0, text[0][:-6] + "5000\n"), r"line 1: the label is \d\.5; it must be a whole num"),
        (lambda text: changed(text, 0, text[0][:-8] + " 10\n"), "label 10 of image 0 is out of range; with 10 classes"),
        (lambda text: ["0 1\n"], f"{TRAIN} has 4 bytes; the numbers of 3 images take 4710 at least"),
        (lambda text: changed(text, 0, " 0" * 10**6 + "\n"), r"line 1 has \d+ numbers; expected"),
    ],
)
def test_files_that_are_wrong_are_refused(tmp_path, change, message):
    write(tmp_path / "set")
    path = tmp_path / "set" / TRAIN
    path.write_text("".join(change(path.read_text().splitlines(keepends=True))))
    with little_memory(), pytest.raises(DataError, match=message) as refusal:
        Amat(tmp_path / "set", (3, 2)).load()
    assert str(path) in str(refusal.value)


def test_folders_of_none_and_of_two_variations_are_refused(tmp_path):
    (tmp_path / "set").mkdir()
    with pytest.raises(DataError, match=r"set must have the files of one variation of MNIST, .*; it is empty"):
        Amat(tmp_path / "set").load()
    write(tmp_path / "set")
    write(tmp_path / "set", "upright")
    with pytest.raises(DataError, match="it has those of digits rotated and upright"):
        Amat(tmp_path / "set").load()
    (tmp_path / "set" / VARIATIONS["upright"].train).unlink()
    (tmp_path / "set" / TEST).unlink()
    with pytest.raises(DataError, match=f"has no file {TEST}; it holds"):
        Amat(tmp_path / "set").load()
    with pytest.raises(ValueError, match="images is 0; it must be a positive integer"):
        Amat("set", (0, 1))
