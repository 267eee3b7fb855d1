"""QM9 as its authors have published it: a file of text for each molecule, in their own kind of XYZ."""

import re
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from widesym.ensembles.data.dataset import DataError
from widesym.ensembles.data.raw import Raw
from widesym.ensembles.data.readers.files import contents, explaining_read_errors, read_bytes, state_of
from widesym.ensembles.data.readers.qm9pack import QUANTITIES, Molecule, raw_of
from widesym.ensembles.data.transforms.energies import ATOMIC_NUMBERS

NAME = re.compile(r"dsgdb9nsd_(\d{6})\.xyz")
UNCHARACTERIZED = "uncharacterized.txt"  # numbers of the 3,054 molecules that failed the authors' consistency check
LINES_AROUND = slice(9, -1)  # of that file: nine lines before these, and one after them
MOST_BYTES = 2**16  # of a molecule; they take some 2 kB
MOST_LEFT_OUT = 2**24  # bytes of the list of uncharacterized ones


def read_folder(folder: Path) -> Raw:
    """The molecules of all files dsgdb9nsd_NNNNNN.xyz in a folder, in QM9's order, as `read_package` has them.

    Where uncharacterized.txt is beside them, those that it lists are left out, so that they are the 130,831 of other
    sources; the provenance says whether. Raises DataError where there are none, or one is damaged.
    """
    files, left_out = files_in(folder), uncharacterized(folder)
    found = [read_molecule(file) for number, file in files.items() if number not in left_out]
    if not found:
        raise DataError(f"{folder} has no molecules but those that {UNCHARACTERIZED} lists")
    check = f"without those of {UNCHARACTERIZED}" if left_out else f"all, as {UNCHARACTERIZED} is not beside them"
    return raw_of(found, f"QM9 (doi:10.1038/sdata.2014.22), files in {folder}, {check}", {})


def description_of(folder: Path) -> dict[str, Any]:
    """What cached molecules of a folder depend on; raises DataError where it has none."""
    listed = folder / UNCHARACTERIZED
    state = state_of([*files_in(folder).values(), *([listed] if listed.is_file() else [])])
    return {"source": "qm9 files", "path": str(folder), "files": state}


def files_in(folder: Path) -> dict[int, Path]:
    """The molecules' files by their numbers, in order; raises DataError where there are none."""
    found = {int(match[1]): path for path in folder.glob("dsgdb9nsd_*.xyz") if (match := NAME.fullmatch(path.name))}
    if not found:
        raise DataError(f"{folder} has no files such as dsgdb9nsd_000001.xyz; {contents(folder)}")
    return dict(sorted(found.items()))


def uncharacterized(folder: Path) -> set[int]:
    """The numbers of molecules that are to be left out; none where they are not listed."""
    path = folder / UNCHARACTERIZED
    if not path.is_file():
        return set()
    with explaining_read_errors(path, "read as a list of molecules"):
        lines = read_bytes(path, MOST_LEFT_OUT).decode("latin-1").strip("\n").split("\n")
        return {int(line.split()[0]) for line in lines[LINES_AROUND]}


def read_molecule(path: Path) -> Molecule:
    """The molecule in a file: number of atoms; "gdb", its number and the 15 quantities; element, x, y and z in Å and
    charge of each atom; vibrations, SMILES and InChI. Raises DataError for one that is damaged.
    """
    with explaining_read_errors(path, "read as molecule"):
        lines = [line.split() for line in read_bytes(path, MOST_BYTES).decode("ascii").splitlines()]
        atoms, (tag, _, *quantities) = int(lines[0][0]), lines[1]
        rows = lines[2 : 2 + atoms]
        if tag != "gdb" or len(quantities) != len(QUANTITIES):
            raise DataError(f"{path}, line 2, has {len(quantities)} quantities after {tag!r}; expected 15 after 'gdb'")
        if atoms < 1 or len(lines) != atoms + 5 or any(len(row) != 5 for row in rows):
            raise DataError(
                f"{path} has {len(lines)} lines; {atoms} atoms take {atoms + 5}, with an element and four numbers "
                "for each"
            )
        symbols, positions = [row[0] for row in rows], np.stack([numbers(row[1:4]) for row in rows])
        values = numbers(quantities)
    if unknown := set(symbols) - set(ATOMIC_NUMBERS):
        raise DataError(f"{path} has the elements {', '.join(sorted(unknown))}; expected {', '.join(ATOMIC_NUMBERS)}")
    if not (np.isfinite(positions).all() and np.isfinite(values).all()):
        raise DataError(f"{path} has coordinates or values that are NaN or infinite")
    return Molecule(np.array([ATOMIC_NUMBERS[symbol] for symbol in symbols]), positions.astype(np.float32), values)


def numbers(words: list[str]) -> Float[np.ndarray, " word"]:
    """The numbers that these words are, of which some have Mathematica's exponents: 1.2*^-6 is 1.2e-6."""
    return np.array([float(word.replace("*^", "e")) for word in words])
