"""Pictures in .npz files: as MedMNIST and `numpy.savez` leave them, with and without a split, whole and damaged."""

import zipfile

import numpy as np
import pytest

from tests.support.memory import little_memory
from tests.support.stored_pictures import CLASSES, check_splits, pictures, standardised
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers.npz import Npz


def medmnist(path, **changes):
    """A file in MedMNIST's layout: images 4×4 in colour, labels [sample, 1]."""
    parts = {"train": pictures(7, (4, 4, 3), 1), "val": pictures(5, (4, 4, 3), 2), "test": pictures(4, (4, 4, 3), 3)}
    arrays = {f"{name}_images": images for name, (images, _) in parts.items()}
    arrays |= {f"{name}_labels": labels[:, None] for name, (_, labels) in parts.items()} | changes
    np.savez_compressed(path, **{key: array for key, array in arrays.items() if array is not None})
    return parts["train"], parts["test"]


def test_medmnist_keeps_its_own_split_and_its_validation_set_is_left_out(tmp_path):
    train, test = medmnist(tmp_path / "med.npz")
    splits = Npz(tmp_path / "med.npz").load()
    check_splits(splits, train, test, ("0", "1", "2"))
    assert splits.train.provenance == f"{tmp_path / 'med.npz'} (npz)"
    assert Npz(tmp_path / "med.npz", classes=CLASSES).load().train.classes == CLASSES


@pytest.mark.parametrize("dtype", ["u1", "<i2", ">i2", ">u2", "<u8", "<f2", "<f4", ">f8"])
def test_grey_images_gain_a_channel_and_whatever_the_numbers_are_is_the_same(tmp_path, dtype):
    train, test = medmnist(tmp_path / "colour.npz")
    grey = [images[..., 0].astype(dtype) for images, _ in (train, test)]
    medmnist(tmp_path / "grey.npz", train_images=grey[0], test_images=grey[1])
    splits = Npz(tmp_path / "grey.npz").load()
    check_splits(splits, (train[0][..., :1], train[1]), (test[0][..., :1], test[1]), ("0", "1", "2"))


@pytest.mark.parametrize("labels", [lambda each: each, lambda each: each[:, None]])
def test_the_layout_of_keras_is_read(tmp_path, labels):
    """mnist.npz, as keras' load_data finds it: grey bytes [sample, row, column]; some sets have labels [sample, 1]."""
    train, test = pictures(7, (5, 6), 1), pictures(4, (5, 6), 2)
    arrays = {
        f"{axis}_{part}": each
        for part, pair in (("train", train), ("test", test))
        for axis, each in zip("xy", pair, strict=True)
    }
    arrays |= {name: labels(array) for name, array in arrays.items() if name[0] == "y"}
    np.savez(tmp_path / "mnist.npz", **arrays)
    splits = Npz(tmp_path / "mnist.npz").load()
    check_splits(splits, *((images[..., None], numbers) for images, numbers in (train, test)), ("0", "1", "2"))
    for others in ({"x_valid": train[0]}, {"images": train[0]}):
        np.savez(tmp_path / "more.npz", **arrays, **others)
        with pytest.raises(
            DataError, match=r"more.npz has the arrays .*; expected images, labels or .* or x_train, y_tra"
        ):
            Npz(tmp_path / "more.npz").load()


def same_images(inputs, images, training):
    """Indices among `images` of what was loaded."""
    distance = abs(inputs[:, None] - standardised(images, training)[None]).max((2, 3, 4))
    assert (distance.min(1) < 1e-5).all()  # float32 rounding; random images differ by order one
    return distance.argmin(1)


