"""`python -m benchmarks.analysis`: what `widesym analyze` takes on two runs whose logits do not fit in memory.

Run directories are made of random logits, in a temporary directory that goes afterwards; the largest takes 16 GB. Each
comparison runs in a process of its own, so that the peak is its own.
"""

import cProfile
import json
import math
import pstats
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tyro
import zarr
from rich.console import Console

from benchmarks.machine import described_machine
from benchmarks.timing import number, print_table
from widesym.ensembles import FullOrbit, TrainingRecipe
from widesym.ensembles.data import Dataset
from widesym.ensembles.recorder import create_store
from widesym.ensembles.stores import METRICS
from widesym.launch.commands.analyze import AnalyzeCommand
from widesym.launch.runs.data import write_sets
from widesym.launch.runs.files import write_json
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import peak_memory
from widesym.models import Architecture, Dense, Flatten, cyclic

LOGITS, TRAIN, SIDE = 10, 64, 8
GROUP = cyclic(4)
# Rows of the table: files and names of the functions that the time is spent in.
PARTS = {
    "passes over members": ("estimators/means.py", "estimate_with_subsets"),
    "– reading": ("estimators/logits.py", "blocks"),
    "– members' orbits": ("estimators/orbit_statistics.py", "mean_orbit_statistics"),
    "intervals": ("metrics/divergence.py", "divergence_row"),
    "divergence by size": ("estimators/divergence.py", "divergence_by_size"),
    "orbits of means": ("metrics/equivariance.py", "orbit_row"),
    "orbits by size": ("metrics/equivariance.py", "orbit_size_row"),
    "tables": ("analyses/files.py", "write_tables"),
    "figures": ("analyses/figures.py", "figures_of"),
    "figure files": ("analyses/files.py", "write_figures"),
}


@dataclass(frozen=True)
class Size:
    """Of each of two runs; `samples` is the length of the store's sample axis, orbits included."""

    name: str
    members: int
    samples: int
    times: int
    orbit: bool = False
    compressed: bool = True

    @property
    def bytes(self) -> int:
        """Of both runs' logits, before compression."""
        return 2 * 4 * self.times * self.members * self.samples * LOGITS


SIZES = (
    Size("small", 256, 512, 10),
    Size("small, on orbits", 256, 512, 10, orbit=True),
    Size("middle", 2_000, 2_000, 5),
    Size("middle, on orbits", 2_000, 2_000, 5, orbit=True),
    Size("large", 10_000, 10_000, 2),
    Size("large, uncompressed", 10_000, 10_000, 2, compressed=False),
)


@dataclass(frozen=True)
class Options:
    """Time and memory of comparisons."""

    sizes: tuple[str, ...] = tuple(size.name for size in SIZES)
    """Which to measure."""
    folder: Path = Path(tempfile.gettempdir())
    """Where the runs are made: 16 GB at the largest size."""


def main() -> None:
    """Measure and print the tables."""
    options = tyro.cli(Options, prog="python -m benchmarks.analysis")
    print(described_machine(), flush=True)
    measured = {}
    for size in SIZES:
        if size.name in options.sizes:
            print(f"{size.name}: {size.bytes / 2**30:.3g} GiB", file=sys.stderr, flush=True)
            measured[size] = measure(size, options.folder)
            print(measured[size], file=sys.stderr, flush=True)
    rows = [
        [
            size.name,
            f"{size.members} × {size.samples} × {LOGITS} × {size.times}",
            number(size.bytes / 2**30),
            number(found["stored"] / 2**30),
            f"{number(found['seconds'])} / {number(found['processor'])}",
            number(found["peak"] / 2**30),
        ]
        for size, found in measured.items()
    ]
    shape = "members × samples × logits × times"
    header = ["two runs", shape, "logits, GiB", "on disk, GiB", "s", "peak memory, GiB"]
    print_table("widesym analyze of two runs on two cores: by wall time / by processor time", header, rows)
    parts = [[part, *(number(found["parts"][part]) for found in measured.values())] for part in PARTS]
    print_table("Where the processor time goes, s", ["part", *(size.name for size in measured)], parts)


