"""What the sources that read files share: pictures as they were stored, and errors for people."""

import contextlib
import gzip
import hashlib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

import numpy as np
from jaxtyping import Int, Num

from widesym.ensembles.data.archives import most_unpacked
from widesym.ensembles.data.dataset import DataError
from widesym.ensembles.data.raw import RawSplit
from widesym.ensembles.files import open_regular

FilePath = str | Path


def labelled_images(
    images: Num[np.ndarray, "sample row column channel"],
    labels: Int[np.ndarray, " sample"],
    classes: tuple[str, ...],
    images_from: str,
    labels_from: str,
) -> RawSplit:
    """Images as their file holds them, each with a label into `classes`.

    Raises DataError, which begins with the file that they are from, for images that are none, not numbers or not
    finite, and labels that are not one class for each.
    """
    check_images(images_from, images)
    check_image_labels(labels_from, labels, len(images), classes)
    return RawSplit(images, labels)


def check_images(where: str, images: Num[np.ndarray, "sample row column channel"]) -> None:
    """Raise DataError for what are no images, or have pixels that are not finite."""
    if images.ndim != 4 or not images.size or images.dtype.kind not in "uif":
        raise DataError(
            f"{where}: {images.dtype} array of shape {images.shape}; images must be numbers, [sample, row, column] or "
            "[sample, row, column, channel], and at least one"
        )
    if images.dtype.kind == "f" and not (finite := np.isfinite(images).all((1, 2, 3))).all():
        raise DataError(
            f"{where}: {(~finite).sum()} of {len(images)} images have pixels that are NaN or infinite, the first of "
            f"them image {finite.argmin()}"
        )


def check_image_labels(where: str, labels: Int[np.ndarray, " sample"], images: int, classes: tuple[str, ...]) -> None:
    """Raise DataError for labels that are not one class for each image."""
    check_integer_labels(where, labels)
    if len(labels) != images:
        raise DataError(f"{where}: {len(labels)} labels for {images} images")
    outside = (labels < 0) | (labels >= len(classes))
    if outside.any():
        raise DataError(
            f"{where}: label {labels[outside.argmax()]} of image {outside.argmax()} is out of range; with "
            f"{len(classes)} classes labels run from 0 to {len(classes) - 1}"
        )


def check_integer_labels(where: str, labels: Int[np.ndarray, " sample"]) -> None:
    """Raise DataError for labels that are not a list of whole numbers."""
    if labels.ndim != 1 or labels.dtype.kind not in "ui":
        raise DataError(
            f"{where}: {labels.dtype} array of shape {labels.shape}; labels must be one whole number for each image, "
            "the number of its class (the argmax of one-hot rows; numbers to regress on are no labels)"
        )


def labels_of(where: str, labels: Int[np.ndarray, "sample *one"]) -> Int[np.ndarray, " sample"]:
    """Labels [sample, 1], as MedMNIST has them, without their last axis; raises DataError for what are no labels."""
    labels = labels[:, 0] if labels.ndim == 2 and labels.shape[1] == 1 else labels
    check_integer_labels(where, labels)
    return labels.astype(np.int64, copy=False)  # NumPy makes floats of unsigned and signed ones side by side


def numbered_classes(path: FilePath, labels: Int[np.ndarray, " sample"]) -> tuple[str, ...]:
    """Training labels themselves as class names; raises DataError where they leave a number out, as damaged ones do."""
    found = np.unique(labels)
    if not np.array_equal(found, np.arange(len(found))):
        listed = ", ".join(map(str, found[:12])) + (", …" if len(found) > 12 else "")
        raise DataError(
            f"{path}: the training labels that occur are {listed}; give classes, or labels 0, 1, … with none left out"
        )
    return tuple(map(str, found))


def class_names(names: Iterable[str]) -> tuple[str, ...]:
    """The names as a tuple; raises ValueError for what are not distinct names."""
    found = () if isinstance(names, str) else tuple(names)
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in found):
        raise ValueError(f"classes are {names!r}; give a sequence of names")
    if repeated := sorted({name for name in found if found.count(name) > 1}):
        raise ValueError(f"classes name {', '.join(repeated)} more than once; names must differ")
    return found


@contextlib.contextmanager
def reading(path: Path, purpose: str) -> Iterator[IO[bytes]]:
    """The file opened, decompressed if its name ends in .gz; raises DataError for whatever goes wrong within."""
    with (
        explaining_read_errors(path, purpose),
        open_regular(path) as stored,
        gzip.open(stored) if path.suffix == ".gz" else stored as file,
    ):
        yield cast(IO[bytes], file)


def read_bytes(path: Path, most: int) -> bytes:
    """What a file holds, decompressed if its name ends in .gz; raises DataError where that are more than `most` bytes,
    of which no more are read, and where it cannot be read to its end.
    """
    with reading(path, "read to its end") as file:
        content = file.read(min(most, most_in(path)) + 1)
    if len(content) > most:
        raise DataError(f"{path} has more than {most} bytes, which is the most that it should have")
    return content


def check_may_hold(path: Path, size: int, what: str) -> None:
    """Raise DataError where a file is too small to hold that many bytes, `what` being who says that it does: nobody's
    header decides how much memory is taken.
    """
    if size > most_in(path):
        packed = ", gzipped" if path.suffix == ".gz" else ""
        raise DataError(
            f"{path} has {path.stat().st_size} bytes{packed}, of which {most_in(path)} are read at most; {what} {size}"
        )


def most_in(path: Path) -> int:
    """The most bytes read of a file, decompressed if its name ends in .gz; raises OSError where there is none."""
    size = path.stat().st_size
    return most_unpacked(size) if path.suffix == ".gz" else size


def state_of(files: Iterable[Path]) -> str:
    """Digest of names, sizes and times of change: it differs where a file may have changed.

    Raises DataError for a link that leads nowhere.
    """
    digest = hashlib.sha256()
    for file in files:
        with explaining_read_errors(file, "read"):
            state = file.stat()
        digest.update(f"{file} {state.st_size} {state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


@contextlib.contextmanager
def explaining_read_errors(where: FilePath, purpose: str) -> Iterator[None]:
    """Raise DataError, which names the file, for whatever goes wrong in reading it."""
    try:
        yield
    except DataError:
        raise
    except Exception as error:  # decoders meet damage as OSError, EOFError, SyntaxError, zlib.error, struct.error, …
        reason = re.sub(r"\s+", " ", str(error)) or type(error).__name__
        raise DataError(f"{where} cannot be {purpose}; it may be damaged or cut short ({reason})") from None


def existing(directory: Path, *names: str) -> Path:
    """The first of these files that there is; raises DataError, saying what there is instead."""
    for name in names:
        if (directory / name).is_file():
            return directory / name
    raise DataError(f"{directory} has no file {' or '.join(names)}; {contents(directory)}")


def contents(directory: Path, most: int = 12) -> str:
    """What there is in a directory, for messages."""
    if not directory.is_dir():
        return "it is a file" if directory.exists() else "there is no such directory"
    names = sorted(entry.name for entry in directory.iterdir())
    listed = ", ".join(names[:most]) + (f", … ({len(names)} in all)" if len(names) > most else "")
    return f"it holds {listed}" if names else "it is empty"
