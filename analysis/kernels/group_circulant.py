"""Matrices on the orbits of a group whose block (p, q) depends on p⁻¹q alone (theory.md §4).

M = Σ_g R(g) ⊗ B[g] with the regular representation R(g)[p, q] = 1 where q = pg, so over the irreps σ of the group
M falls into blocks Σ_g σ(g) ⊗ B[g], of d·n rows, each d times. A solve costs about |G| n³ in place of (|G| n)³.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.linalg
from jaxtyping import Complex, Float

from widesym.analysis.kernels.irreps import from_sectors, irreps, to_sectors
from widesym.models.groups import Group

Block = Float[np.ndarray, "entry entry"] | Complex[np.ndarray, "entry entry"]
OnOrbit = Float[np.ndarray, "orbit column"]


@dataclass(frozen=True, eq=False)
class GroupCirculant:
    """The symmetric [|G|n, |G|n] matrix with blocks[p⁻¹q] as its block (p, q), held by its first block row.

    Raises ValueError for blocks of another shape, or where blocks[g⁻¹] is not the transpose of blocks[g], exactly;
    `of_blocks` makes it so.
    """

    group: Group
    blocks: Float[np.ndarray, "group n n"]

    def __post_init__(self):
        shape = self.blocks.shape
        if len(shape) != 3 or shape[0] != self.group.order or shape[1] != shape[2]:
            raise ValueError(f"blocks have shape {shape}; for {self.group} it must be ({self.group.order}, n, n)")
        for g in self.group.elements:
            if not np.array_equal(self.blocks[self.group.inverse(g)], self.blocks[g].T, equal_nan=True):
                raise ValueError(f"the matrix is not symmetric: block {g} is not the transpose of its inverse's")

    @classmethod
    def of_blocks(cls, group: Group, blocks: Float[np.ndarray, "group n n"]) -> "GroupCirculant":
        """The symmetric part of the matrix with these blocks: rounding may set blocks[g⁻¹] and blocks[g]ᵀ apart."""
        turned = blocks[[group.inverse(g) for g in group.elements]].swapaxes(1, 2)
        return cls(group, (blocks + turned) / 2)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the whole matrix."""
        return (rows := self.group.order * self.blocks.shape[1]), rows

    def dense(self) -> Float[np.ndarray, "orbit orbit"]:
        """The matrix with all its entries, [|G|n, |G|n]."""
        group, rows = self.group, self.shape[0]
        lags = [[group.product(group.inverse(p), q) for q in group.elements] for p in group.elements]
        return self.blocks[np.array(lags)].swapaxes(1, 2).reshape(rows, rows)

    def sectors(self) -> Iterator[Block]:
        """Σ_g σ(g) ⊗ B[g] for each of `irreps(group)`, in float64; the first is the invariant functions' block."""
        size = self.blocks.shape[1]
        for irrep in irreps(self.group):
            rows = irrep.dimension * size
            yield np.einsum("gkj,gnm->knjm", irrep.matrices, self.blocks.astype(np.float64)).reshape(rows, rows)


class OrbitKernel(NamedTuple):
    """K and Θ of a full orbit with itself."""

    nngp: GroupCirculant
    ntk: GroupCirculant


def multiply(matrix: GroupCirculant, v: OnOrbit) -> OnOrbit:
    """M v, without the whole of M: Σ_g B[g] v[pg]."""
    group, parts = matrix.group, v.reshape(matrix.group.order, -1, v.shape[-1])
    moved = (parts[[group.product(p, g) for p in group.elements]] for g in group.elements)
    return sum((block @ part for block, part in zip(matrix.blocks, moved, strict=True)), np.zeros(())).reshape(v.shape)


def solve(matrix: GroupCirculant, v: OnOrbit, ridge: float = 0.0) -> OnOrbit:
    """(M + ridge)⁻¹ v in float64, irrep by irrep, by Cholesky; raises ValueError where there is no Cholesky factor."""
    solved = []
    for block, part in zip(matrix.sectors(), to_sectors(matrix.group, np.asarray(v, np.float64)), strict=True):
        if part.any():  # invariant vectors have the trivial irrep's part alone
            part = _solve_block(block, part, ridge)
        solved.append(part)
    return from_sectors(matrix.group, solved)


def _solve_block(block: Block, part: np.ndarray, ridge: float) -> np.ndarray:
    try:
        factor = scipy.linalg.cho_factor(block + ridge * np.eye(len(block)), lower=True)
    except np.linalg.LinAlgError:
        raise ValueError(
            f"the matrix with ridge {ridge:.3g} is not positive definite; raise the ridge, or take kernels in float64"
        ) from None
    copies, rows, columns = part.shape
    together = part.transpose(1, 0, 2).reshape(rows, -1)
    return scipy.linalg.cho_solve(factor, together).reshape(rows, copies, columns).transpose(1, 0, 2)


def eigenvalues(matrix: GroupCirculant) -> Float[np.ndarray, " orbit"]:
    """All |G|n eigenvalues of the matrix, ascending, from the blocks of the group's irreducible representations."""
    of_block = [np.linalg.eigvalsh(block) for block in matrix.sectors()]
    times = [irrep.dimension * irrep.conjugates for irrep in irreps(matrix.group)]
    return np.sort(np.concatenate([np.repeat(values, count) for values, count in zip(of_block, times, strict=True)]))


def on_orbit(group: Group, values: Float[np.ndarray, "n column"]) -> OnOrbit:
    """Invariant values of n inputs, for all of their orbit in the order of `Group.orbit`."""
    return np.tile(values, (group.order, 1))


def invariant_block(matrix: GroupCirculant) -> Float[np.ndarray, "n n"]:
    """Σ_g B[g], all that invariant vectors see of M: (M + ridge)(1 ⊗ a) = 1 ⊗ (Σ_g B[g] + ridge) a, n × n.

    Over |G| it is the group-averaged kernel (arXiv:2406.06504, theorem 5).
    """
    return next(matrix.sectors())
