"""MNIST's files: written here byte by byte, read back exactly, refused with what is wrong."""

import gzip
import struct

import numpy as np
import pytest

from tests.support.memory import little_memory
from tests.support.stored_pictures import CLASSES, check_splits, pictures
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers.idx import IdxFiles, read_idx

IDX = {"train": (6, 4), "t10k": (3, 5)}  # images and seed


def idx_bytes(array, code=0x08):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape)
    formats = {0x08: "B", 0x09: "b", 0x0B: "h", 0x0C: "i", 0x0D: "f", 0x0E: "d"}
    return header + struct.pack(f">{array.size}{formats[code]}", *array.ravel().tolist())


def compressed(content):
    """Without the time of day, which would make the names of tests differ between processes."""
    return gzip.compress(content, mtime=0)


@pytest.fixture
def idx(tmp_path):
    """A directory of four idx files, two of them gzipped, of images 5×4."""
    for prefix, (samples, seed) in IDX.items():
        images, labels = pictures(samples, (5, 4), seed)
        (tmp_path / f"{prefix}-images-idx3-ubyte.gz").write_bytes(compressed(idx_bytes(images)))
        (tmp_path / f"{prefix}-labels-idx1-ubyte").write_bytes(idx_bytes(labels))
    return tmp_path


def test_idx_files_are_read_plain_or_gzipped(idx):
    train, test = (pictures(samples, (5, 4), seed) for samples, seed in IDX.values())
    splits = IdxFiles(idx).load()
    with_channel = [(images[..., None], labels) for images, labels in (train, test)]
    check_splits(splits, *with_channel, tuple("0123456789"))
    assert splits.train.provenance == splits.test.provenance == f"{idx} (idx files)"
    assert IdxFiles(idx, CLASSES).load().test.classes == CLASSES


@pytest.mark.parametrize("code", [0x08, 0x09, 0x0B, 0x0C, 0x0D, 0x0E])
def test_numbers_of_idx_files_have_the_high_byte_first(tmp_path, code):
    array = np.array([[1, 2, 100], [3, 0, 77]]) * (300 if code > 0x09 else 1)
    (tmp_path / "file").write_bytes(idx_bytes(array, code))
    found = read_idx(tmp_path / "file", axes=2)
    assert found.dtype.itemsize == {0x08: 1, 0x09: 1, 0x0B: 2, 0x0C: 4, 0x0D: 4, 0x0E: 8}[code]
    np.testing.assert_array_equal(found, array)


IMAGES = "train-images-idx3-ubyte.gz"
LABELS = "train-labels-idx1-ubyte"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            IMAGES,
            None,
            "no file train-images-idx3-ubyte or train-images-idx3-ubyte.gz or train-images.idx3-ubyte or train-images.",
        ),
        (IMAGES, b"", "cannot be read to its end; it may be damaged|begins with the bytes (none)"),
        (IMAGES, b"not compressed", "cannot be read to its end; it may be damaged or cut short (Not a gzipped file"),
        (
            IMAGES,
            compressed(idx_bytes(np.ones((6, 5, 4), int)))[:-9],
            "cannot be read to its end; it may be damaged or cut short (Compressed",
        ),
        (IMAGES, compressed(b""), "begins with the bytes (none); an idx file of 3 axes begins with 00 00 08/09/0b"),
        (
            IMAGES,
            compressed(b"\0\0\x08\x01"),
            "bytes 00 00 08 01; an idx file of 3 axes begins with 00 00 08/09/0b/",
        ),
        (IMAGES, compressed(b"\0\0\x08\x03\0"), "has 5 bytes; the header alone of an idx file of 3 axes has 16"),
        (
            IMAGES,
            compressed(idx_bytes(np.ones((6, 5, 4), int))[:-1]),
            "has 135 bytes unpacked; its header, of shape",
        ),
        (
            IMAGES,
            compressed(idx_bytes(np.ones((6, 5, 4), int)) + b"\0"),
            "more than 136 bytes unpacked; its header, of shape",
        ),
        (
            IMAGES,
            compressed(idx_bytes(np.ones((6, 5, 3), int))),
            "training and test inputs differ in shape, (5, 3, 1) and (5, 4, 1)",
        ),
        (IMAGES, compressed(idx_bytes(np.ones((0, 5, 4), int))), "shape (0, 5, 4, 1); images must be numbers"),
        (IMAGES, compressed(idx_bytes(np.full((6, 5, 4), np.nan), 0x0D)), "6 of 6 images have pixels that are NaN"),
        (LABELS, b"\0\0\x07\x01\0\0\0\x06", "begins with the bytes 00 00 07 01; an idx file of 1 axes begins with"),
        (LABELS, b"\x06\0\0\0\x01\x08\0\0", "begins with the bytes 06 00 00 00"),
        (LABELS, idx_bytes(np.zeros(5, int)), "5 labels for 6 images"),
        (LABELS, idx_bytes(np.arange(6) + 5), "label 10 of image 5 is out of range; with 10 classes labels run from 0"),
        (LABELS, idx_bytes(np.arange(6) - 1, 0x09), "label -1 of image 0 is out of range"),
        (LABELS, idx_bytes(np.arange(6), 0x0D), "array of shape (6,); labels must be one whole number for each image"),
    ],
)
def test_idx_files_that_are_wrong_are_refused(idx, name, content, message):
    if content is None:
        (idx / name).unlink()
    else:
        (idx / name).write_bytes(content)
    with pytest.raises(DataError) as refusal:
        IdxFiles(idx).load()
    text = str(refusal.value)
    assert any(part in text for part in message.split("|")), text
    assert str(idx) in text
    assert content is None or name in text or "differ in shape" in text


