"""What a sweep is and takes, said before anything is begun; nothing is written."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from widesym.launch.config.yaml import dumped
from widesym.launch.errors import ConfigError
from widesym.launch.runs.disk import bytes_text
from widesym.launch.runs.run import Run
from widesym.launch.sweep.changes import describe_changes
from widesym.launch.sweep.config import Point, SweepConfig
from widesym.launch.sweep.directory import StoredJob, SweepDirectory
from widesym.launch.sweep.footprint import footprint_of_sweep
from widesym.launch.sweep.jobs import program
from widesym.launch.sweep.plan import Runs, planned
from widesym.launch.training.cost import TrainingCost, training_cost
from widesym.launch.training.duration import PredictedTime, duration_text, predicted_time

MOST_TRIALS = 8


class Kind(NamedTuple):
    """Jobs of one program: what the first of them takes, and how many members of how many jobs there are."""

    run: Run
    cost: TrainingCost
    jobs: int
    members: int

    @property
    def flops(self) -> float:
        """Floating-point operations of all jobs' training together."""
        return self.cost.flops * self.members / self.run.members

    def seconds(self, predicted: PredictedTime) -> float:
        """Seconds that all jobs take, one after the other on all devices of this machine."""
        first = self.run.members
        more = self.members - first * self.jobs
        return predicted.seconds * self.jobs + more * self.run.record_steps[-1] * predicted.trial.seconds_a_member_step


def describe_sweep(
    directory: SweepDirectory, points: Mapping[str, Point], sweep: SweepConfig, runs: Runs, checkpoints_kept: int
) -> str:
    """The sweep's resolved base, its runs, and their cost, as comments to it."""
    plan = planned(directory, points, sweep, runs)
    jobs = plan.jobs
    kinds = kinds_of(jobs, runs, checkpoints_kept)
    unfinished = {name for name in points if not directory.is_finished(name)}
    resolved = dumped(base_of(sweep))
    lines = [
        f"{len(points)} runs in {directory.path}, {len(points) - len(unfinished)} of them finished:",
        *(
            f"  {name}  {'to do   ' if name in unfinished else 'finished'}  {describe_changes(point.changes)}"
            for name, point in points.items()
        ),
    ]
    if not jobs:
        return resolved + commented([*lines, "nothing is left to be done"])
    members = sum(each.members for each in kinds)
    counts = f"{len(jobs)} jobs of {len(kinds)} kinds, {members:,} members"
    return resolved + commented(
        [
            *lines,
            f"to do: {counts}",
            f"{sum(each.flops for each in kinds):.3g} floating-point operations in products of matrices",
            f"about {footprint_of_sweep(points, plan, runs, checkpoints_kept)}, data once for all runs; "
            f"a job under way takes up to {bytes_text(max(each.cost.space.total for each in kinds))} more",
            sweep_time_text(kinds),
        ]
    )


def base_of(sweep: SweepConfig) -> dict[str, Any]:
    """The sweep as its file would have it, with all that was not said."""
    content = {"base": sweep.base, "product": dict(sweep.product), "zip": dict(sweep.zip), "points": list(sweep.points)}
    strategy = None if sweep.strategy is None else vars(sweep.strategy)
    return {**content, "members_a_job": sweep.members_a_job, "strategy": strategy}


def commented(lines: list[str]) -> str:
    """The lines as YAML comments, joined to one text."""
    return "\n".join(f"# {line}" for line in lines)


def kinds_of(jobs: Mapping[str, StoredJob], runs: Runs, checkpoints_kept: int) -> list[Kind]:
    """Jobs by the program that they run: seeds, members and their numbers apart."""
    found: dict[str, Kind] = {}
    for job in jobs.values():
        key = program(job.config)
        if key in found:
            known = found[key]
            found[key] = known._replace(jobs=known.jobs + 1, members=known.members + job.config.members)
        else:
            run = runs(job.config)
            try:
                cost = training_cost(run, checkpoints_kept)
            except ValueError as error:
                raise ConfigError(str(error)) from None
            found[key] = Kind(run, cost, 1, job.config.members)
    return list(found.values())


def sweep_time_text(kinds: list[Kind]) -> str:
    """How long it will take here: from trials of the largest kinds, and for the others by their arithmetic."""
    largest = sorted(kinds, key=lambda each: each.flops, reverse=True)[:MOST_TRIALS]
    seconds = sum(each.seconds(predicted_time(each.run)) for each in largest)
    rest = sum(each.flops for each in kinds) / sum(each.flops for each in largest)
    trials = f"from trials of {len(largest)} of {len(kinds)} kinds"
    return f"about {duration_text(seconds * rest)} on this machine alone, {trials}; starting processes is left out"
