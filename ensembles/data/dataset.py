"""The one data set type: inputs in memory, what they are labelled with, and where they came from."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from widesym.ensembles.data.normalisation import Normalisation
from widesym.ensembles.data.statistics import blocks, divisor
from widesym.ensembles.losses import Loss, MeanSquaredError
from widesym.models.errors import UserError

Inputs = Float[np.ndarray, "sample *point channel"]
Images = Float[np.ndarray, "sample row column channel"]


@dataclass(frozen=True)
class Quantity:
    """A number that a sample has, and its unit: ("internal energy U0", "Ha"); the unit is "" for pure numbers."""

    name: str
    unit: str = ""


@dataclass(frozen=True)
class Dataset:
    """Inputs (`Signal.of_input` says which shapes networks take) with, where they have them, labels into `classes`, or
    `values` of `quantities`. `normalisation` says how the inputs were made of values as they came; None if not known.

    Raises ValueError for arrays that do not fit each other, are empty or hold values that are not finite.
    """

    name: str
    inputs: Inputs
    labels: Int[np.ndarray, " sample"] | None
    classes: tuple[str, ...]
    provenance: str
    values: Float[np.ndarray, "sample quantity"] | None = None
    quantities: tuple[Quantity, ...] = ()
    normalisation: Normalisation | None = None

    def __post_init__(self):
        if self.inputs.ndim < 2 or not self.inputs.size:
            raise ValueError(
                f"{self.name}: inputs have shape {self.inputs.shape}; it must be [sample, …, channel], not empty"
            )
        check_finite(self.name, "input values", self.inputs)
        if self.labels is not None:
            check_labels(self.name, len(self.inputs), self.labels, self.classes)
        if self.values is not None or self.quantities:
            check_values(self.name, len(self.inputs), self.values, self.quantities)
        if self.normalisation is not None and self.normalisation.channels != self.inputs.shape[-1]:
            raise ValueError(
                f"{self.name}: the normalisation is of {self.normalisation.channels} channels, but inputs have "
                f"{self.inputs.shape[-1]}"
            )

    def __len__(self) -> int:
        return len(self.inputs)

    def targets(self, loss: Loss = MeanSquaredError()) -> Float[np.ndarray, "sample target"]:
        """What the loss wants for the labels, or the values as they are; raises ValueError where there are neither."""
        if self.values is not None:
            return np.asarray(self.values, np.float32)
        if self.labels is None:
            raise ValueError(f"{self.name}: there are neither labels nor values to make targets of")
        return loss.targets(self.labels, len(self.classes))

    @property
    def has_classes(self) -> bool:
        """Whether targets say which of several classes a sample is of; else nothing is right or wrong of logits."""
        return self.values is None and self.labels is not None and len(self.classes) > 1

    @property
    def unit(self) -> str | None:
        """The one unit of all values, "" of pure numbers; None where there are no values, or they have several."""
        units = {quantity.unit for quantity in self.quantities}
        return units.pop() if len(units) == 1 else None

    def is_labelled_as(self, trained_on: "Dataset") -> bool:
        """Whether what networks that were trained on another set predict is right or wrong here."""
        return trained_on.has_classes and self.labels is not None and self.classes == trained_on.classes

    def is_measured_as(self, trained_on: "Dataset") -> bool:
        """Whether this set's values are what networks that were trained on another predict, and have one unit."""
        of_values = self.values is not None and trained_on.values is not None
        return of_values and self.unit is not None and self.quantities == trained_on.quantities

    @property
    def bytes(self) -> int:
        """The bytes that inputs, labels and values take in memory."""
        return sum(array.nbytes for array in (self.inputs, self.labels, self.values) if array is not None)

    @cached_property
    def fingerprint(self) -> str:
        """Digest of the arrays: two data sets with the same one hold the same numbers."""
        digest = hashlib.sha256(str(self.inputs.shape).encode() + np.ascontiguousarray(self.inputs).tobytes())
        if self.labels is not None:
            digest.update(np.ascontiguousarray(self.labels, dtype=np.int64).tobytes())
        if self.values is not None:
            digest.update(np.ascontiguousarray(self.values, dtype=np.float64).tobytes())
        return digest.hexdigest()[:16]


class Splits(NamedTuple):
    """Disjoint parts of one source, normalised alike."""

    train: Dataset
    test: Dataset


@runtime_checkable
class Source(Protocol):
    """A frozen dataclass that says which data set it is, and loads it; one file per source."""

    def load(self) -> Splits:
        """The data, normalised with training statistics; raises DataError where they cannot be had."""
        ...


class DataError(UserError):
    """Data that are missing or not what they should be: the message names path, found and expected."""


def check_finite(name: str, what: str, values: Float[np.ndarray, "..."]) -> None:
    """Raise ValueError for NaN and infinities."""
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: {(~np.isfinite(values)).sum()} {what} are not finite")


def check_labels(name: str, samples: int, labels: Int[np.ndarray, " sample"], classes: tuple[str, ...]) -> None:
    """Raise ValueError for labels that are not one class for each sample."""
    if labels.shape != (samples,):
        raise ValueError(f"{name}: {samples} inputs but labels of shape {labels.shape}")
    if labels.dtype.kind not in "ui":
        raise ValueError(
            f"{name}: labels are {labels.dtype}; they must be whole numbers, and what is to be learnt, values"
        )
    if labels.min() < 0 or labels.max() >= len(classes):
        raise ValueError(
            f"{name}: labels run from {labels.min()} to {labels.max()}, but there are {len(classes)} classes"
        )


def check_values(
    name: str, samples: int, values: Float[np.ndarray, "sample quantity"] | None, quantities: tuple[Quantity, ...]
) -> None:
    """Raise ValueError for values that are not one number for each sample and quantity."""
    shape = None if values is None else values.shape
    if values is None or shape != (samples, len(quantities)):
        raise ValueError(
            f"{name}: values have shape {shape}; for {samples} samples and {len(quantities)} quantities it must be "
            f"{(samples, len(quantities))}"
        )
    check_finite(name, "values", values)


def standardise_each(images: Images) -> Images:
    """Every image brought to mean 0 and variance 1, as out-of-distribution inputs are; a constant image becomes 0."""
    result = np.empty(images.shape, np.float32)
    for part in blocks(len(images)):
        block = images[part].astype(np.float64)
        mean = block.mean((1, 2, 3), keepdims=True)
        block -= mean
        result[part] = block / divisor(mean, block.std((1, 2, 3), keepdims=True))
    return result
