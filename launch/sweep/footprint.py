"""How many files a sweep leaves on disk, and how many bytes they take, known before it is begun.

The store is measured: an empty one is made in a temporary folder. What is recorded, and what stands beside it, is
counted file by file, each in whole blocks, as file systems keep it.
"""

import json
import math
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from widesym.ensembles import Strategy
from widesym.ensembles.recorder import Layout, create_store, together
from widesym.ensembles.trial import state_bytes
from widesym.launch.runs.disk import bytes_text
from widesym.launch.runs.run import Run
from widesym.launch.sweep.config import Point
from widesym.launch.sweep.jobs import program
from widesym.launch.sweep.plan import Planned, Runs

BLOCK = 4096  # bytes: of ext4, XFS and others unless they are told otherwise
CIRCUMSTANCES = 2500  # bytes of config.json beside the configuration: command, packages, machine
DIGEST = 110  # bytes of finished.json for each file
ROW = 20  # bytes of a number in metrics.csv
CHECKPOINT = (10, 6, 7 * BLOCK)  # orbax's files, folders, and bytes beside those of the arrays


class Footprint(NamedTuple):
    """Files, and bytes in whole blocks, those of folders among them; and how many of these are recorded numbers, which
    compression may make fewer: of networks that say the same of all inputs it does.
    """

    files: int = 0
    bytes: int = 0
    records: int = 0

    def plus(self, other: "Footprint", times: int = 1) -> "Footprint":
        """Both together, the other so many times."""
        return Footprint(*(one + times * more for one, more in zip(self, other, strict=True)))

    def __str__(self) -> str:
        records = f"{bytes_text(self.records)} of it numbers that may shrink"
        return f"{self.files:,} files and {bytes_text(self.bytes)} on disk ({records})"


def blocks(size: float) -> int:
    """The bytes that a file of this size takes."""
    return math.ceil(size / BLOCK) * BLOCK


def of_files(sizes: Iterable[float], folders: int = 0) -> Footprint:
    """Of files of these sizes, in so many folders."""
    sizes = list(sizes)
    return Footprint(len(sizes), sum(map(blocks, sizes)) + folders * BLOCK)


def measured(path: Path) -> Footprint:
    """What a directory takes: files that are linked to more than once count each, and their bytes once."""
    files = [file for file in path.rglob("*") if file.is_file()]
    sizes = {(stat.st_dev, stat.st_ino): stat.st_size for stat in (file.stat() for file in files)}
    folders = 1 + sum(each.is_dir() for each in path.rglob("*"))
    return Footprint(len(files), of_files(sizes.values(), folders).bytes)


def footprint_of_store(layout: Layout) -> Footprint:
    """A store with all its records; floats that differ between members hardly shrink."""
    with tempfile.TemporaryDirectory() as folder:
        create_store(Path(folder) / "logits.zarr", layout)
        found = measured(Path(folder) / "logits.zarr")
    times, members = len(layout.steps), layout.members
    for array in layout.arrays:
        each = 4 * math.prod(array.shape)
        rows, columns = together(times, members, each)
        files = math.ceil(times / rows) * math.ceil(members / columns)
        of_file = of_files([rows * columns * each])
        found = found.plus(of_file._replace(records=of_file.bytes), files)
    rows, _ = together(times, members, 1)
    return found.plus(of_files([rows * members]), math.ceil(times / rows)).plus(of_files([times]))  # healthy, recorded


def footprint_of_run(run: Run, whole: bool, checkpoints_kept: int) -> Footprint:
    """A finished run without the bytes of its data, trained by itself (`whole`) or put together from parts."""
    store = footprint_of_store(run.layout)
    config = len(json.dumps(run.config, indent=2)) + CIRCUMSTANCES
    columns = 5 + 2 * len(run.sets)
    beside = [config, 200 + DIGEST * (store.files + 6), ROW * columns * len(run.record_steps), 500]  # … strategy.json
    found = store.plus(of_files(beside, folders=2)).plus(Footprint(len(run.sets)))
    if not whole:
        return found
    state = state_bytes(run.trainer(Strategy()), run.training_set.inputs.shape[1:])
    files, folders, size = CHECKPOINT
    checkpoint = Footprint(files, size + blocks(state) + folders * BLOCK)
    of_job = of_files([0, 110, 150], folders=1)  # .lock, heartbeat.json, stability.json; and checkpoints/
    return found.plus(of_job).plus(checkpoint, min(checkpoints_kept, len(run.record_steps)))


def footprint_of_sweep(points: Mapping[str, Point], planned: Planned, runs: Runs, checkpoints_kept: int) -> Footprint:
    """All runs that are to be done, with one copy of each of their data sets, what describes them and their jobs."""
    found, of_kind, data = Footprint(), dict[tuple[str, int, bool], Footprint](), dict[str, int]()
    for name in dict.fromkeys(name for of_job in planned.runs_of.values() for name in of_job):
        config = points[name].config
        whole = name in planned.jobs
        kind = (program(config), config.members, whole)
        if kind not in of_kind:
            run = runs(config)
            of_kind[kind] = footprint_of_run(run, whole, checkpoints_kept)
            data |= {each.fingerprint: each.bytes for each in run.sets}
        found = found.plus(of_kind[kind])
    jobs = [len(json.dumps(runs(job.config).config, indent=2)) for job in planned.jobs.values()]
    plan = 120 * len(points)
    return found.plus(of_files([0, plan, *jobs, *(size + 500 for size in data.values())], folders=7))
