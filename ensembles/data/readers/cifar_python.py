"""CIFAR-10 and CIFAR-100 from the pickles of their Python versions, which are not run."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.cifar import PIXELS, images_of
from widesym.ensembles.data.readers.cifar100 import Granularity, check_labels_of
from widesym.ensembles.data.readers.files import FilePath, class_names, existing, labelled_images, labels_of
from widesym.ensembles.data.readers.pickles import array_of, read_pickle
from widesym.models.checks import check_seed

TEN = tuple(f"data_batch_{number}" for number in range(1, 6))


@dataclass(frozen=True)
class CifarPython:
    """The Python version of CIFAR-10, unpacked in `directory` (data_batch_1 to data_batch_5, test_batch and
    batches.meta), or of CIFAR-100 (train, test and meta), of which `labels` are the 100 "fine" ones or the 20 "coarse"
    ones (https://www.cs.toronto.edu/~kriz/cifar.html). These files are pickles; nothing that they might call is called
    (`pickles.py`).

    Loads float32 images [sample, 32, 32, 3], normalised (`Raw.splits` says how, and what `train`, `test` and `seed`
    draw). Loading raises DataError for files that are missing, damaged, not of this kind, or would call anything but
    what makes arrays; making one raises ValueError for other labels.
    """

    directory: FilePath
    labels: Granularity = "fine"
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "CifarPython: seed")
        object.__setattr__(self, "directory", str(self.directory))
        check_labels_of("CifarPython", self.labels)

    def load(self) -> Splits:
        """The training batches as training set, the test batch as test set."""
        directory = Path(self.directory)
        if (directory / "train").is_file():
            parts, meta, labels = (("train",), ("test",)), "meta", f"{self.labels}_labels"
            names, title = f"{self.labels}_label_names", f"CIFAR-100, Python version, {self.labels} labels"
        else:
            parts, meta, labels = (TEN, ("test_batch",)), "batches.meta", "labels"
            names, title = "label_names", "CIFAR-10, Python version"
        classes = read_classes(existing(directory, meta), names)
        train, test = (self._part(files, labels, classes) for files in parts)
        raw = Raw(str(directory), train, test, f"{directory} ({title})", classes)
        return raw.splits(self.train, self.test, self.seed, self.stratified)

    def _part(self, names: tuple[str, ...], labels: str, classes: tuple[str, ...]) -> RawSplit:
        batches = [read_batch(existing(Path(self.directory), name), labels, classes) for name in names]
        return RawSplit(*(np.concatenate(arrays) for arrays in zip(*(batch[:2] for batch in batches), strict=True)))


def read_batch(path: Path, labels: str, classes: tuple[str, ...]) -> RawSplit:
    """The images of one file, with the labels of this name; raises DataError for a file that has other things."""
    content = entries_of(path, ("data", labels))
    data = array_of(f"{path}[data]", content["data"])
    if data.ndim != 2 or data.shape[1] != PIXELS or data.dtype != np.uint8:
        raise DataError(
            f"{path}[data] is an {data.dtype} array of shape {data.shape}; expected bytes [sample, {PIXELS}]"
        )
    where = f"{path}[{labels}]"
    numbers = labels_of(where, array_of(where, content[labels]))
    return labelled_images(images_of(data), numbers, classes, f"{path}[data]", where)


def read_classes(path: Path, names: str) -> tuple[str, ...]:
    """The class names in a file of this kind; raises DataError where there are none."""
    found = entries_of(path, (names,))[names]
    try:
        return class_names([name.decode() if isinstance(name, bytes) else name for name in found])
    except (TypeError, ValueError) as error:
        raise DataError(f"{path}[{names}] cannot be read as class names ({error})") from None


def entries_of(path: Path, wanted: tuple[str, ...]) -> dict[str, Any]:
    """The dictionary in a pickle, by text whether its keys are bytes or text; raises DataError where some are not."""
    content = read_pickle(path)
    if not isinstance(content, dict):
        raise DataError(f"{path} holds {type(content).__name__}; expected a dictionary with {', '.join(wanted)}")
    found = {key.decode("latin-1") if isinstance(key, bytes) else key: value for key, value in content.items()}
    if missing := [name for name in wanted if name not in found]:
        has = ", ".join(sorted(str(key) for key in found))[:200]
        raise DataError(f"{path} has no {' or '.join(missing)}; it has {has or 'nothing'}")
    return found
