"""A package in qm9pack's shape, which must not be imported: methane, water, and no molecule in the third file."""

import csv
import importlib
import json

import pytest

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
    """The package's data folder."""
    folder = tmp_path / "qm9pack" / "data"
    folder.mkdir(parents=True)
    (tmp_path / "qm9pack" / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / "qm9pack-1.2.3.dist-info").mkdir()
    (tmp_path / "qm9pack-1.2.3.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: qm9pack\nVersion: 1.2.3\n"
    )
    for part, rows in enumerate(([ROWS[0]], [ROWS[1]], []), start=1):
        write(folder / f"qm9_part{part}.csv", [HEADER, *rows])
    monkeypatch.syspath_prepend(tmp_path)
    importlib.invalidate_caches()
    return folder


def write(path, rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
