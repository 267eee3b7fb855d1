"""QM9 as a source: signals of molecules and the energies that bind their atoms."""

import json
import sys

import numpy as np
import pytest
from test_tfds import library

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
from widesym.ensembles.data import DataError, Qm9, Quantity, Source
from widesym.ensembles.data.cache import entries
from widesym.ensembles.data.readers.tfds import QUANTITIES
from widesym.ensembles.data.transforms import spherical_signals
from widesym.ensembles.data.transforms.energies import atomisation_energies
from widesym.models.description import describe

__all__ = ["package"]
METHANE_BOUND = -40.47893 + 37.846772 + 4 * 0.500273
WATER_BOUND = -76.404702 + 75.064579 + 2 * 0.500273


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "prepared"))


def test_atomisation_energies_are_those_that_are_known():
    numbers = np.array([[6, 1, 1, 1, 1], [8, 1, 1, 0, 0]])
    # Sums of numbers with six decimals, in float64; methane's is −17.2 eV.
    found = atomisation_energies(numbers, np.array([-40.47893, -76.404702]))
    np.testing.assert_allclose(found, [METHANE_BOUND, WATER_BOUND], rtol=1e-12)
    assert -17.3 < found[0] * 27.211 < -17.1


@pytest.mark.parametrize(
    ("number", "energy"), [(1, -0.500273), (6, -37.846772), (7, -54.583861), (8, -75.064579), (9, -99.718730)]
)
def test_a_single_atom_has_no_atomisation_energy(number, energy):
    assert atomisation_energies(np.array([[number, 0]]), np.array([energy])) == 0


def test_elements_without_reference_energy_are_refused():
    with pytest.raises(ValueError, match=r"atomic numbers \[14, 16\] have no energy of reference; H \(1\), C \(6\)"):
        atomisation_energies(np.array([[16, 1, 14]]), np.array([0.0]))


def test_signals_are_scaled_by_what_trains_and_energies_are_in_mev(package):
    write(package / "qm9_part3.csv", [HEADER, row("OHH", (1.5 * np.array(WATER)).tolist(), WATER_VALUES)])
    train, test = Qm9(train=2, test=1, seed=3).load()
    assert (train.inputs.shape, test.inputs.shape) == ((2, 29, 12, 11, 10), (1, 29, 12, 11, 10))
    assert train.quantities == (Quantity("atomisation energy", "meV"),)
    numbers = np.array([[6, 1, 1, 1, 1], [8, 1, 1, 0, 0], [8, 1, 1, 0, 0]])
    positions = np.zeros((3, 5, 3))
    positions[0], positions[1, :3], positions[2, :3] = METHANE, WATER, 1.5 * np.array(WATER)
    order = np.random.default_rng(3).permutation(3)  # the first of which tests
    signals = spherical_signals(numbers, positions)[order]
    of_atoms = signals[1:, :5].reshape(-1, 132, 10)[(numbers[order][1:] > 0).ravel()].astype(float)
    scale = np.sqrt((of_atoms**2).mean((0, 1)))
    scale[scale == 0] = 1
    # float32 rounding of the positions on their way through CSV, times powers up to six.
    np.testing.assert_allclose(np.concatenate([test.inputs, train.inputs]), signals / scale, rtol=1e-4, atol=1e-5)
    expected = 27211.386245981 * np.array([METHANE_BOUND, WATER_BOUND, WATER_BOUND])[order]
    np.testing.assert_allclose(np.concatenate([test.values, train.values])[:, 0], expected, rtol=1e-10)
    assert not train.inputs[:, 5:].any()  # places without an atom


def test_molecules_are_read_once_and_then_need_no_package(package, monkeypatch):
    write(package / "qm9_part3.csv", [HEADER, *ROWS])
    Qm9().prepare()
    (entry,) = entries()
    assert entry.facts["versions"] == {"qm9pack": "1.2.3"}
    monkeypatch.setattr("widesym.ensembles.data.readers.qm9pack.importlib.util.find_spec", lambda name: None)
    assert [len(part) for part in Qm9(2, 2).load()] == [2, 2]
    with pytest.raises(DataError, match="qm9, training samples: 3 asked for, at least 1, and there are 2"):
        Qm9(3, 2).load()


def test_tfds_gives_the_same(package, monkeypatch):
    def record(charges, positions, values):
        numbers = dict(zip((quantity.name for quantity in QUANTITIES), np.float32([*values, 0, 0, 0, 0]), strict=True))
        padded = np.zeros((29, 3), np.float32)
        padded[: len(positions)] = positions
        return {"charges": np.pad(charges, (0, 29 - len(charges))), "positions": padded, **numbers}

    records = [record([6, 1, 1, 1, 1], METHANE, METHANE_VALUES), record([8, 1, 1], WATER, WATER_VALUES)]
    for each, bound in zip(records, (METHANE_BOUND, WATER_BOUND), strict=True):
        each["U0_atomization"] = np.float32(bound)
    features = dict.fromkeys(records[0], object())
    stand_in = library({"train": records}, features, None, "qm9")
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", stand_in)
    for ours, theirs in zip(Qm9(1, 1).load(), Qm9(1, 1, origin="tfds").load(), strict=True):
        np.testing.assert_array_equal(ours.inputs, theirs.inputs)
        # Single precision of the difference, not of U0: that would be off by up to 0.05 meV here, 0.8 for others.
        np.testing.assert_allclose(ours.values, theirs.values, rtol=1e-7)
    Qm9(1, 1, origin="tfds").prepare()


def test_the_source_is_a_plain_value_and_checked():
    assert isinstance(Qm9(), Source)
    about = json.loads(json.dumps(describe(Qm9(5, 4, origin="tfds"))))
    assert about.pop("type") == "Qm9"
    assert Qm9(**about) == Qm9(5, 4, origin="tfds")
    with pytest.raises(ValueError, match="Qm9: origin is 'web'; it must be one of qm9pack, tfds"):
        Qm9(origin="web")
    with pytest.raises(ValueError, match="Qm9: train is 0; it must be a positive integer"):
        Qm9(0)
