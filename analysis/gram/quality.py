"""Whether a Gram matrix is what one has to be: finite, symmetric, positive up to rounding."""

from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Float
from scipy.sparse.linalg import eigsh

from widesym.analysis.kernels.accuracy import entry_error, spectral_error
from widesym.models.errors import UserError

EXACT_UP_TO = 2048  # rows whose eigenvalues are all computed


class GramError(UserError):
    """A Gram matrix that is none."""


class Quality(NamedTuple):
    """The largest eigenvalue, and the smallest or, where Cholesky has shown it to be no smaller, the bound −tol·λ_max.

    `is_positive`: λ_min ≥ −`tolerance`·λ_max.
    """

    largest: float
    smallest: float
    smallest_is_bound: bool
    tolerance: float
    is_positive: bool

    @property
    def message(self) -> str:
        """One line with λ_max, λ_min, and whether the matrix is positive to the tolerance."""
        relation = "≥" if self.smallest_is_bound else "="
        return (
            f"eigenvalues: λ_max = {self.largest:.4g}, λ_min {relation} {self.smallest:.3g}, "
            f"{'positive' if self.is_positive else 'NOT positive'} to {self.tolerance:.1g}·λ_max"
        )


def measure_quality(
    gram: Float[np.ndarray, "n n"], tolerance: float | None = None, error: float | None = None
) -> Quality:
    """Extreme eigenvalues of a Gram matrix; raises GramError where it is not finite or not symmetric, exactly.

    The tolerance is by default what errors of entries make of eigenvalues, as a fraction of λ_max
    (analysis/kernels/accuracy.py); `error` is that of entries, by default what rounding makes in the matrix's
    precision. Beyond 2048 rows positivity is shown by a Cholesky factor of the matrix + tol·λ_max, λ_max by Lanczos,
    and λ_min is found only where that fails.
    """
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise GramError(f"a Gram matrix is square, not of shape {gram.shape}")
    bad = int((~np.isfinite(gram)).sum())
    if bad:
        raise GramError(f"{bad} entries of the Gram matrix are not finite (of {gram.size})")
    if not np.array_equal(gram, gram.T):
        raise GramError(f"the Gram matrix is not symmetric: entries differ by up to {np.abs(gram - gram.T).max():.3g}")
    matrix = gram.astype(np.float64)
    noise = spectral_error(float(np.trace(matrix)), len(matrix), entry_error(gram) if error is None else error)
    if len(matrix) <= EXACT_UP_TO:
        eigenvalues = np.linalg.eigvalsh(matrix)
        largest, smallest = float(eigenvalues[-1]), float(eigenvalues[0])
        tolerance = _relative(noise, largest) if tolerance is None else tolerance
        return Quality(largest, smallest, False, tolerance, bool(smallest >= -tolerance * largest))
    return _quality_of_large(matrix, tolerance, noise)


def _relative(noise: float, largest: float) -> float:
    return noise / largest if largest > 0 else 0.0


def _quality_of_large(matrix: Float[np.ndarray, "n n"], tolerance: float | None, noise: float) -> Quality:
    if not matrix.any():  # of inputs that are all zero; Lanczos would stop at once
        return Quality(0.0, 0.0, False, tolerance or 0.0, True)
    start = np.ones(len(matrix))  # kernels' leading eigenvector is near it, and results repeat
    largest = float(eigsh(matrix, k=1, which="LA", v0=start, return_eigenvectors=False)[0])
    tolerance = _relative(noise, largest) if tolerance is None else tolerance
    bound = tolerance * largest
    shifted = matrix.copy()
    shifted[np.diag_indices_from(shifted)] += bound
    try:
        scipy.linalg.cholesky(shifted, lower=True, overwrite_a=True, check_finite=False)
    except np.linalg.LinAlgError:
        # λ_min as the largest of λ_max − matrix, which Lanczos finds to a fraction of λ_max.
        shifted = largest * np.eye(len(matrix)) - matrix
        smallest = largest - float(eigsh(shifted, k=1, which="LA", v0=start, return_eigenvectors=False)[0])
        return Quality(largest, smallest, False, tolerance, smallest >= -bound)
    return Quality(largest, -bound, True, tolerance, True)
