"""`widesym data`: which data sets there are, what they look like, and whether the cache is whole."""

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console

from widesym.analysis.figures.contact_sheets import contact_sheet
from widesym.analysis.figures.drawing import save_figure
from widesym.ensembles.data import SETS, Cacheable, DataError, find_source, ood_sets, standardised
from widesym.ensembles.data.cache import CacheEntry, entries, folder
from widesym.launch.console import print_plain, table_of
from widesym.models.checks import check_seed

OOD_SAMPLES = 100

Name = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME")]


@dataclass(frozen=True)
class ListSets:
    """List the data sets that have names, and what the cache holds."""

    def run(self, console: Console) -> None:
        """Print the table of named data sets, and that of what the cache holds."""
        named = table_of("name", "what it is", "from", "cached", numbers=("cached",))
        for name, known in SETS.items():
            entry = known.source.entry if isinstance(known.source, Cacheable) else None
            kept = "" if entry is None else size_of(entry) if entry.path.exists() else "no"
            named.add_row(name, known.about, known.origin, kept)
        console.print(named)
        others = "the path of a file or folder, and the TFDS name of any other image classification set"
        console.print(f"\nAlso: {others}.\n")
        print_plain(console, f"{folder()} holds {len(entries())} sets:")
        for entry in entries():
            print_plain(console, f"  {entry.path.name}  {size_of(entry)}")


@dataclass(frozen=True)
class ShowSet:
    """Draw a contact sheet of a data set: training samples with labels or values, and out-of-distribution sets."""

    name: Name
    """A name (`widesym data list`), or the path of a file or folder."""
    ood: bool = True
    """Draw samples of the out-of-distribution sets that can be made of it."""
    standardise: bool = False
    """Bring each out-of-distribution image to mean 0 and variance 1."""
    seed: int = 0
    """Seed of the out-of-distribution sets."""
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Where the sheet goes, as FILE.png and FILE.pdf; by default NAME in this directory."""

    def __post_init__(self):
        check_seed(self.seed, "--seed")
        if self.output is None:
            return
        output = Path(os.path.expanduser(self.output))
        if output.is_dir():
            raise ValueError(f"--output is the folder {output}; it must be the name of a file")
        if not output.parent.is_dir():
            raise ValueError(f"--output is {output}, but there is no folder {output.parent}")
        object.__setattr__(self, "output", output.with_suffix("") if output.suffix in (".png", ".pdf") else output)

    def run(self, console: Console) -> None:
        """Load it, draw it, and say what was loaded."""
        began = time.perf_counter()
        splits = find_source(self.name).load()
        train, test = splits
        seconds = time.perf_counter() - began
        count, known = min(OOD_SAMPLES, len(train)), ood_sets(train) if self.ood else {}
        sets = {name: make(train, count, self.seed) for name, make in known.items()}
        if self.standardise:
            if train.inputs.ndim != 4:
                raise DataError(
                    f"--standardise is for images; {self.name} has inputs of shape {train.inputs.shape[1:]}"
                )
            sets = {name: standardised(data) for name, data in sets.items()}
        written = save_figure(contact_sheet(self.name, splits, sets), self.output or sheet_of(self.name))
        memory = sum(part.inputs.nbytes for part in splits) / 2**20
        print_plain(
            console,
            f"{self.name}: {len(train):,} + {len(test):,} samples {'×'.join(map(str, train.inputs.shape[1:]))}, "
            f"{memory:.1f} MiB, loaded in {seconds:.1f} s; {train.provenance}\n"
            f"contact sheet: {', '.join(map(str, written))}",
        )


@dataclass(frozen=True)
class PrepareSet:
    """Bring a data set into the cache, downloading it where it takes that."""

    name: Name
    """A name (`widesym data list`), a TFDS name, or the path of a file or folder."""

    def run(self, console: Console) -> None:
        """Prepare it, and say where it is."""
        source, began = find_source(self.name), time.perf_counter()
        if not isinstance(source, Cacheable):
            _ = source.load()
            print_plain(console, f"{self.name} can be loaded as it is; nothing of it is cached")
            return
        source.prepare()
        seconds, entry = time.perf_counter() - began, source.entry
        print_plain(console, f"{entry.path}: {size_of(entry)}, {seconds:.1f} s")


@dataclass(frozen=True)
class VerifySets:
    """Check the sums of all files in the cache."""

    def run(self, console: Console) -> None:
        """Say of each set whether it is whole; raises DataError if one is not."""
        damaged = []
        for entry in entries():
            try:
                entry.verify()
                print_plain(console, f"{entry.path.name}: whole, {size_of(entry)}")
            except DataError as error:
                damaged.append(str(error))
        if damaged:
            raise DataError("\n".join([f"{len(damaged)} of {len(entries())} sets are damaged:", *damaged]))
        print_plain(console, f"{folder()}: {len(entries())} sets, all whole")


def sheet_of(name: str) -> Path:
    """What a data set's contact sheet is called: the last part of its name or path."""
    last = Path(os.path.abspath(name))  # of "." the folder's name
    return Path(last.stem if last.suffix.lower() in (".npz", ".npy") else last.name)


def size_of(entry: CacheEntry) -> str:
    """What it takes on disk."""
    return f"{entry.size / 2**20:.1f} MiB"
