"""The directory of a sweep.

runs/NAME      run directories, each by the digest of its configuration
parts/NAME     of jobs that are not one whole run, until their runs are put together
jobs/NAME.json what a job trains
plans/NAME.json what a file for `widesym sweep` came to, when it was last carried out
.lock          held while jobs are planned, and while runs are put together
"""

import contextlib
import fcntl
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from ensembles import Strategy
from launch.config import ConfigError, built, made
from launch.run_directory import RunDirectoryError, write_json
from launch.sweep.jobs import described
from launch.train_config import TrainConfig
from models.description import describe


class Source(NamedTuple):
    """Where members of a run come from: so many members of a job, from `start` on."""

    job: str
    start: int
    members: int


class Planned(NamedTuple):
    """A run that a job has members of: all of it, and where each of its members comes from, in their order."""

    config: TrainConfig
    sources: tuple[Source, ...]


class StoredJob(NamedTuple):
    """What a job trains, the runs that it has members of, by name, and how, if that was said."""

    config: TrainConfig
    runs: dict[str, Planned]
    strategy: Strategy | None


class StoredPlan(NamedTuple):
    """A sweep, as it was last planned: its runs, by name, each with what sets it apart; and runs of jobs, by name."""

    runs: dict[str, dict[str, Any]]
    jobs: dict[str, list[str]]


@dataclass(frozen=True)
class SweepDirectory:
    """Where the runs of sweeps are."""

    path: Path

    def run(self, name: str) -> Path:
        """A run directory."""
        return self.path / "runs" / name

    def workplace(self, job: str, runs: Iterable[str]) -> Path:
        """Where a job with members of these runs works: in the run's own directory, if it is one whole run."""
        return self.run(job) if list(runs) == [job] else self.part(job)

    def part(self, job: str) -> Path:
        """Where a job works that is not one whole run."""
        return self.path / "parts" / job

    def is_finished(self, run: str) -> bool:
        """Whether a run is."""
        return (self.run(run) / "finished.json").exists()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory, made if missing, after waiting for whoever holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with (self.path / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def write_plan(self, name: str, plan: StoredPlan) -> None:
        """Keep a plan, for those who look at how it stands."""
        (self.path / "plans").mkdir(exist_ok=True)
        write_json(self.path / "plans" / f"{name}.json", plan._asdict())

    def read_plans(self) -> list[StoredPlan]:
        """All plans; raises RunDirectoryError where there is none, or a damaged one."""
        files = sorted((self.path / "plans").glob("*.json"))
        if not files:
            raise RunDirectoryError(f"{self.path} holds no sweep; name the directory that widesym sweep writes to")
        try:
            return [StoredPlan(**json.loads(file.read_text())) for file in files]
        except (ValueError, TypeError) as error:
            raise RunDirectoryError(f"{self.path}/plans: damaged ({error}); start the sweep again") from None

    def write_job(self, name: str, job: StoredJob) -> None:
        """Keep a job to be carried out by whoever reads it."""
        runs = {run: [described(each.config), each.sources] for run, each in job.runs.items()}
        (self.path / "jobs").mkdir(exist_ok=True)
        content = {"config": described(job.config), "runs": runs, "strategy": describe(job.strategy)}
        write_json(self.path / "jobs" / f"{name}.json", content)

    def read_job(self, name: str) -> StoredJob:
        """A job; raises RunDirectoryError where there is none of that name."""
        file = self.path / "jobs" / f"{name}.json"
        try:
            content = json.loads(file.read_text())
            runs = {
                run: Planned(
                    made(TrainConfig, config, f"{file}: runs, {run}"), tuple(Source(*source) for source in sources)
                )
                for run, (config, sources) in content["runs"].items()
            }
            config = made(TrainConfig, content["config"], f"{file}: config")
            return StoredJob(config, runs, built(content["strategy"], f"{file}: strategy"))
        except FileNotFoundError:
            raise RunDirectoryError(f"{self.path} has no job {name}; start the sweep again") from None
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            if isinstance(error, ConfigError):
                raise
            raise RunDirectoryError(
                f"{file} is damaged ({error}); start the sweep again, which writes it anew"
            ) from None
