"""CIFAR-100's binary files, the pickles of both Python versions, and CIFAR-10-C: written here, read as they are."""

import os
import pickle

import numpy as np
import pytest

from tests.support.memory import little_memory
from tests.support.stored_pictures import CLASSES, check_splits, pictures
from widesym.ensembles.data import Cifar10C, Cifar100Binary, CifarPython, DataError, find_source

COARSE = ("animal", "vehicle")
FINE = pictures(4, (32, 32, 3), 1), pictures(3, (32, 32, 3), 2)
OF_FINE = np.array([1, 1, 0], np.uint8)  # which of the coarse classes each fine one is of


def planes(image):
    """The red, the green and the blue plane, each row by row."""
    return bytes(int(image[row, column, colour]) for colour in range(3) for row in range(32) for column in range(32))


@pytest.fixture
def binary(tmp_path):
    """A directory of CIFAR-100's binary version, of four and three images."""
    for name, (images, labels) in zip(("train.bin", "test.bin"), FINE, strict=True):
        records = [bytes([OF_FINE[label], label]) + planes(image) for image, label in zip(images, labels, strict=True)]
        (tmp_path / name).write_bytes(b"".join(records))
    (tmp_path / "fine_label_names.txt").write_text("\n".join([*CLASSES, "", ""]))
    (tmp_path / "coarse_label_names.txt").write_text("\n".join(COARSE))
    return tmp_path


def with_coarse_labels(part):
    return part[0], OF_FINE[part[1]]


def test_cifar_100_has_two_labels_before_the_planes(binary):
    check_splits(Cifar100Binary(binary, images=(4, 3)).load(), *FINE, CLASSES)
    coarse = Cifar100Binary(binary, "coarse", (4, 3)).load()
    check_splits(coarse, *map(with_coarse_labels, FINE), COARSE)
    assert coarse.train.provenance == f"{binary} (CIFAR-100, binary version, coarse labels)"
    assert find_source(str(binary)) == Cifar100Binary(binary)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("train.bin", lambda content: content[:-1], "has 12295 bytes; 4 images of 3074 bytes are 12296"),
        ("test.bin", lambda content: content + b"\0", "has more than 9222 bytes"),
        ("test.bin", lambda content: b"\0\x07" + content[2:], "test.bin: label 7 of image 0 is out of range; with 3"),
        ("test.bin", None, "has no file test.bin; it holds coarse_label_names.txt, fine_label_names.txt, train.bin"),
        ("fine_label_names.txt", None, "has no file fine_label_names.txt"),
        ("fine_label_names.txt", lambda content: content * 9999, "fine_label_names.txt has more than 65536 bytes"),
    ],
)
def test_cifar_100_that_is_wrong_is_refused(binary, name, change, message):
    path = binary / name
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    with pytest.raises(DataError) as refusal:
        Cifar100Binary(binary, images=(4, 3)).load()
    assert message in str(refusal.value)
    assert str(binary) in str(refusal.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Cifar100Binary("x", "finest"), "labels is 'finest'; it must be one of fine, coarse"),
        (lambda: CifarPython("x", "finest"), "CifarPython: labels is 'finest'"),
        (lambda: Cifar100Binary("x", images=(1, 0)), "images is 0; it must be a positive integer"),
        (lambda: Cifar100Binary("x", images=5), "images is 5; it must be two numbers"),
        (lambda: Cifar10C("x", "fog", 0), "severity is 0; it must be a whole number from 1 to 5"),
        (lambda: Cifar10C("x", "fog", 2.0), r"severity is 2\.0"),
    ],
)
def test_other_values_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def rows(images):
    return np.frombuffer(b"".join(map(planes, images)), np.uint8).reshape(len(images), -1)


def write_pickle(path, **entries):
    """As Python 2 has written them: keys and names are bytes."""
    path.write_bytes(pickle.dumps({name.encode(): value for name, value in entries.items()}, 3))