@pytest.mark.parametrize(("asked", "held_out"), [(None, 8), (20, 20)])
def test_a_file_without_split_is_split_by_the_seed(tmp_path, asked, held_out):
    images, labels = pictures(40, (4, 4, 2), 0)
    np.savez(tmp_path / "all.npz", images=images, labels=labels)
    splits = Npz(tmp_path / "all.npz", test=asked, seed=3).load()
    assert (len(splits.train), len(splits.test)) == (40 - held_out, held_out)
    # Which images train follows from their numbers alone: all others normalise differently.
    chosen = np.random.default_rng(3).permutation(40)[held_out:]
    of_train, of_test = (same_images(part.inputs, images, images[chosen]) for part in splits)
    assert sorted([*of_train, *of_test]) == list(range(40))
    check_splits(splits, (images[of_train], labels[of_train]), (images[of_test], labels[of_test]), ("0", "1", "2"))
    again, other = (Npz(tmp_path / "all.npz", test=asked, seed=seed).load() for seed in (3, 4))
    assert again.test.fingerprint == splits.test.fingerprint != other.test.fingerprint


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_labels": None},
         "med.npz has the arrays train_images, val_images, test_images, val_labels, test_labels; "
         "expected images, labels or train_images, train_labels, test_images, test_labels"),
        ({"train_labels": np.zeros((7, 14), int)}, "med.npz[train_labels]: int64 array of shape (7, 14); labels must"),
        ({"train_labels": np.zeros(7)}, "med.npz[train_labels]: float64 array of shape (7,); labels must be one whole"),
        ({"train_labels": np.zeros((6, 1), int)}, "med.npz[train_labels]: 6 labels for 7 images"),
        ({"train_labels": np.array([0, 1, 2, 255, 0, 1, 2])}, "the training labels that occur are 0, 1, 2, 255; give"),
        ({"test_labels": np.array([0, 1, 2, -1])}, "med.npz[test_labels]: label -1 of image 3 is out of r"),
        ({"train_labels": np.arange(7) % 2}, "med.npz[test_labels]: label 2 of image"),
        ({"images": np.ones((4, 4, 4, 3))}, "med.npz has the arrays train_images, val_images, test_images, train_labe"),
        ({"train_images": np.ones((7, 3, 9, 9))}, "med.npz[train_images]: array of shape (7, 3, 9, 9), which may be"),
        ({"train_images": np.ones((7, 28, 28, 28))}, "med.npz[train_images]: array of shape (7, 28, 28, 28), which ma"),
        ({"train_images": np.ones((7, 4, 4, 3), bool)}, "med.npz[train_images]: bool array of shape (7, 4, 4, 3); ima"),
        ({"train_images": np.ones((7, 4, 4, 3)) * 1j}, "med.npz[train_images]: complex128 array of shape (7, 4, 4, 3)"),
        ({"train_images": np.random.default_rng(0).random((7, 4, 4, 3))},
         "and test inputs uint8 from 0 to 255; bring both to one scale"),
        ({"test_images": np.ones((4, 4, 5, 3))}, "inputs differ in shape, (4, 4, 3) and (4, 5, 3)"),
        ({"test_images": np.ones((4, 4, 4))}, "inputs differ in shape, (4, 4, 3) and (4, 4, 1)"),
        ({"test_images": np.ones((4, 16))}, "med.npz[test_images]: float64 array of shape (4, 16); images must be"),
        ({"train_images": np.full((7, 4, 4, 3), "x")}, "med.npz[train_images]: <U1 array of shape (7, 4, 4, 3); image"),
        ({"train_images": np.array([{}] * 7)}, "cannot be read as .npz file; it may be damaged or cut short (Object"),
        ({"test_images": np.where(np.arange(4)[:, None, None, None] > 1, np.nan, np.ones((4, 4, 4, 3)))},
         "med.npz[test_images]: 2 of 4 images have pixels that are NaN or infinite, the first of them image 2"),
    ],
)  # fmt: skip
def test_npz_files_that_are_wrong_are_refused(tmp_path, changes, message):
    medmnist(tmp_path / "med.npz", **changes)
    with pytest.raises(DataError) as refusal:
        Npz(tmp_path / "med.npz").load()
    assert message in str(refusal.value)
    assert str(tmp_path / "med.npz") in str(refusal.value)


def test_labels_without_a_class_name_are_refused(tmp_path):
    medmnist(tmp_path / "med.npz")
    with pytest.raises(
        DataError, match=r"med.npz\[train_labels\]: label 2 of image \d is out of range; with 2 classes"
    ):
        Npz(tmp_path / "med.npz", classes=("a", "b")).load()


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_a_header_does_not_decide_how_much_memory_is_taken(tmp_path, write):
    """The images are said to be 10⁹ where there are seven."""
    images, labels = pictures(7, (4, 4), 0)
    write(tmp_path / "whole.npz", images=images, labels=labels)
    with zipfile.ZipFile(tmp_path / "whole.npz") as whole, zipfile.ZipFile(tmp_path / "lying.npz", "w") as lying:
        for name in whole.namelist():
            content = whole.read(name)
            before, after = b"(7, 4, 4), }         ", b"(1000000000, 4, 4), }"
            lying.writestr(name, content.replace(before, after) if name == "images.npy" else content)
    with (
        little_memory(),
        pytest.raises(DataError, match=r"lying.npz\[images\]: uint8 array of shape \(1000000000, 4, 4\)"),
    ):
        Npz(tmp_path / "lying.npz").load()


def test_what_is_no_npz_file_is_refused(tmp_path):
    medmnist(tmp_path / "med.npz")
    whole = (tmp_path / "med.npz").read_bytes()
    damaged = bytearray(whole)
    damaged[200:210] = bytes(10)
    np.save(tmp_path / "one.npy", np.ones(3))
    contents = {"cut": whole[:-40], "damaged": bytes(damaged), "empty": b"", "one": (tmp_path / "one.npy").read_bytes()}
    messages = dict.fromkeys(contents, "is no .npz file") | {
        "damaged": "cannot be read as .npz file; it may be damaged"
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{tmp_path / name} {messages[name]}"):
            Npz(tmp_path / name).load()
    with zipfile.ZipFile(tmp_path / "other", "w") as archive:
        archive.writestr("readme.txt", "no arrays")
    with pytest.raises(DataError, match=r"has the arrays readme\.txt; expected images, labels or train_images"):
        Npz(tmp_path / "other").load()
    with pytest.raises(DataError, match=r"has no file med.npy; it holds cut, damaged, empty, med.npz"):
        Npz(tmp_path / "med.npy").load()


def test_too_few_images_for_a_split_are_refused(tmp_path):
    images, labels = pictures(3, (4, 4), 0)
    np.savez(tmp_path / "few.npz", images=images, labels=labels)
    for counts, message in [
        ((None, 3), "few.npz, training samples: all asked for, at least 1, and there are 0"),
        ((3, 1), "few.npz, training samples: 3 asked for, at least 1, and there are 2"),
    ]:
        with pytest.raises(DataError, match=message):
            Npz(tmp_path / "few.npz", (), *counts).load()