def measure(size: Size, folder: Path) -> dict[str, Any]:
    """Time, parts of it and peak memory of a comparison in a process of its own."""
    with tempfile.TemporaryDirectory(dir=folder) as made:
        runs = [make_run(Path(made) / name, size, seed) for seed, name in enumerate(("augmented", "gcnn"))]
        stored = sum(file.stat().st_size for run in runs for file in run.rglob("*") if file.is_file())
        command = [sys.executable, "-m", "benchmarks.analysis", "compare", made]
        done = subprocess.run(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True, check=True)
        return json.loads(done.stdout.splitlines()[-1]) | {"stored": stored}


def compare_runs(folder: str) -> None:
    """Compare the runs in a folder and print, as JSON, what that took; this process does nothing else."""
    profile, began, used = cProfile.Profile(time.process_time), time.perf_counter(), time.process_time()
    profile.runcall(AnalyzeCommand((Path(folder),)).run, Console(quiet=True))
    spent = {"seconds": time.perf_counter() - began, "processor": time.process_time() - used}
    stats: dict[tuple[str, int, str], tuple] = pstats.Stats(profile).stats  # pyright: ignore[reportAttributeAccessIssue]
    taken = {("/".join(Path(file).parts[-2:]), name): entry[3] for (file, _, name), entry in stats.items()}
    parts = {part: taken.get(function, 0.0) for part, function in PARTS.items()}
    print(json.dumps(spent | {"peak": peak_memory(), "parts": parts}))


def make_run(path: Path, size: Size, seed: int) -> Path:
    """A finished run's directory with independent normal logits in its store."""
    order = GROUP.order if size.orbit else 1
    rng = np.random.default_rng(seed)
    train, test = (images(name, count) for name, count in (("train", TRAIN), ("test", (size.samples - TRAIN) // order)))
    network = Architecture((Flatten(), Dense(LOGITS)))
    orbit = FullOrbit(GROUP) if size.orbit else None
    run = Run(network, TrainingRecipe(0.1), size.members, seed, tuple(range(size.times)), train, (test,), orbit)
    path.mkdir()
    create_store(path / "logits.zarr", run.layout)
    write_json(path / "config.json", {"config": run.config})
    write_json(path / "finished.json", {})
    write_sets(path, run.sets)
    store = zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)
    fill(logits_array(store, size.compressed), rng)
    for name in METRICS:
        array_of(store, name)[:] = rng.uniform(size=(size.times, size.members))
    for name in ("healthy", "recorded"):
        array_of(store, name)[:] = True
    return path


def array_of(store: zarr.Group, name: str) -> zarr.Array:
    """The array of that name."""
    array = store[name]
    assert isinstance(array, zarr.Array)
    return array


def logits_array(store: zarr.Group, compressed: bool) -> zarr.Array:
    """The store's logits, which the recorder compresses; or in their place an array that is not."""
    array = array_of(store, "logits")
    if compressed:
        return array
    return store.create_array(
        "logits",
        shape=array.shape,
        chunks=array.chunks,
        dtype=array.dtype,
        fill_value=math.nan,
        compressors=None,
        dimension_names=("time", "member", "sample", "logit"),
        overwrite=True,
    )


def fill(logits: zarr.Array, rng: np.random.Generator) -> None:
    """Independent normal numbers, chunk by chunk."""
    times, members, *shape = logits.shape
    chunk = logits.chunks[1]
    for at in range(times):
        for start in range(0, members, chunk):
            part = slice(start, min(start + chunk, members))
            logits[at, part] = rng.standard_normal((part.stop - start, *shape), dtype=np.float32)


def images(name: str, count: int) -> Dataset:
    """Noise with labels."""
    rng = np.random.default_rng(count)
    inputs = rng.standard_normal((count, SIDE, SIDE, 1), dtype=np.float32)
    return Dataset(name, inputs, rng.integers(0, LOGITS, count), tuple("0123456789"), "noise")


if __name__ == "__main__":
    if sys.argv[1:2] == ["compare"]:
        compare_runs(sys.argv[2])
    else:
        main()
