"""The ridge of kernel regression: the least that keeps the condition number in bounds, or one that is given."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from widesym.analysis.kernels.accuracy import entry_error, spectral_error

LARGEST_CONDITION = 1e12  # with which a float64 solve's own rounding, 1e-16, has grown to 1e-4

Square = Float[np.ndarray, "train train"]


class Ridge(NamedTuple):
    """What is added to the kernel's diagonal, the condition number with it, and the extreme eigenvalues without it."""

    value: float
    condition_number: float
    largest: float
    smallest: float


def choose_ridge(train: Square, largest_condition: float | None = None) -> Ridge:
    """The least ridge ≥ 0 that brings the condition number (λ_max + ridge)/(λ_min + ridge) down to the largest allowed.

    By default that is λ_max over the error that entries' errors make in eigenvalues (analysis/kernels/accuracy.py), at
    most 1e12: what is below cannot be told from zero. No subset's condition number is larger: eigenvalues of a part of
    the rows lie between those of all.
    """
    return _chosen(train, np.linalg.eigvalsh(np.asarray(train, np.float64)), largest_condition)


def _chosen(train: Square, eigenvalues: Float[np.ndarray, " train"], largest_condition: float | None = None) -> Ridge:
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if not largest > 0:
        raise ValueError(f"the largest eigenvalue of the kernel is {largest:.3g}; a kernel has a positive one")
    noise = spectral_error(float(eigenvalues.sum()), len(eigenvalues), entry_error(train))
    allowed = min(largest / noise, LARGEST_CONDITION) if largest_condition is None else largest_condition
    if not 1 < allowed < np.inf:
        raise ValueError(f"largest_condition is {allowed!r}; condition numbers exceed 1, and must be finite")
    value = max(0.0, (largest - allowed * smallest) / (allowed - 1))
    return Ridge(value, (largest + value) / (smallest + value), largest, smallest)


def ridge_for(train: Square, largest_condition: float | None, ridge: float | None) -> Ridge:
    """The `ridge` that is given, or that of `choose_ridge`.

    Raises ValueError where both are asked for, for a ridge that is negative or not finite, and for one with which the
    kernel still has no positive eigenvalues, so that no regression has it.
    """
    if ridge is None:
        return choose_ridge(train, largest_condition)
    if largest_condition is not None:
        raise ValueError(f"ridge is {ridge!r} and largest_condition {largest_condition!r}; give one of them")
    if not 0 <= ridge < np.inf:
        raise ValueError(f"ridge is {ridge!r}; it must be a finite number, 0 or more")
    eigenvalues = np.linalg.eigvalsh(np.asarray(train, np.float64))
    smallest, largest = float(eigenvalues[0]), float(eigenvalues[-1])
    if not smallest + ridge > 0:
        least = _chosen(train, eigenvalues).value
        raise ValueError(
            f"with ridge {ridge!r} the kernel's smallest eigenvalue is {smallest + ridge:.3g}, which no regression can "
            f"have; {least:.3g} or more brings its condition number in bounds"
        )
    return Ridge(float(ridge), (largest + ridge) / (smallest + ridge), largest, smallest)
