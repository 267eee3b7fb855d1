"""CIFAR-10's binary files, written here record by record."""

import struct

import numpy as np
import pytest

from tests.support.stored_pictures import CLASSES, check_splits, pictures
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers.cifar import CifarBinary


@pytest.fixture
def cifar(tmp_path):
    """A directory of CIFAR-10's binary files with four images each."""
    for number in range(1, 7):
        name = f"data_batch_{number}.bin" if number < 6 else "test_batch.bin"
        images, labels = pictures(4, (32, 32, 3), number)
        records = [
            struct.pack("B", label) + b"".join(image[:, :, colour].tobytes() for colour in range(3))
            for image, label in zip(images, labels, strict=True)
        ]
        (tmp_path / name).write_bytes(b"".join(records))
    (tmp_path / "batches.meta.txt").write_text("plane\ncar\nbird\n\n")
    return tmp_path


def test_cifar_has_colours_in_planes_and_five_training_files(cifar):
    batches = [pictures(4, (32, 32, 3), number) for number in range(1, 7)]
    train = tuple(map(np.concatenate, zip(*batches[:5], strict=True)))
    splits = CifarBinary(cifar, images_per_file=4).load()
    check_splits(splits, train, batches[5], CLASSES)
    assert splits.train.provenance == f"{cifar} (CIFAR-10, binary version)"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("data_batch_3.bin", lambda content: content[:-1], "has 12291 bytes; 4 images of 3073 bytes are 12292"),
        ("test_batch.bin", lambda content: content[:3073], "has 3073 bytes; 4 images of 3073 bytes are 12292"),
        (
            "data_batch_1.bin",
            lambda content: b"\x07" + content[1:],
            "label 7 of image 0 is out of range; with 3 classes",
        ),
        ("data_batch_5.bin", None, "has no file data_batch_5.bin; it holds batches.meta.txt, data_batch_1.bin"),
        ("batches.meta.txt", None, "has no file batches.meta.txt"),
        ("batches.meta.txt", lambda _: b"plane\ncar\n", "label 2 of image"),
        ("batches.meta.txt", lambda _: b"\xff\xfe", "cannot be read as class names, one a line"),
        ("batches.meta.txt", lambda _: b"car\ncar\n", "classes name car more than once"),
    ],
)
def test_cifar_files_that_are_wrong_are_refused(cifar, name, change, message):
    path = cifar / name
    path.write_bytes(change(path.read_bytes())) if change else path.unlink()
    with pytest.raises(DataError) as refusal:
        CifarBinary(cifar, images_per_file=4).load()
    assert message in str(refusal.value)
    assert str(cifar) in str(refusal.value)


def test_cifar_has_ten_thousand_images_a_file(cifar):
    with pytest.raises(DataError, match="has 12292 bytes; 10000 images of 3073 bytes are 30730000"):
        CifarBinary(cifar).load()