@pytest.fixture
def ten(tmp_path):
    """CIFAR-10's Python version with two images in each of five batches, and three to test."""
    for number in range(1, 7):
        images, labels = pictures(2 if number < 6 else 3, (32, 32, 3), number)
        name = f"data_batch_{number}" if number < 6 else "test_batch"
        filenames = [b"a.png"] * len(labels)
        write_pickle(
            tmp_path / name,
            batch_label=b"training batch",
            labels=labels.tolist(),
            data=rows(images),
            filenames=filenames,
        )
    write_pickle(tmp_path / "batches.meta", num_cases_per_batch=2, label_names=[name.encode() for name in CLASSES])
    return tmp_path


def test_the_pickles_of_cifar_10_are_read(ten):
    batches = [pictures(2 if number < 6 else 3, (32, 32, 3), number) for number in range(1, 7)]
    train = tuple(map(np.concatenate, zip(*batches[:5], strict=True)))
    splits = CifarPython(ten).load()
    check_splits(splits, train, batches[5], CLASSES)
    assert splits.train.provenance == f"{ten} (CIFAR-10, Python version)"
    assert find_source(str(ten)) == CifarPython(ten)


@pytest.mark.parametrize("labels", ["fine", "coarse"])
def test_the_pickles_of_cifar_100_are_read(tmp_path, labels):
    for name, (images, fine) in zip(("train", "test"), FINE, strict=True):
        coarse = OF_FINE[fine].tolist()
        write_pickle(tmp_path / name, data=rows(images), fine_labels=fine.tolist(), coarse_labels=coarse)
    write_pickle(tmp_path / "meta", fine_label_names=list(CLASSES), coarse_label_names=list(COARSE))
    parts = FINE if labels == "fine" else map(with_coarse_labels, FINE)
    check_splits(CifarPython(tmp_path, labels).load(), *parts, CLASSES if labels == "fine" else COARSE)
    assert find_source(str(tmp_path)) == CifarPython(tmp_path)


