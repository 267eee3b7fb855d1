"""A set as it came, of which `splits` makes normalised data sets; what files, TFDS and the cache share."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from numbers import Integral
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Num

from widesym.ensembles.data.dataset import (
    DataError,
    Dataset,
    Inputs,
    Quantity,
    Splits,
    check_finite,
    check_labels,
    check_values,
)
from widesym.ensembles.data.normalisation import Normalisation
from widesym.ensembles.data.statistics import divisor, moments
from widesym.ensembles.data.stratification import check_equal_shares, in_turns
from widesym.ensembles.data.streams import stream

HELD_OUT = 0.2  # of a set without a test split, unless a number is asked for
APART = 8  # digits run to 16, bytes to 255


class RawSplit(NamedTuple):
    """The arrays of one split as they came, images most often as bytes."""

    inputs: Num[np.ndarray, "sample *point channel"]
    labels: Int[np.ndarray, " sample"] | None = None
    values: Float[np.ndarray, "sample quantity"] | None = None

    def taken(self, indices: Int[np.ndarray, " chosen"]) -> "RawSplit":
        """The samples at these indices, in their order."""
        kept = (None if array is None else array[indices] for array in (self.labels, self.values))
        return RawSplit(self.inputs[indices], *kept)


@dataclass(frozen=True)
class Raw:
    """A set as it came; `test` is None where it comes in one piece.

    Raises DataError for labels, values or inputs that a `Dataset` would refuse, and parts that differ in shape or in
    scale.
    """

    name: str
    train: RawSplit
    test: RawSplit | None
    provenance: str
    classes: tuple[str, ...] = ()
    quantities: tuple[Quantity, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self):
        shapes = [part.inputs.shape[1:] for part in self.parts.values()]
        if len(set(shapes)) > 1:
            raise DataError(f"{self.name}: training and test inputs differ in shape, {shapes[0]} and {shapes[1]}")
        try:
            for inputs, labels, values in self.parts.values():
                check_finite(self.name, "input values", inputs)
                if labels is not None:
                    check_labels(self.name, len(inputs), labels, self.classes)
                if values is not None or self.quantities:
                    check_values(self.name, len(inputs), values, self.quantities)
        except ValueError as error:
            raise DataError(str(error)) from None
        if self.test is not None:
            check_scales(self.name, self.train.inputs, self.test.inputs)

    @property
    def parts(self) -> dict[str, RawSplit]:
        """The splits that the set comes in, by name."""
        return {"train": self.train} | ({} if self.test is None else {"test": self.test})

    def drawn(
        self, train: int | None = None, test: int | None = None, seed: int = 0, stratified: bool = False
    ) -> tuple[RawSplit, RawSplit]:
        """As many training and test samples as asked for, drawn at random; or all there are, in their order.

        A set in one piece is shuffled, and `test` samples held out, by default a fifth and at least one. How many train
        does not change which samples test. What is drawn `stratified` has equal shares of all classes, to within one
        sample; all that there are, or that are left, are not. Raises DataError where there are too few.
        """
        check_draw(self.name, {"training": train, "test": test}, stratified)
        rng, total = stream(seed), len(self.train.inputs)
        order = rng.permutation(total)
        if self.test is None:
            order = self._in_turns(self.train, order) if stratified else order
            held_out, rest = np.split(order, [max(1, round(HELD_OUT * total)) if test is None else test])
        else:
            rest, held_out = np.arange(total) if train is None else order, np.arange(len(self.test.inputs))
            if test is not None:
                rng.shuffle(held_out)
        drawn = {"training": train is not None, "test": test is not None or self.test is None}
        return (
            self._first(self.train, rest, train, "training", stratified and drawn["training"]),
            self._first(self.test or self.train, held_out, test, "test", stratified and drawn["test"]),
        )

    def _in_turns(self, part: RawSplit, order: Int[np.ndarray, " sample"]) -> Int[np.ndarray, " sample"]:
        if part.labels is None or not self.classes:
            raise DataError(f"{self.name}: samples have no classes to be `stratified` by; leave it out")
        return in_turns(part.labels, order)

    def _first(
        self, part: RawSplit, order: Int[np.ndarray, " sample"], count: int | None, what: str, shared: bool
    ) -> RawSplit:
        """The first ones, with equal shares of classes if these are `shared`."""
        where = f"{self.name}, {what} samples"
        if not 1 <= (len(order) if count is None else count) <= len(order):
            raise DataError(
                f"{where}: {'all' if count is None else count} asked for, at least 1, and there are {len(order)}"
            )
        taken = part.taken((self._in_turns(part, order) if shared else order)[:count])
        if shared and taken.labels is not None:
            check_equal_shares(where, taken.labels, self.classes)
        return taken

    def splits(
        self, train: int | None = None, test: int | None = None, seed: int = 0, stratified: bool = False
    ) -> Splits:
        """What `drawn` draws, in float32, shifted and scaled so that each channel of the training set has mean 0 and
        deviation 1 over samples and pixels; a constant channel becomes 0.

        Raises DataError where there are too few, or numbers so far apart that this takes them out of float32's range.
        """
        parts = self.drawn(train, test, seed, stratified)
        with np.errstate(over="ignore"):
            normalisation = normalisation_of(parts[0].inputs)
            inputs = [normalisation.applied(part.inputs) for part in parts] if normalisation else []
        if not (inputs and all(np.isfinite(array).all() for array in inputs)):
            low, high = min(part.inputs.min() for part in parts), max(part.inputs.max() for part in parts)
            raise DataError(f"{self.name}: inputs run from {low:.3g} to {high:.3g}, too far apart to be normalised")
        return Splits(
            *(
                replace(self.dataset(name, part, made), normalisation=normalisation)
                for name, part, made in zip(("train", "test"), parts, inputs, strict=True)
            )
        )

    def dataset(self, name: str, part: RawSplit, inputs: Inputs) -> Dataset:
        """Samples of this set, with inputs that have been made of theirs."""
        labels = None if part.labels is None else part.labels.astype(int)
        return Dataset(name, inputs, labels, self.classes, self.provenance, part.values, self.quantities)


def check_draw(name: str, counts: Mapping[str, int | None], stratified: bool) -> None:
    """Raise DataError for numbers of samples that are none, and for what does not say yes or no."""
    for what, count in counts.items():
        if count is not None and (isinstance(count, bool) or not isinstance(count, Integral)):
            raise DataError(f"{name}, {what} samples: {count!r} asked for; it must be a whole number")
    if not isinstance(stratified, bool):
        raise DataError(f"{name}: stratified is {stratified!r}; it must be true or false")


def normalisation_of(inputs: Num[np.ndarray, "sample *point channel"]) -> Normalisation | None:
    """What brings each channel to mean 0 and deviation 1, a constant one to 0; None where float64 cannot hold these."""
    shift, deviation = np.transpose([moments(channel) for channel in np.moveaxis(inputs, -1, 0)])
    return Normalisation(tuple(shift), tuple(divisor(shift, deviation))) if np.isfinite(deviation).all() else None


def check_scales(name: str, train: Num[np.ndarray, "..."], test: Num[np.ndarray, "..."]) -> None:
    """Raise DataError for training and test inputs on two scales, such as 0 to 1 and 0 to 255.

    That is taken to be so where the largest numbers of one are more than `APART` times those of the other, and they
    are of different types or the smaller ones within -1 and 1. Black pictures are of any scale.
    """
    (low, high), (test_low, test_high) = ((array.min(), array.max()) for array in (train, test))
    smaller, larger = sorted(max(-float(low), float(high)) for low, high in ((low, high), (test_low, test_high)))
    if smaller > 0 and larger > APART * smaller and (train.dtype != test.dtype or smaller <= 1):
        raise DataError(
            f"{name}: training inputs are {train.dtype} from {low:.6g} to {high:.6g} and test inputs {test.dtype} from "
            f"{test_low:.6g} to {test_high:.6g}; bring both to one scale"
        )
