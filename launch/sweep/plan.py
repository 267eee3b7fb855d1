"""From a sweep to jobs: what is finished is not planned again, and what was begun goes on as it was begun."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from widesym.ensembles.data import Dataset
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.runs.failures import FILE as FAILED
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.run import Run
from widesym.launch.sweep.config import Point, SweepConfig, place_of
from widesym.launch.sweep.directory import StoredJob, SweepDirectory, Wanted
from widesym.launch.sweep.folder import JobMembers, StoredPlan
from widesym.launch.sweep.gather import gather
from widesym.launch.sweep.jobs import Job, SweepRun, digest, digest_of_part, packed, program, whole_run_job
from widesym.launch.training.config import TrainConfig, described
from widesym.launch.training.cost import batch_shapes

Runs = Callable[[TrainConfig], Run]


def loading_once() -> Runs:
    """A function from configurations to runs, which loads each data set once."""
    loaded: dict[str, tuple[Dataset, ...]] = {}
    of_data = ("data", "train", "test", "data_seed", "ood", "ood_samples")

    def run(config: TrainConfig) -> Run:
        content = described(config)
        key = json.dumps([content.get(name) for name in of_data], sort_keys=True)
        if key not in loaded:
            loaded[key] = config.sets()
        return config.run(loaded[key])

    return run


def runs_by_digest(points: Sequence[Point], runs: Runs, where: str) -> dict[str, Point]:
    """The runs by the digests of their configurations, networks of the zoo with the logits that data ask for; those
    that are the same are one.

    Raises ConfigError, which names the run, for what could not be trained.
    """
    found: dict[str, Point] = {}
    checked: set[str] = set()
    for number, point in enumerate(points):
        try:
            run = runs(point.config)
            fitted = point.config.fitted(run.training_set)
            if (alike := program(fitted)) not in checked:
                run.check()
                _ = batch_shapes(run)
                checked.add(alike)
            run.recipe.hyperparameters(run.members)
            found.setdefault(digest(run.config), point._replace(config=fitted))
        except (ValueError, TypeError) as error:
            raise ConfigError(f"{place_of(where, number, point.changes)}: {error}") from None
    return found


class Planned(NamedTuple):
    """Jobs by name, which runs each has members of, and what runs are to be put together from."""

    jobs: dict[str, StoredJob]
    runs_of: dict[str, list[str]]
    wanted: dict[str, Wanted]


def planned(directory: SweepDirectory, points: Mapping[str, Point], sweep: SweepConfig, runs: Runs) -> Planned:
    """What is to be done for those runs that are not finished; reads only.

    What was begun goes on as it was begun: whole, or in the parts that it is to be put together from. What has failed
    is a job by itself.
    """
    open_ = [SweepRun(name, point.config) for name, point in points.items() if not directory.is_finished(name)]
    alone = [entry for entry in open_ if is_begun(directory.run(entry.name))]
    kept = {entry.name: found for entry in open_ if entry not in alone and (found := begun_parts(directory, entry))}
    fresh = [entry for entry in open_ if entry not in alone and entry.name not in kept]
    found = Planned({}, {}, {})
    for run, wanted in kept.items():
        found.wanted[run] = wanted
        for source in wanted.sources:
            found.jobs[source.job] = directory.read_job(source.job)
            found.runs_of.setdefault(source.job, []).append(run)
    for job in [*map(whole_run_job, alone), *packed(fresh, sweep.members_a_job)]:
        _add(found, job, points, sweep, runs)
    return found


def is_begun(run: Path) -> bool:
    """Whether a run was begun by itself, or has failed."""
    return RunPaths(run).config.exists() or (run / FAILED).exists()


def begun_parts(directory: SweepDirectory, entry: SweepRun) -> Wanted | None:
    """What a run is to be put together from, if some of that is begun and all can go on; else None."""
    try:
        sources = directory.sources_of(entry.name)
        for source in sources:
            _ = directory.read_job(source.job)
    except (RunDirectoryError, ConfigError):
        return None
    begun = any(RunPaths(directory.part(source.job)).config.exists() for source in sources)
    return Wanted(entry.config, sources) if begun else None


def _add(found: Planned, job: Job, points: Mapping[str, Point], sweep: SweepConfig, runs: Runs) -> None:
    first = job.pieces[0].run
    is_whole = len(job.pieces) == 1 and job.config == points[first].config
    name = first if is_whole else digest_of_part(runs(job.config).config)
    found.jobs[name] = StoredJob(job.config, is_whole, sweep.strategy)
    start = 0
    for piece in job.pieces:
        found.runs_of.setdefault(name, []).append(piece.run)
        if not is_whole:
            before = found.wanted.get(piece.run, Wanted(points[piece.run].config, ()))
            sources = (*before.sources, JobMembers(name, start, piece.members))
            found.wanted[piece.run] = before._replace(sources=sources)
        start += piece.members


def prepare(
    directory: SweepDirectory, name: str, points: Mapping[str, Point], sweep: SweepConfig, runs: Runs
) -> StoredPlan:
    """Write down what is to be done; runs whose members are all trained are put together first."""
    gather(directory)
    with directory.locked():
        found = planned(directory, points, sweep, runs)
        for job, content in found.jobs.items():
            directory.write_job(job, content)
        for run in points:
            if run in found.wanted:
                directory.write_wanted(run, found.wanted[run])
            else:
                (directory.path / "wanted" / f"{run}.json").unlink(missing_ok=True)
        plan = StoredPlan({run: point.changes for run, point in points.items()}, found.runs_of, directory.unstated())
        directory.write("plans", name, plan._asdict())
    return plan
