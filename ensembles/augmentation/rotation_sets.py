"""Finite sets of rotations: given, drawn once, or those of the regular solids."""

from dataclasses import dataclass
from functools import cache
from itertools import permutations, product
from numbers import Integral
from typing import Any, Literal, Protocol, get_args

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from widesym.models.checks import check_seed

Rotations = Float[np.ndarray, "rotation d d"]
Solid = Literal["tetrahedron", "octahedron", "icosahedron"]
TOLERANCE = 1e-5  # of RᵀR = 1: what float32 leaves of matrices multiplied a few times


class RotationSet(Protocol):
    """A finite set of rotations of R^d: frozen dataclasses with this property are ones."""

    @property
    def matrices(self) -> Rotations:
        """The rotation matrices in float64, one for each rotation of the set."""
        ...


@dataclass(frozen=True, init=False)
class GivenRotations:
    """These rotations. Raises ValueError for what are no orthogonal matrices [rotation, d, d] of determinant 1."""

    values: tuple[tuple[tuple[float, ...], ...], ...]

    def __init__(self, values: ArrayLike | tuple):
        found = np.asarray(values, float)
        if found.ndim != 3 or not len(found) or found.shape[1] != found.shape[2] or found.shape[1] < 2:
            raise ValueError(f"GivenRotations: values have shape {found.shape}; matrices [rotation, d, d] are needed")
        gap = np.abs(np.swapaxes(found, 1, 2) @ found - np.eye(found.shape[1])).max(axis=(1, 2))
        wrong = np.flatnonzero(~(gap < TOLERANCE) | (np.linalg.det(np.nan_to_num(found)) < 0))
        if len(wrong):
            raise ValueError(
                f"GivenRotations: matrix {wrong[0]} is {found[wrong[0]].tolist()}; rotations are orthogonal and have "
                "determinant 1"
            )
        object.__setattr__(self, "values", _as_tuples(found.tolist()))

    @property
    def matrices(self) -> Rotations:
        return np.array(self.values)


@dataclass(frozen=True)
class DrawnRotations:
    """`count` rotations of R^d drawn once from `seed`, independently and uniformly (Haar); none is the identity.

    A smaller set of the same seed is the beginning of a larger one. Raises ValueError for numbers out of range.
    """

    count: int
    seed: int
    dimension: int = 3

    def __post_init__(self):
        for name, least in (("count", 1), ("dimension", 2)):
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ValueError(f"DrawnRotations: {name} is {value!r}; it must be an integer of at least {least}")
        check_seed(self.seed, "DrawnRotations: seed")

    @property
    def matrices(self) -> Rotations:
        """Q of a Gaussian matrix's QR decomposition with R_ii > 0 (Mezzadri 2007, arXiv:math-ph/0609050, sec. 5)."""
        d = self.dimension
        q, r = np.linalg.qr(np.random.default_rng(self.seed).standard_normal((self.count, d, d)))
        q *= np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]
        q[:, :, 0] *= np.sign(np.linalg.det(q))[:, None]  # from O(d) to SO(d), Haar to Haar
        return q


@dataclass(frozen=True)
class RegularSolid:
    """All rotations that map a regular solid to itself, 12, 24 or 60: the finite subgroups of SO(3) that fix no axis.

    Raises ValueError for other solids.
    """

    solid: Solid

    def __post_init__(self):
        if self.solid not in get_args(Solid):
            raise ValueError(f"RegularSolid: solid is {self.solid!r}; it must be one of {', '.join(get_args(Solid))}")

    @property
    def matrices(self) -> Rotations:
        return _solid_rotations(self.solid).copy()


@cache
def _solid_rotations(solid: Solid) -> Rotations:
    """The octahedron's permute and sign the axes; the tetrahedron's do so evenly, and two sets of 12 are the
    icosahedron's with fifth turns about (0, 1, φ)."""
    signed = np.array([np.diag(s)[list(p)] for p in permutations(range(3)) for s in product((1.0, -1.0), repeat=3)])
    proper = signed[np.linalg.det(signed) > 0]
    if solid == "octahedron":
        return proper
    tetrahedral = proper[np.linalg.det(np.abs(proper)) > 0]
    if solid == "tetrahedron":
        return tetrahedral
    golden = (1 + 5**0.5) / 2
    fifth = np.array([[1 / golden, -golden, 1], [golden, 1, 1 / golden], [-1, 1 / golden, golden]]) / 2
    turns = [np.linalg.matrix_power(fifth, k) for k in range(5)]
    return np.concatenate([turn @ tetrahedral for turn in turns])  # five cosets


def _as_tuples(nested: Any) -> Any:
    return tuple(map(_as_tuples, nested)) if isinstance(nested, list) else nested
