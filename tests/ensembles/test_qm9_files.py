"""QM9's own files: methane and water written here as QM9 writes them, exponents and all."""

import numpy as np
import pytest

from tests.support.stored_molecules import METHANE, METHANE_VALUES, WATER, WATER_VALUES
from widesym.ensembles.data import DataError, Qm9, find_source
from widesym.ensembles.data.readers.qm9_files import read_folder


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WIDESYM_CACHE", str(tmp_path / "cache"))


def text(number, symbols, positions, values):
    """A file: numbers below 1e-4 have Mathematica's exponents, as QM9's have."""

    def written(value):
        return np.format_float_scientific(value, trim="-").replace("e", "*^") if 0 < abs(value) < 1e-4 else repr(value)

    atoms = [
        "\t".join([symbol, *map(written, place), "-0.1"]) for symbol, place in zip(symbols, positions, strict=True)
    ]
    lines = [str(len(symbols)), f"gdb {number}\t" + "\t".join(map(written, values)), *atoms, "1.0\t2.0", "C\tC", "I\tI"]
    return "\n".join(lines) + "\n"


@pytest.fixture
def folder(tmp_path):
    """Water as number 3, methane as number 1."""
    path = tmp_path / "qm9"
    path.mkdir()
    (path / "dsgdb9nsd_000003.xyz").write_text(text(3, "OHH", WATER, WATER_VALUES))
    (path / "dsgdb9nsd_000001.xyz").write_text(text(1, "CHHHH", METHANE, METHANE_VALUES))
    return path


def listed(*numbers):
    """uncharacterized.txt: nine lines of heading, one for each molecule, and one after them."""
    rows = [f"{number:8d}  C#C  C#C  C" for number in numbers]
    return "\n".join(["=" * 20] * 9 + rows + ["3054 compounds"]) + "\n"


def test_molecules_are_read_in_their_order(folder):
    found = read_folder(folder)
    inputs, _, values = found.train
    np.testing.assert_array_equal(inputs[..., 0], [[6, 1, 1, 1, 1], [8, 1, 1, 0, 0]])
    np.testing.assert_array_equal(inputs[..., 1:], np.float32([METHANE, [*WATER, [0] * 3, [0] * 3]]))
    np.testing.assert_array_equal(values, [METHANE_VALUES, WATER_VALUES])
    assert found.provenance.endswith(f"files in {folder}, all, as uncharacterized.txt is not beside them")
    assert [quantity.name for quantity in found.quantities][10] == "U0"


def test_small_numbers_have_exponents_of_mathematica(folder):
    place = "\t".join(["H", "1.2*^-6", "-3.5*^-12", "2*^1", "0.1"])
    path = folder / "dsgdb9nsd_000003.xyz"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([*lines[:3], place, *lines[4:]]))
    np.testing.assert_array_equal(read_folder(folder).train.inputs[1, 1, 1:], np.float32([1.2e-6, -3.5e-12, 20]))


def test_those_that_are_listed_are_left_out(folder):
    (folder / "uncharacterized.txt").write_text(listed(3, 21))
    found = read_folder(folder)
    assert found.train.inputs.shape == (1, 5, 4)
    assert found.provenance.endswith("without those of uncharacterized.txt")
    (folder / "uncharacterized.txt").write_text(listed(1, 3))
    with pytest.raises(DataError, match=r"no molecules but those that uncharacterized.txt lists"):
        read_folder(folder)
    (folder / "uncharacterized.txt").write_text(listed(1, 3).replace("       3", "       x"))
    with pytest.raises(DataError, match=r"uncharacterized.txt cannot be read as a list of molecules"):
        read_folder(folder)


def test_they_are_a_source_like_others(folder):
    source = Qm9(1, 1, bandlimit=2, origin="files", directory=folder)
    assert find_source(str(folder)) == Qm9(origin="files", directory=folder)
    train, _ = source.load()
    assert train.inputs.shape[1:] == (29, 4, 3, 10)
    assert source.entry.path.exists()
    before = source.entry.path
    (folder / "dsgdb9nsd_000003.xyz").write_text(text(3, "OHHH", [*WATER, [1.0, 1.0, 1.0]], WATER_VALUES))
    assert source.entry.path != before
    for origin, directory in (("files", None), ("qm9pack", folder)):
        with pytest.raises(ValueError, match="give a directory with origin 'files', and with no other"):
            Qm9(origin=origin, directory=directory)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gdb", "xyz", "line 2, has 15 quantities after 'xyz'; expected 15 after 'gdb'"),
        ("O\t", "Si\t", "has the elements Si; expected H, C, N, O, F"),
        ("3\ngdb", "4\ngdb", "has 8 lines; 4 atoms take 9, with an element and four numbers for each"),
        ("3\ngdb", "0\ngdb", "has 8 lines; 0 atoms take 5"),
        ("\t-0.1\nH", "\nH", "has 8 lines; 3 atoms take 8, with an element and four numbers"),
        ("C\tC\nI\tI\n", "", "has 6 lines; 3 atoms take 8"),
        ("O\t", "O\tnan\t", "has 8 lines"),
        ("1.0\t2.0", "ü", "cannot be read as molecule"),
        ("3\ngdb", "three\ngdb", "cannot be read as molecule"),
        ("1.0\t2.0", "1 " * 2**16, "has more than 65536 bytes"),
    ],
)
def test_files_that_are_wrong_are_refused(folder, old, new, message):
    path = folder / "dsgdb9nsd_000003.xyz"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DataError, match=message) as refusal:
        read_folder(folder)
    assert str(path) in str(refusal.value)


def test_an_empty_folder_is_said_to_be_so(tmp_path):
    (tmp_path / "none").mkdir()
    with pytest.raises(DataError, match=r"has no files such as dsgdb9nsd_000001.xyz; it is empty"):
        read_folder(tmp_path / "none")
