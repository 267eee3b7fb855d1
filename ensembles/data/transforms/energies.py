"""Energies of molecules, less those of their atoms."""

import numpy as np
from jaxtyping import Float, Int

ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
# Internal energy U0 of single atoms in Ha, by atomic number; a place without an atom has none.
ATOMIC_ENERGIES = {0: 0.0, 1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730}
HARTREE = 27_211.386_245_981  # meV (CODATA 2022)


def atomisation_energies(
    atomic_numbers: Int[np.ndarray, "molecule atom"], internal_energies: Float[np.ndarray, " molecule"]
) -> Float[np.ndarray, " molecule"]:
    """U0 of molecules less that of their atoms, each alone, in Ha; negative where the atoms are bound.

    The atoms' energies are those of QM9, B3LYP/6-31G(2df,p) (Ramakrishnan et al. 2014, doi:10.1038/sdata.2014.22).
    Atomic number 0 is no atom. Raises ValueError for other elements than H, C, N, O and F.
    """
    if unknown := set(np.unique(atomic_numbers).tolist()) - set(ATOMIC_ENERGIES):
        raise ValueError(
            f"atomisation_energies: atomic numbers {sorted(unknown)} have no energy of reference; "
            f"{', '.join(f'{symbol} ({number})' for symbol, number in ATOMIC_NUMBERS.items())} have"
        )
    of_atom = np.zeros(max(ATOMIC_ENERGIES) + 1)
    of_atom[list(ATOMIC_ENERGIES)] = list(ATOMIC_ENERGIES.values())
    return internal_energies - of_atom[atomic_numbers].sum(1)
