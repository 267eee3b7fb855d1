"""Runs put together from the jobs that trained their members, with the numbers of runs that were trained alone."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import zarr
from jaxtyping import Shaped

from ensembles.recorder import create_store
from ensembles.trainer import DivergedError, Record
from launch.failures import note_failure
from launch.integrity import digests
from launch.moments import write_moment
from launch.run import Run
from launch.run_directory import write_json
from launch.stability import FILE as STABILITY
from launch.stored_data import write_sets
from launch.sweep.directory import Planned, Source, SweepDirectory


def gather(directory: SweepDirectory, job: str) -> None:
    """Put together those runs of a job whose members are all trained, and remove parts that are of no more use.

    A run appears in `runs/` whole or not at all.
    """
    runs = directory.read_job(job).runs
    if directory.workplace(job, runs) == directory.run(job):
        return
    with directory.locked():
        for name, planned in runs.items():
            if not is_done(directory, name) and all(is_trained(directory, each) for each in planned.sources):
                try:
                    _put_together(directory, name, planned)
                except DivergedError as error:  # as the run would have alone, while others of the job have not
                    note_failure(directory.run(name), error)
        for source in {source.job for planned in runs.values() for source in planned.sources}:
            if all(is_done(directory, name) for name in directory.read_job(source).runs):
                shutil.rmtree(directory.part(source), ignore_errors=True)


def is_done(directory: SweepDirectory, run: str) -> bool:
    """Whether nothing is to be made of parts any more."""
    return directory.is_finished(run) or (directory.run(run) / "failed.json").exists()


def is_trained(directory: SweepDirectory, source: Source) -> bool:
    """Whether all members of the job are."""
    return (directory.part(source.job) / "finished.json").exists()


def _put_together(directory: SweepDirectory, name: str, planned: Planned) -> None:
    parts = [(directory.part(source.job), source) for source in planned.sources]
    path = directory.run(name).with_name(f".{name}.new")
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(parents=True)
    run = planned.config.run()
    write_sets(path, run.sets)
    create_store(path / "logits.zarr", run.layout)
    stores = [(zarr.open_group(each / "logits.zarr", mode="r"), source) for each, source in parts]
    for position in range(len(run.record_steps)):
        _copy_moment(run, path, position, stores)
    _describe(run, path, parts)
    shutil.rmtree(directory.run(name), ignore_errors=True)  # begun by somebody, and not finished
    path.rename(directory.run(name))


def _copy_moment(run: Run, path: Path, position: int, stores: Sequence[tuple[zarr.Group, Source]]) -> None:
    def joined(name: str) -> Shaped[np.ndarray, "member ..."]:
        return np.concatenate(
            [np.asarray(store[name][position, at.start : at.start + at.members]) for store, at in stores]  # pyright: ignore
        )

    arrays = {array.name: joined(array.name) for array in run.layout.arrays}
    sizes = [samples * run.layout.orbits.get(name, 1) for name, samples in run.layout.sets.items()]
    logits = np.split(arrays["logits"], np.cumsum(sizes)[:-1], axis=1)
    record = Record(position, dict(zip(run.layout.sets, logits, strict=True)), joined("healthy"))
    if not record.healthy.any():
        raise DivergedError(f"no member's numbers are finite at step {run.record_steps[position]}")
    write_moment(run, path, record, arrays)


def _describe(run: Run, path: Path, parts: Sequence[tuple[Path, Source]]) -> None:
    """Configuration, circumstances and end, as of one run; what stands there of jobs is theirs that had members."""
    first = parts[0][0]
    circumstances = json.loads((first / "config.json").read_text())
    write_json(path / "config.json", circumstances | {"config": run.config, "jobs": [each.job for _, each in parts]})
    for file in ("strategy.json", STABILITY):
        if (first / file).exists() and (file != STABILITY or len(parts) > 1):  # a job of many runs has many rates
            shutil.copyfile(first / file, path / file)
    ends = [json.loads((each / "finished.json").read_text()) for each, _ in parts]
    finish = {
        "seconds": sum(end["seconds"] for end in ends),  # of all members of these jobs
        "process_peak_memory_bytes": max(end["process_peak_memory_bytes"] for end in ends),
    }
    write_json(path / "finished.json", {**finish, "sha256": digests(path)})
