"""Molecules as signals on the sphere, one for each atom: what the atom sees of the others around it."""

import math

import numpy as np
from jaxtyping import Float, Int

from widesym.ensembles.data.transforms.sphere import Vectors, grid_points
from widesym.models.checks import check_positive

ELEMENTS = (1, 6, 7, 8, 9)  # H, C, N, O, F: those of QM9
POWERS = (2, 6)
BETA = (1 - math.cos(math.pi / 4)) ** 2 / math.log(20)  # exp(−(1 − cos π/4)²/β) = 5 %
AT_ONCE = 32  # molecules; with 29 atoms at bandlimit 6 they take some 50 MB

Numbers = Int[np.ndarray, "molecule atom"]
Positions = Float[np.ndarray, "molecule atom xyz"]


def spherical_signals(
    atomic_numbers: Numbers,
    positions: Positions,
    bandlimit: int = 6,
    atoms: int = 29,
    elements: tuple[int, ...] = ELEMENTS,
    powers: tuple[int, ...] = POWERS,
) -> Float[np.ndarray, "molecule atom theta phi channel"]:
    """For atom i, element e and power p the function of directions u on the sphere

        x_i,ep(u) = Σ_{j≠i, z_j=e} z_i z_j / r_ij^p · exp(−(1 − u·r̂_ij)²/β),   r_ij = r_j − r_i,

    neighbours of that element smeared by Gaussians that fall to 5 % at π/4 (arXiv:2306.05420, as used in
    arXiv:2406.06504, F.3), on the grid (2L, 2L−1), channels in the order (e₁p₁, e₁p₂, e₂p₁, …). Of the Gaussians' norm
    12 % lie beyond bandlimit 6 and 1.4 % beyond 12.

    Positions are in Å, hence values in e²/Å^p; rows with atomic number 0 are no atoms and their signals zero. Molecules
    are padded to `atoms`. Turning a molecule turns the functions, shifting it changes nothing, atoms may come in any
    order. A molecule of QM9 takes 150 kB: 10,000 of them 1.5 GB.

    Raises ValueError for arrays that do not fit, molecules with more atoms, unknown elements, and atoms in one place.
    """
    for name, value in (("bandlimit", bandlimit), ("atoms", atoms)):
        check_positive("spherical_signals", name, value)
    atomic_numbers, positions = (np.asarray(array) for array in (atomic_numbers, positions))
    check_molecules(atomic_numbers, positions, atoms, elements)
    molecules, slots = atomic_numbers.shape
    kept, points = min(slots, atoms), grid_points(bandlimit)
    signals = np.zeros((molecules, atoms, *points.shape[:2], len(elements) * len(powers)), np.float32)
    for part in (slice(start, start + AT_ONCE) for start in range(0, molecules, AT_ONCE)):
        z, r = atomic_numbers[part, :kept], positions[part, :kept]
        signals[part, :kept] = signals_at(points, z, r, elements, powers)
    return signals


def signals_at(
    points: Vectors,
    atomic_numbers: Numbers,
    positions: Positions,
    elements: tuple[int, ...] = ELEMENTS,
    powers: tuple[int, ...] = POWERS,
) -> Float[np.ndarray, "molecule atom *point channel"]:
    """The functions of `spherical_signals` in any directions u, unit vectors."""
    z, present = atomic_numbers.astype(float), atomic_numbers > 0
    offsets = positions[:, None] - positions[:, :, None]  # [molecule, i, j]: from i to j
    pairs = present[:, :, None] & present[:, None] & ~np.eye(z.shape[1], dtype=bool)
    distances = np.where(pairs, np.linalg.norm(offsets, axis=-1), 1)
    directions = np.where(pairs[..., None], offsets / distances[..., None], 0)
    decay = np.where(pairs, z[:, :, None] * z[:, None], 0)[..., None] / distances[..., None] ** np.array(powers)
    of_element = atomic_numbers[..., None] == np.array(elements)
    weights = of_element[:, None, :, :, None] * decay[..., None, :]  # [molecule, i, j, element, power]
    weights = weights.reshape(*weights.shape[:3], -1).astype(np.float32)
    cosines = directions.astype(np.float32) @ points.reshape(-1, 3).T.astype(np.float32)
    smeared = np.exp(-((1 - cosines) ** 2) / np.float32(BETA))  # [molecule, i, j, point]
    signals = np.swapaxes(smeared, 2, 3) @ weights
    return signals.reshape(*z.shape, *points.shape[:-1], weights.shape[-1])


def check_molecules(atomic_numbers: Numbers, positions: Positions, atoms: int, elements: tuple[int, ...]) -> None:
    """Raise ValueError, naming molecule and atom, for what are no molecules of these elements and at most this size."""
    if atomic_numbers.ndim != 2 or positions.shape != (*atomic_numbers.shape, 3):
        raise ValueError(
            f"spherical_signals: atomic numbers have shape {atomic_numbers.shape} and positions {positions.shape}; "
            "they must be [molecule, atom] and [molecule, atom, 3]"
        )
    present = atomic_numbers != 0
    _refuse(present & ~np.isin(atomic_numbers, elements), f"is of no element of {elements}", atomic_numbers)
    _refuse(present & ~np.isfinite(positions).all(-1), "has a position that is not finite", atomic_numbers)
    beyond = np.arange(atomic_numbers.shape[1]) >= atoms
    _refuse(present & beyond, f"is beyond the {atoms} atoms asked for; pass a larger `atoms`", atomic_numbers)
    for molecule, (occupied, places) in enumerate(zip(present, positions, strict=True)):
        _, counts = np.unique(places[occupied], axis=0, return_counts=True)
        if (counts > 1).any():
            raise ValueError(f"spherical_signals: molecule {molecule} has {counts.max()} atoms in one place")


def _refuse(wrong: np.ndarray, why: str, atomic_numbers: Numbers) -> None:
    if wrong.any():
        molecule, atom = np.argwhere(wrong)[0]
        number = atomic_numbers[molecule, atom]
        raise ValueError(f"spherical_signals: atom {atom} of molecule {molecule}, atomic number {number}, {why}")