class Attack:
    """What makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_an_attack_in_a_batch_is_refused_and_does_nothing(ten):
    images, labels = pictures(2, (32, 32, 3), 3)
    write_pickle(ten / "data_batch_3", data=rows(images), labels=labels.tolist(), extra=Attack(ten / "made"))
    with pytest.raises(DataError, match=r"data_batch_3 cannot be read as .*: it would call posix\.mkdir, and is no"):
        CifarPython(ten).load()
    assert not (ten / "made").exists()


@pytest.mark.parametrize(
    ("name", "entries", "message"),
    [
        ("test_batch", {"data": np.zeros((2, 3072), np.uint8)}, "test_batch has no labels; it has data"),
        ("test_batch", {"data": np.zeros((2, 3072)), "labels": [0, 1]}, r"test_batch\[data\] is an float64 array"),
        ("test_batch", {"data": np.zeros((2, 3073), np.uint8), "labels": [0, 1]}, r"expected bytes \[sample, 3072\]"),
        ("test_batch", {"data": np.zeros((2, 3072), np.uint8), "labels": [0]}, r"\[labels\]: 1 labels for 2 images"),
        ("test_batch", {"data": np.zeros((2, 3072), np.uint8), "labels": [0, 3]}, r"\[labels\]: label 3 of image 1 is"),
        ("test_batch", {"data": [1, 2], "labels": [0, 1]}, r"test_batch\[data\] is an int64 array of shape \(2,\)"),
        ("test_batch", {"data": None, "labels": [0, 1]}, r"\[data\] is NoneType; it must be an array of numbers"),
        ("batches.meta", {"label_names": [b"a", b"a", b"b"]}, r"batches.meta\[label_names\] cannot be read as class"),
        ("batches.meta", {"label_names": 3}, r"batches.meta\[label_names\] cannot be read as class names"),
        ("batches.meta", {"names": []}, "batches.meta has no label_names; it has names"),
    ],
)
def test_batches_that_are_wrong_are_refused(ten, name, entries, message):
    write_pickle(ten / name, **entries)
    with pytest.raises(DataError, match=f"{ten / name}.*{message}|{message}") as refusal:
        CifarPython(ten).load()
    assert str(ten / name) in str(refusal.value)


@pytest.fixture
def corrupted(tmp_path):
    """CIFAR-10-C with two corruptions of four images: at severity s a pixel of image i is 10 s + i, plus its row."""
    np.save(tmp_path / "labels.npy", np.tile(np.arange(4, dtype=np.uint8), 5))
    numbers = np.add.outer(10 * np.arange(1, 6), np.arange(4)).ravel()
    pixels = np.broadcast_to(numbers[:, None, None, None] + np.arange(32)[:, None, None], (20, 32, 32, 3))
    np.save(tmp_path / "fog.npy", pixels.astype(np.uint8))
    np.save(tmp_path / "snow.npy", 2 * pixels.astype(np.uint8))
    return tmp_path


@pytest.mark.parametrize(("corruption", "severity", "factor"), [("fog", 1, 1), ("fog", 5, 1), ("snow", 3, 2)])
def test_a_severity_of_a_corruption_is_taken_out(corrupted, corruption, severity, factor):
    train, test = Cifar10C(corrupted, corruption, severity, images=4, test=2).load()
    for part in (train, test):
        found = part.normalisation.undone(part.inputs)
        # Values up to 120, as float32 that were normalised and brought back.
        expected = factor * (10 * severity + part.labels[:, None, None, None] + np.arange(32)[:, None, None])
        np.testing.assert_allclose(found, np.broadcast_to(expected, found.shape), atol=1e-4)
        assert part.provenance == f"{corrupted / corruption}.npy (CIFAR-10-C, {corruption} at severity {severity})"
    assert sorted([*train.labels, *test.labels]) == [0, 1, 2, 3]
    assert train.classes[3] == "cat"


def test_a_corruption_is_found_by_its_file(corrupted):
    assert find_source(str(corrupted / "fog.npy")) == Cifar10C(corrupted, "fog", 3)
    with pytest.raises(DataError, match=r"corruption: fog\} or \{type: Cifar10C, .*, corruption: snow\}; write"):
        find_source(str(corrupted))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("fog", np.zeros((19, 32, 32, 3), np.uint8), r"\(19, 32, 32, 3\); 4 images at each of 5 severities are 20"),
        ("fog", np.zeros((20, 3, 32, 32), np.uint8), r"uint8 array of shape \(20, 3, 32, 32\); expected bytes"),
        ("fog", np.zeros((20, 32, 32, 3)), "float64 array of shape"),
        ("labels", np.zeros(10, int), r"labels.npy: array of shape \(10,\)"),
        ("labels", np.zeros(20), "labels.npy: float64 array of shape"),
        ("labels", np.full(20, 10), "labels.npy: label 10 of image 0 is out of range; with 10 classes"),
        ("fog", np.array([{}] * 20), r"fog.npy cannot be read as .npy file"),
    ],
)
def test_corruptions_that_are_wrong_are_refused(corrupted, name, array, message):
    np.save(corrupted / f"{name}.npy", array)
    with pytest.raises(DataError, match=message):
        Cifar10C(corrupted, "fog", images=4).load()


def test_what_is_cut_short_or_claims_to_be_huge_is_refused(corrupted):
    with pytest.raises(DataError, match=r"has no file sleet.npy; it holds fog.npy, labels.npy, snow.npy"):
        Cifar10C(corrupted, "sleet", images=4).load()
    whole = (corrupted / "fog.npy").read_bytes()
    huge = whole[:128].replace(b"(20, ", b"(9" + b"9" * 9 + b", ")[:128]
    for content in (whole[:-1], whole[:100], b"", huge + whole[128:]):
        (corrupted / "fog.npy").write_bytes(content)
        with little_memory(), pytest.raises(DataError, match=r"fog.npy cannot be read as .npy file; it may be damaged"):
            Cifar10C(corrupted, "fog", images=4).load()
