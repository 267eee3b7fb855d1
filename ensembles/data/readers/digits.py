"""Handwritten digits of 8×8 pixels, real images that ship with scikit-learn."""

from dataclasses import dataclass

import numpy as np

from widesym.ensembles.data.dataset import Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.models.checks import check_seed


@dataclass(frozen=True)
class Digits:
    """As many of the 1,797 digits as asked for, drawn by `seed`; as test set a fifth, and all others to train, unless
    asked otherwise. Images [sample, 8, 8, 1], normalised over all training pixels.
    """

    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "Digits: seed")

    def load(self) -> Splits:
        """The digits; raises DataError if there are not as many."""
        from sklearn.datasets import load_digits  # here: a second that every command would wait

        pixels, labels = load_digits(return_X_y=True)
        part = RawSplit(pixels.reshape(-1, 8, 8, 1).astype(np.uint8), np.asarray(labels))
        provenance = "optical recognition of handwritten digits (UCI), as shipped with scikit-learn"
        return Raw("digits", part, None, provenance, tuple("0123456789")).splits(
            self.train, self.test, self.seed, self.stratified
        )
