"""Data sets as files, one each: what a run directory keeps of the data that it was made with."""

import contextlib
import json
import zipfile
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

import numpy as np

from widesym.ensembles.data.archives import read_array
from widesym.ensembles.data.dataset import DataError, Dataset, Quantity
from widesym.ensembles.data.normalisation import Normalisation
from widesym.ensembles.files import open_regular

ARRAYS = ("inputs", "labels", "values")


def save_dataset(file: IO[bytes], data: Dataset) -> None:
    """Write arrays, names and provenance as npz, which `load_dataset` reads."""
    about = {
        "name": data.name,
        "classes": list(data.classes),
        "provenance": data.provenance,
        "quantities": [[quantity.name, quantity.unit] for quantity in data.quantities],
        "normalisation": data.normalisation and asdict(data.normalisation),
    }
    arrays = {name: array for name in ARRAYS if (array := getattr(data, name)) is not None}
    np.savez(file, allow_pickle=False, about=np.array(json.dumps(about)), **arrays)


def load_dataset(path: Path) -> Dataset:
    """The set in a file of `save_dataset`; raises DataError where there is none, or it is damaged."""
    with _opened(path) as file:
        kept = {name: read_array(path, file, name) for name in ARRAYS if name in file}
        about = json.loads(str(read_array(path, file, "about")))
        quantities = tuple(Quantity(*pair) for pair in about["quantities"])
        normalisation = about.get("normalisation")  # files of earlier versions do not say
        return Dataset(
            about["name"],
            kept["inputs"],
            kept.get("labels"),
            tuple(about["classes"]),
            about["provenance"],
            kept.get("values"),
            quantities,
            normalisation and Normalisation(**normalisation),
        )


def load_names(path: Path) -> tuple[str, ...]:
    """Of the quantities that the set in a file has values of, or else of its classes; raises DataError as
    `load_dataset`, but does not look at the arrays.
    """
    with _opened(path) as file:
        about = json.loads(str(read_array(path, file, "about")))
        return tuple(str(name) for name, _ in about["quantities"]) or tuple(map(str, about["classes"]))


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The npz file to read from; raises DataError where it cannot be."""
    try:
        with open_regular(path) as opened, np.load(opened, allow_pickle=False) as file:
            yield file
    except (OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} holds no data set that can be read ({type(error).__name__}: {error})") from None
