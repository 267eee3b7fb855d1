"""The data of a run: kept in its directory, or loaded again, and held against the digests that the directory has."""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from widesym.ensembles.data import DataError, Dataset
from widesym.ensembles.data.stored import load_dataset, save_dataset
from widesym.ensembles.files import write_whole
from widesym.launch.config.specs import source_of
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.stored import StoredRun


def write_sets(path: Path, sets: Iterable[Dataset]) -> None:
    """Keep the data of the run in `path`, one file a set; what is there is left as it is."""
    (path / "data").mkdir(exist_ok=True)
    for index, data in enumerate(sets):
        file = RunPaths(path).data(index, data.name)
        if not file.exists():
            write_whole(file, partial(save_dataset, data=data))


def stored_sets(run: StoredRun) -> dict[str, Dataset]:
    """The run's data by name, the training set first; raises DataError as `stored_set`."""
    return {name: stored_set(run, name) for name in run.record.data}


def stored_set(run: StoredRun, name: str) -> Dataset:
    """The set of this name.

    Raises DataError where the directory keeps none, as of earlier versions, and where it is not what the run was made
    with.
    """
    if name in run.sets_read:
        return run.sets_read[name]
    recorded = run.record.data[name]
    file = RunPaths(run.path).data(list(run.record.data).index(name), name)
    if not file.exists():
        raise DataError(
            f"{run.path} keeps no data ({file.name} is missing), as runs of earlier versions; train it again in "
            "another directory, or start it again in this one, which adds them"
        )
    found = load_dataset(file)
    if found.fingerprint != recorded.fingerprint:
        raise DataError(
            f"{file} has digest {found.fingerprint}, but the run was made with {recorded.fingerprint}; "
            "remove it and start the run again, which writes it anew"
        )
    run.sets_read[name] = found
    return found


def sets_of_runs(runs: Mapping[str, StoredRun]) -> dict[str, dict[str, Dataset]]:
    """The data of each run by name, the training set first.

    A file that runs have in common, as those of a sweep do by hard links, is read once, and equal sets are in memory
    once. Raises DataError as `stored_set`.
    """
    by_file: dict[tuple[int, int], Dataset] = {}
    equal: dict[tuple[Any, ...], Dataset] = {}
    for run in runs.values():
        for index, (name, recorded) in enumerate(run.record.data.items()):
            key = _identity(RunPaths(run.path).data(index, name))
            if key in by_file and by_file[key].fingerprint == recorded.fingerprint:
                run.sets_read[name] = by_file[key]
            found = stored_set(run, name)
            found = equal.setdefault((found.name, found.fingerprint, found.classes, found.quantities), found)
            run.sets_read[name] = found
            if key is not None:
                by_file[key] = found
    return {name: stored_sets(run) for name, run in runs.items()}


def _identity(file: Path) -> tuple[int, int] | None:
    """The same for two names of one file; None where there is none."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def training_set(run: StoredRun, source: str | None = None, seed: int = 0) -> Dataset:
    """The training set of a run: the one that its directory keeps, or that of the source of this name (`find_source`).

    A source is asked for as many training and test samples as were recorded, drawn by `seed`, and for what it has if
    nobody asks. Raises DataError where neither is what the run was trained on.
    """
    name, sets = run.record.training_set, run.record.data
    recorded = sets[name]
    if source is None:
        return stored_set(run, name)
    test = sets["test"].samples if "test" in sets else None
    made = source_of(source)
    asked = {"train": recorded.samples, "test": test, "seed": seed}
    sources, found = [made], []
    if is_dataclass(made):
        given = {field.name: asked[field.name] for field in fields(made) if asked.get(field.name) is not None}
        sources.insert(0, replace(made, **given))
    for each in sources:
        data = each.load().train
        if data.fingerprint == recorded.fingerprint:
            return data
        found.append(f"{data.fingerprint} ({len(data)} samples)")
    raise DataError(
        f"the training set of {source!r}, seed {seed}, has digest {', or '.join(found)}, but the run was trained on "
        f"{name!r} with digest {recorded.fingerprint} ({recorded.samples} samples; {recorded.provenance}); "
        "name its source with --data and its seed with --data-seed, or call `ntk_of_run` of widesym.launch.kernels.ntk "
        "with the data"
    )
