"""EMNIST from its own files, which are MNIST's format with images that lie on their side."""

from dataclasses import dataclass
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase, digits
from typing import Literal, get_args

import numpy as np
from jaxtyping import Int

from widesym.ensembles.data.dataset import DataError, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import FilePath, labelled_images, labels_of
from widesym.ensembles.data.readers.idx import idx_files, read_idx
from widesym.models.checks import check_seed

Part = Literal["balanced", "byclass", "bymerge", "digits", "letters", "mnist"]
# Where small letters are like great ones, both are one class (arXiv:1702.05373, section II).
MERGED = digits + ascii_uppercase + "abdefghnqrt"
CLASSES = {
    "balanced": MERGED,
    "byclass": digits + ascii_uppercase + ascii_lowercase,
    "bymerge": MERGED,
    "digits": digits,
    "letters": ascii_uppercase,
    "mnist": digits,
}
FIRST = {"letters": 1}  # label, of sets that do not begin with 0


@dataclass(frozen=True)
class Emnist:
    """One of the six sets of EMNIST (Cohen et al. 2017, arXiv:1702.05373) from its files in `directory`, each plain or
    gzipped: emnist-letters-train-images-idx3-ubyte.gz, … (https://www.nist.gov/itl/products-and-services/emnist-dataset).
    `part` is "balanced", "byclass", "bymerge", "digits", "letters" or "mnist".

    The files have each image column by column, so that it would lie on its side and be mirrored
    (https://www.tensorflow.org/datasets/catalog/emnist says so, too); here they are turned upright. Loads float32
    images [sample, row, column, 1], normalised (`Raw.splits` says how, and what `train`, `test` and `seed` draw), and
    labels into characters; of letters, which the files number from 1, the first is 0. Loading raises DataError as
    `IdxFiles` does; making one raises ValueError for another part.
    """

    directory: FilePath
    part: Part
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "Emnist: seed")
        object.__setattr__(self, "directory", str(self.directory))
        if self.part not in get_args(Part):
            raise ValueError(f"Emnist: part is {self.part!r}; it must be one of {', '.join(get_args(Part))}")

    def load(self) -> Splits:
        """The training files as training set, the test files as test set."""
        train, test = (self._part(name) for name in ("train", "test"))
        provenance = f"{self.directory} (EMNIST {self.part}, turned upright)"
        raw = Raw(str(self.directory), train, test, provenance, tuple(CLASSES[self.part]))
        return raw.splits(self.train, self.test, self.seed, self.stratified)

    def _part(self, name: str) -> RawSplit:
        images, labels = idx_files(Path(self.directory), f"emnist-{self.part}-{name}")
        pixels = np.ascontiguousarray(read_idx(images, axes=3).transpose(0, 2, 1))[..., None]
        numbers = numbered_from(FIRST.get(self.part, 0), str(labels), labels_of(str(labels), read_idx(labels, axes=1)))
        return labelled_images(pixels, numbers, tuple(CLASSES[self.part]), str(images), str(labels))


def numbered_from(first: int, where: str, labels: Int[np.ndarray, " sample"]) -> Int[np.ndarray, " sample"]:
    """Labels that begin with `first`, so that they begin with 0; raises DataError for smaller ones."""
    if len(labels) and labels.min() < first:
        raise DataError(f"{where}: label {labels.min()} of image {labels.argmin()}; these labels begin with {first}")
    return labels - first
