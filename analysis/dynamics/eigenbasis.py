"""K and Θ of a training set in the eigenbasis of Θ, where training is a factor for each direction (theory.md §4).

On a full orbit both fall into blocks over the irreps of the group, which are decomposed one by one.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Shaped

from widesym.analysis.kernels import GroupCirculant, Kernel, OrbitKernel
from widesym.analysis.kernels.accuracy import entry_error, precision, spectral_error
from widesym.analysis.kernels.irreps import irreps, to_sectors
from widesym.models.groups import Group

Matrix = Shaped[np.ndarray, "entry entry"]


class Sector(NamedTuple):
    """A subspace that K and Θ of the training set map to itself, with Θ diagonal."""

    eigenvalues: Float[np.ndarray, " entry"]
    vectors: Matrix
    nngp: Matrix  # in the eigenbasis
    weight: int  # 2 for one that stands for its complex conjugate, too


class Eigenbasis(NamedTuple):
    """A training set decomposed, for as many predictions as are wanted."""

    sectors: tuple[Sector, ...]
    group: Group | None  # whose irreps the sectors are of
    samples: int
    error: float  # of entries of K and Θ, as a fraction of √(Θ(x,x) Θ(x',x'))
    traces: tuple[float, float]  # of K and of Θ
    null: float  # eigenvalues up to here are zero but for the entries' errors

    @property
    def largest(self) -> float:
        """λ_max(Θ), the largest eigenvalue of the training set's NTK."""
        return max(float(sector.eigenvalues[-1]) for sector in self.sectors)

    def coefficients(self, values: Float[np.ndarray, "train column"]) -> Iterator[Shaped[np.ndarray, "copy entry col"]]:
        """Vectors on the training set in each sector's eigenbasis, once for each time that it occurs."""
        values = np.asarray(values, np.float64)
        parts = [values[None]] if self.group is None else to_sectors(self.group, values)
        for sector, part in zip(self.sectors, parts, strict=True):
            yield sector.vectors.conj().T @ part


def decompose(train: Kernel | OrbitKernel | Eigenbasis, error: float | None = None) -> Eigenbasis:
    """K, Θ [train, train], or by blocks those of a full orbit, in float64 and in the eigenbasis of Θ.

    `error` is how far entries may be off (analysis/kernels/accuracy.py), by default by what rounding in their own
    precision makes; eigenvalues that these errors could have made are taken for zero where training has no end.
    Negative eigenvalues are the kernel's rounding, and set to zero. Raises ValueError for those that are more than
    that, below −√ε λ_max in the kernel's own precision ε (not all kernels are right to more), for matrices of other
    shapes, and where values are not finite.
    """
    if isinstance(train, Eigenbasis):
        return train
    orbit = isinstance(train, OrbitKernel)
    if not orbit:
        _check_matrices(train)
    pairs = zip(train.ntk.sectors(), train.nngp.sectors(), strict=True) if orbit else [(train.ntk, train.nngp)]
    weights = [irrep.conjugates for irrep in irreps(train.ntk.group)] if orbit else [1]
    sectors = [_sector(*pair, weight) for pair, weight in zip(pairs, weights, strict=True)]
    values = train.ntk.blocks if orbit else train.ntk
    error = entry_error(values) if error is None else error
    largest = max(float(sector.eigenvalues[-1]) for sector in sectors)
    smallest = min(float(sector.eigenvalues[0]) for sector in sectors)
    if smallest < -np.sqrt(precision(values)) * abs(largest):
        raise ValueError(
            f"Θ of the training set has eigenvalues from {smallest:.3g} to {largest:.3g}; those of a kernel are not "
            "negative: check that it is Θ(X, X), or compute it in float64"
        )
    clipped = [sector._replace(eigenvalues=np.maximum(sector.eigenvalues, 0)) for sector in sectors]
    samples = train.ntk.shape[0]
    traces = _trace(train.nngp), _trace(train.ntk)
    null = max(spectral_error(traces[1], samples, error), samples * float(np.finfo(np.float64).eps) * largest)
    return Eigenbasis(tuple(clipped), train.ntk.group if orbit else None, samples, error, traces, null)


def _trace(matrix: ArrayLike | GroupCirculant) -> float:
    if isinstance(matrix, GroupCirculant):
        return matrix.group.order * float(np.trace(matrix.blocks[0], dtype=np.float64))
    return float(np.trace(np.asarray(matrix), dtype=np.float64))


def largest_eigenvalue(ntk: Float[ArrayLike, "train train"] | GroupCirculant) -> float:
    """λ_max(Θ): descent is stable for learning rates below 2N/λ_max (theory.md §4)."""
    if isinstance(ntk, GroupCirculant):
        return max(float(np.linalg.eigvalsh(block)[-1]) for block in ntk.sectors())
    return float(np.linalg.eigvalsh(np.asarray(ntk, np.float64))[-1])


def _sector(ntk: ArrayLike, nngp: ArrayLike, weight: int) -> Sector:
    ntk, nngp = (_in_float64(matrix) for matrix in (ntk, nngp))
    eigenvalues, vectors = np.linalg.eigh(ntk)
    return Sector(eigenvalues, vectors, vectors.conj().T @ nngp @ vectors, weight)


def _in_float64(matrix: ArrayLike) -> Matrix:
    """As float64, or as complex128 where it is complex."""
    matrix = np.asarray(matrix)
    if not np.isfinite(matrix).all():
        raise ValueError("kernels of the training set have values that are not finite; take smaller inputs, or float64")
    return matrix.astype(np.result_type(matrix.dtype, np.float64))


def _check_matrices(train: Kernel) -> None:
    shapes = np.shape(train.nngp), np.shape(train.ntk)
    if len(shapes[1]) != 2 or shapes[1][0] != shapes[1][1] or shapes[0] != shapes[1]:
        raise ValueError(f"K and Θ of the training set have shapes {shapes[0]} and {shapes[1]}; both must be (N, N)")
