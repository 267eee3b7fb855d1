"""Runs put together from the jobs that trained their members, with the numbers of runs that were trained alone."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr
from jaxtyping import Shaped

from widesym.ensembles.data import Dataset
from widesym.ensembles.data.stored import load_dataset
from widesym.ensembles.files import read_text, whole_directory
from widesym.ensembles.recorder import create_store
from widesym.ensembles.stores import open_consolidated
from widesym.ensembles.trainer import DivergedError, Record
from widesym.launch.errors import RunDirectoryError
from widesym.launch.integrity.files import file_digests
from widesym.launch.runs.data import write_sets
from widesym.launch.runs.directory import holder
from widesym.launch.runs.failures import note_failure
from widesym.launch.runs.files import write_json
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.record import read_record
from widesym.launch.runs.records import write_moment
from widesym.launch.runs.run import Run
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.folder import JobMembers
from widesym.launch.sweep.jobs import digest
from widesym.launch.sweep.share import share_data
from widesym.launch.training.stability import FILE as STABILITY


def gather(directory: SweepDirectory, job: str | None = None) -> dict[str, str]:
    """Put together all runs whose members are all trained, or those of them that the job has members of, and remove
    parts that are of no more use. Returns what kept runs from it, by name.

    A run appears in `runs/` whole or not at all.
    """
    failures: dict[str, str] = {}
    with directory.locked():
        wanted = directory.all_wanted()
        for name, sources in wanted.items():
            of_job = job is None or any(source.job == job for source in sources)
            if of_job and all(map(directory.is_trained, sources)):
                try:
                    _settle(directory, name)
                except (OSError, ValueError, KeyError) as error:
                    failures[name] = f"{type(error).__name__}: {error}"
        _remove_parts(directory)
    return failures


def _settle(directory: SweepDirectory, name: str) -> None:
    """Put a run together, unless it is there, or was begun by itself and ends so."""
    if not RunPaths(directory.run(name)).config.exists():
        try:
            _put_together(directory, name)
        except DivergedError as error:  # as the run would have alone, while others of the job have not
            note_failure(directory.run(name), error)
    elif not directory.is_finished(name):
        return
    (directory.path / "wanted" / f"{name}.json").unlink()


def _remove_parts(directory: SweepDirectory) -> None:
    """Remove the parts that no run wants, and nobody is at."""
    wanted = directory.all_wanted()
    needed = {source.job for sources in wanted.values() for source in sources}
    damaged = len(list((directory.path / "wanted").glob("*.json"))) > len(wanted)  # who knows what these need
    for path in (directory.path / "parts").glob("*"):
        if path.name not in needed and not damaged and holder(path) is None:
            shutil.rmtree(path, ignore_errors=True)


def _put_together(directory: SweepDirectory, name: str) -> None:
    config, sources = directory.read_wanted(name)
    parts = [(directory.part(source.job), source) for source in sources]
    run = config.run(_sets_of(parts[0][0]))
    if digest(run.config) != name:
        raise RunDirectoryError(f"{name}: its members were trained on other data; remove {parts[0][0].parent}")
    stores = [(open_consolidated(RunPaths(each).store), source) for each, source in parts]
    with whole_directory(directory.run(name)) as path:
        write_sets(path, run.sets)
        share_data(directory, path)
        create_store(RunPaths(path).store, run.layout)
        for position in range(len(run.record_steps)):
            _copy_moment(run, path, position, stores)
        _describe(run, path, parts)
        shutil.rmtree(directory.run(name), ignore_errors=True)  # what it has failed of before


def _sets_of(part: Path) -> tuple[Dataset, ...]:
    """The data that members were trained on."""
    return tuple(load_dataset(RunPaths(part).data(index, name)) for index, name in enumerate(read_record(part).data))


def _copy_moment(run: Run, path: Path, position: int, stores: Sequence[tuple[zarr.Group, JobMembers]]) -> None:
    def joined(name: str) -> Shaped[np.ndarray, "member ..."]:
        return np.concatenate(
            [np.asarray(store[name][position, at.start : at.start + at.members]) for store, at in stores]  # pyright: ignore
        )

    sizes = [samples * run.layout.orbits.get(name, 1) for name, samples in run.layout.sets.items()]
    logits = np.split(joined("logits"), np.cumsum(sizes)[:-1], axis=1)
    record = Record(position, dict(zip(run.layout.sets, logits, strict=True)), joined("healthy"))
    if not record.healthy.any():
        raise DivergedError(f"no member's numbers are finite at step {run.record_steps[position]}")
    others = {array.name: joined(array.name) for array in run.layout.arrays if array.name != "logits"}
    write_moment(run, path, record, others)


def _describe(run: Run, path: Path, parts: Sequence[tuple[Path, JobMembers]]) -> None:
    """Configuration, circumstances and end, as of one run; what stands there of jobs is theirs that had members."""
    first = parts[0][0]
    described = [json.loads(read_text(RunPaths(each).config)) for each, _ in parts]
    oldest = min(each.get("schema", 1) for each in described)  # a part of an earlier version makes the run one
    own = {"schema": oldest, "config": run.config, "jobs": [each.job for _, each in parts]}
    write_json(RunPaths(path).config, described[0] | own)
    for file in ("strategy.json", STABILITY):
        if (first / file).exists() and (file != STABILITY or len(parts) > 1):  # a job of many runs has many rates
            shutil.copyfile(first / file, path / file)
    ends = [json.loads(read_text(RunPaths(each).finished)) for each, _ in parts]
    finish = {
        "seconds": sum(end["seconds"] for end in ends),  # of all members of these jobs
        "process_peak_memory_bytes": max(end["process_peak_memory_bytes"] for end in ends),
    }
    write_json(RunPaths(path).finished, {**finish, "sha256": file_digests(path)})