def test_names_with_a_dot_are_read_too(idx):
    """As the files of MNIST are called once they have been unpacked by some."""
    expected = IdxFiles(idx).load().train.fingerprint
    for path in sorted(idx.iterdir()):
        path.rename(idx / path.name.replace("-idx", ".idx"))
    assert {path.name for path in idx.iterdir()} >= {"train-images.idx3-ubyte.gz", "t10k-labels.idx1-ubyte"}
    assert IdxFiles(idx).load().train.fingerprint == expected


@pytest.mark.parametrize(
    ("name", "packed", "stored"),
    [("train-images-idx3-ubyte.gz", compressed, "gzipped"), ("train-labels-idx1-ubyte", bytes, "")],
)
def test_a_header_does_not_decide_how_much_memory_is_taken(idx, name, packed, stored):
    axes = 3 if "images" in name else 1
    (idx / name).write_bytes(packed(struct.pack(f">BBBB{axes}I", 0, 0, 8, axes, *[2**32 - 1] * axes)))
    with (
        little_memory(),
        pytest.raises(DataError, match=rf"{name} has \d+ bytes.*{stored}.*; its header, of shape .* says \d{{10,}}"),
    ):
        IdxFiles(idx).load()


def test_more_is_not_unpacked_than_the_header_says(idx):
    """Of a file that is mostly air: 64 MiB of zeros after the images."""
    (idx / IMAGES).write_bytes(compressed(idx_bytes(np.ones((6, 5, 4), int)) + bytes(2**26)))
    with little_memory(), pytest.raises(DataError, match="more than 136 bytes unpacked"):
        IdxFiles(idx).load()


def test_a_directory_of_nothing_is_said_to_be_so(tmp_path):
    for directory, found in [(tmp_path, "it is empty"), (tmp_path / "none", "there is no such directory")]:
        with pytest.raises(DataError, match=f"has no file train-images.*; {found}"):
            IdxFiles(directory).load()
    for number in range(20):
        (tmp_path / f"file{number:02}").touch()
    with pytest.raises(DataError, match=r"it holds file00, .*, file11, … \(20 in all\)"):
        IdxFiles(tmp_path).load()
    with pytest.raises(DataError, match="it is a file"):
        IdxFiles(tmp_path / "file00").load()


def test_fewer_class_names_than_labels_are_refused(idx):
    with pytest.raises(
        DataError, match=r"train-labels-idx1-ubyte: label 2 of image \d is out of range; with 2 classes"
    ):
        IdxFiles(idx, ("a", "b")).load()
