"""Irreducible representations of C_n and D_n, unitary, in the groups' own numbering of elements (models/groups.py)."""

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Complex, Float

from widesym.models.groups import Group

Coefficients = Float[np.ndarray, "copy entry column"] | Complex[np.ndarray, "copy entry column"]


@dataclass(frozen=True, eq=False)
class Irrep:
    """σ(g), `[group, d, d]`, with σ(g)σ(h) = σ(gh); a complex one stands for its conjugate, too."""

    matrices: Float[np.ndarray, "group d d"] | Complex[np.ndarray, "group d d"]

    @property
    def dimension(self) -> int:
        """d, and how often it stands in the regular representation."""
        return self.matrices.shape[-1]

    @property
    def conjugates(self) -> int:
        """How many irreps this one stands for, on real vectors."""
        return 2 if np.iscomplexobj(self.matrices) else 1


@lru_cache
def irreps(group: Group) -> tuple[Irrep, ...]:
    """One of each kind, the trivial one first; of complex conjugates one stands for both (Serre 1977, ch. 5.1, 5.3)."""
    n, turns = group.rotations, np.arange(group.rotations)
    if not group.reflections:
        characters = [np.exp(2j * math.pi * k * turns / n) for k in range(n // 2 + 1)]
        return tuple(Irrep(_exact(c if 0 < 2 * k < n else np.real(c))[:, None, None]) for k, c in enumerate(characters))
    alternating = [(-1.0) ** turns] if n % 2 == 0 else []
    signs = [np.concatenate([c, s * c]) for c in (np.ones(n), *alternating) for s in (1, -1)]
    mirror = np.diag([1.0, -1.0])
    planar = [_rotations(2 * math.pi * k * turns / n) for k in range(1, (n - 1) // 2 + 1)]
    return (
        *(Irrep(sign[:, None, None]) for sign in signs),
        *(Irrep(_exact(np.concatenate([turned, turned @ mirror]))) for turned in planar),
    )


def to_sectors(group: Group, v: Float[np.ndarray, "orbit column"]) -> list[Coefficients]:
    """c_ij = √(d/|G|) Σ_p conj(σ(p)_ij) v[p] for each irrep, [i, (j, n), column]; of a vector on the orbit, [(p, n)].

    That is unitary: v·w = Σ_σ conjugates·Re Σ conj(c(v)) c(w).
    """
    blocks = v.reshape(group.order, -1, v.shape[-1])
    return [
        np.einsum("pij,pnc->ijnc", irrep.matrices.conj() * math.sqrt(irrep.dimension / group.order), blocks).reshape(
            irrep.dimension, -1, v.shape[-1]
        )
        for irrep in irreps(group)
    ]


def from_sectors(group: Group, parts: list[Coefficients]) -> Float[np.ndarray, "orbit column"]:
    """The vector whose coefficients these are: the inverse of `to_sectors`."""
    summed = 0.0
    for irrep, part in zip(irreps(group), parts, strict=True):
        d = irrep.dimension
        split = part.reshape(d, d, -1, part.shape[-1])
        summed = (
            summed
            + irrep.conjugates * np.einsum("pij,ijnc->pnc", irrep.matrices * math.sqrt(d / group.order), split).real
        )
    return np.asarray(summed).reshape(-1, parts[0].shape[-1])


def _rotations(angles: Float[np.ndarray, " group"]) -> Float[np.ndarray, "group 2 2"]:
    cos, sin = np.cos(angles), np.sin(angles)
    return np.stack([np.stack([cos, -sin], -1), np.stack([sin, cos], -1)], -2)


def _exact(x: np.ndarray) -> np.ndarray:
    """Cosines that are 0 or ±1 made so."""
    if np.iscomplexobj(x):
        return _exact(np.real(x)) + 1j * _exact(np.imag(x))
    return np.where(np.abs(x - np.round(x)) < 1e-14, np.round(x), x)
