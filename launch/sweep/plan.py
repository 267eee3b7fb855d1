"""From a sweep to jobs: what is finished is not planned again, and what was begun goes on as it was begun."""

import json
from collections.abc import Callable, Sequence

from ensembles.data import Dataset
from launch.config import ConfigError
from launch.run import Run
from launch.sweep.directory import Planned, Source, StoredJob, StoredPlan, SweepDirectory
from launch.sweep.gather import gather
from launch.sweep.jobs import Entry, Job, described, digest, kind, packed, whole
from launch.sweep.sweep_config import Point, SweepConfig, told
from launch.train_config import TrainConfig
from launch.training_cost import batch_shapes

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


def named(points: Sequence[Point], runs: Runs, where: str) -> dict[str, Point]:
    """The runs by the digests of their configurations; those that are the same are one.

    Raises ConfigError, which names the run, for what could not be trained.
    """
    found: dict[str, Point] = {}
    checked: set[str] = set()
    for number, point in enumerate(points):
        try:
            run = runs(point.config)
            if (alike := kind(point.config)) not in checked:
                run.check()
                _ = batch_shapes(run)
                checked.add(alike)
            run.recipe.hyperparameters(run.members)
            found.setdefault(digest(run.config), point)
        except (ValueError, TypeError) as error:
            place = f"{where}, run {number + 1}{f' ({told(point.changes)})' if point.changes else ''}"
            raise ConfigError(f"{place}: {error}") from None
    return found


def planned(
    directory: SweepDirectory, points: dict[str, Point], sweep: SweepConfig, runs: Runs
) -> dict[str, StoredJob]:
    """The jobs of those runs that are not finished, by name; reads only."""
    open_ = [Entry(name, point.config) for name, point in points.items() if not directory.is_finished(name)]
    begun = [entry for entry in open_ if (directory.run(entry.name) / "config.json").exists()]
    fresh = [entry for entry in open_ if entry not in begun]
    jobs = {
        job.pieces[0].run if is_whole(job, points) else digest(runs(job.config).config): job
        for job in [*map(whole, begun), *packed(fresh, sweep.members_a_job)]
    }
    sources: dict[str, list[tuple[int, Source]]] = {}
    for name, job in jobs.items():
        start = 0
        for piece in job.pieces:
            sources.setdefault(piece.run, []).append((piece.first, Source(name, start, piece.members)))
            start += piece.members
    runs_of = {
        run: Planned(points[run].config, tuple(source for _, source in sorted(parts))) for run, parts in sources.items()
    }
    return {
        name: StoredJob(job.config, {piece.run: runs_of[piece.run] for piece in job.pieces}, sweep.strategy)
        for name, job in jobs.items()
    }


def is_whole(job: Job, points: dict[str, Point]) -> bool:
    """Whether the job is one run and nothing else."""
    return len(job.pieces) == 1 and job.config == points[job.pieces[0].run].config


def prepare(
    directory: SweepDirectory, name: str, points: dict[str, Point], sweep: SweepConfig, runs: Runs
) -> StoredPlan:
    """Plan the sweep and write down what is to be done; runs whose members are all trained are put together first."""
    for part in sorted((directory.path / "parts").glob("*/finished.json")):
        gather(directory, part.parent.name)
    with directory.locked():
        jobs = planned(directory, points, sweep, runs)
        for job, content in jobs.items():
            directory.write_job(job, content)
        plan = StoredPlan(
            {run: point.changes for run, point in points.items()}, {job: [*each.runs] for job, each in jobs.items()}
        )
        directory.write_plan(name, plan)
    return plan
