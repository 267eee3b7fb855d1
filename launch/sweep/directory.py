"""The directory of a sweep.

runs/NAME         run directories, each by the digest of its configuration
data/DIGEST.npz   data sets of the runs, whose own files are hard links to these
parts/NAME        those of jobs that are not one whole run, until all runs are put together that need them
jobs/NAME.json    what a job trains: its name says it all, whoever writes it
wanted/NAME.json  runs that are to be put together from parts, and which
plans/NAME.json   what a file for `widesym sweep` came to, when it was last carried out
.lock             held while jobs are planned, and while runs are put together
"""

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from widesym.ensembles import Strategy
from widesym.ensembles.files import locked, read_text
from widesym.ensembles.randomness import Randomness, check_randomness
from widesym.launch.config.own import Modules
from widesym.launch.config.specs import built, made
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.runs.begun import DEFAULT, unstated
from widesym.launch.runs.files import write_json
from widesym.launch.runs.paths import RunPaths
from widesym.launch.training.config import TrainConfig, described
from widesym.models.description import describe


class JobMembers(NamedTuple):
    """Where members of a run come from: so many members of a job, from `start` on."""

    job: str
    start: int
    members: int


class Wanted(NamedTuple):
    """A run that is to be put together, and where its members come from, in their order."""

    config: TrainConfig
    sources: tuple[JobMembers, ...]


class StoredJob(NamedTuple):
    """What a job trains, whether that is one whole run, and how, if that was said."""

    config: TrainConfig
    whole: bool
    strategy: Strategy | None


class StoredPlan(NamedTuple):
    """A sweep, as it was last planned: its runs, by name, each with what sets it apart; runs of jobs, by name; and the
    randomness of runs that do not say it.
    """

    runs: dict[str, dict[str, Any]]
    jobs: dict[str, list[str]]
    unstated: Randomness


@dataclass(frozen=True)
class SweepDirectory:
    """Where the runs of sweeps are; what its files name beside this package's classes is found in `modules`."""

    path: Path
    modules: Modules = ()

    @property
    def data(self) -> Path:
        """Where the data sets are that runs share."""
        return self.path / "data"

    def run(self, name: str) -> Path:
        """The directory of the run with this name."""
        return self.path / "runs" / name

    def part(self, job: str) -> Path:
        """Where a job works that is not one whole run."""
        return self.path / "parts" / job

    def workplace(self, job: str, runs: Sequence[str]) -> Path:
        """Where a job with members of these runs works: in the run's own directory, if it is one whole run."""
        return self.run(job) if job in runs else self.part(job)

    def is_finished(self, run: str) -> bool:
        """Whether the run with this name is finished."""
        return RunPaths(self.run(run)).finished.exists()

    def is_trained(self, source: JobMembers) -> bool:
        """Whether all members of the job are."""
        return RunPaths(self.part(source.job)).finished.exists()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory, made if missing, after waiting for whoever holds it."""
        self.path.mkdir(parents=True, exist_ok=True)
        with locked(self.path / ".lock"):
            yield

    def write(self, kind: str, name: str, content: dict[str, Any]) -> None:
        """Keep one of `jobs`, `wanted` and `plans`."""
        (self.path / kind).mkdir(exist_ok=True)
        write_json(self.path / kind / f"{name}.json", content)

    def write_job(self, name: str, job: StoredJob) -> None:
        """Keep a job, to be carried out by whoever reads it."""
        strategy = describe(job.strategy)
        self.write("jobs", name, {"config": described(job.config), "whole": job.whole, "strategy": strategy})

    def read_job(self, name: str) -> StoredJob:
        """A job; raises RunDirectoryError where there is none of that name."""
        file = self.path / "jobs" / f"{name}.json"
        with read_from(file) as content:
            config = self._written(content["config"], file)
            return StoredJob(config, bool(content["whole"]), built(content["strategy"], f"{file}: strategy"))

    def write_wanted(self, name: str, wanted: Wanted) -> None:
        """Keep what a run is to be put together from."""
        self.write("wanted", name, {"sources": wanted.sources, "config": described(wanted.config)})

    def read_wanted(self, name: str) -> Wanted:
        """What a run is to be put together from; raises RunDirectoryError where nothing is said of it."""
        file = self.path / "wanted" / f"{name}.json"
        with read_from(file) as content:
            return Wanted(self._written(content["config"], file), self.sources_of(name))

    def sources_of(self, run: str) -> tuple[JobMembers, ...]:
        """The parts alone; raises RunDirectoryError as `read_wanted` does."""
        with read_from(self.path / "wanted" / f"{run}.json") as content:
            return tuple(JobMembers(*source) for source in content["sources"])

    def all_wanted(self) -> dict[str, tuple[JobMembers, ...]]:
        """The parts of all runs that are to be put together; those whose files are damaged are left out."""
        found = {}
        for file in sorted((self.path / "wanted").glob("*.json")):
            with contextlib.suppress(RunDirectoryError):
                found[file.stem] = self.sources_of(file.stem)
        return found

    def read_plans(self) -> list[StoredPlan]:
        """All plans; raises RunDirectoryError for a damaged one."""
        return [_plan(file) for file in sorted((self.path / "plans").glob("*.json"))]

    def unstated(self) -> Randomness:
        """The randomness of runs that do not say it: what plans in the directory have; "shared" in a directory of an
        earlier version, whose runs all are, so that they are found by their names and go on (launch/runs/begun.py).

        Plans that are damaged are about to be written anew, and runs that are have messages of their own.
        """
        found: list[Randomness] = []
        for file in (self.path / "plans").glob("*.json"):
            with contextlib.suppress(RunDirectoryError):
                found.append(_plan(file).unstated)
        if not found:
            for run in (self.path / "runs").glob("*"):
                with contextlib.suppress(RunDirectoryError):
                    found.append(unstated(run))
        return "shared" if "shared" in found else DEFAULT

    def _written(self, content: dict[str, Any], file: Path) -> TrainConfig:
        """A configuration as `described` wrote it; earlier versions, whose runs were all shared, did not say so."""
        return made(TrainConfig, {"randomness": "shared", **content}, f"{file}: config", modules=self.modules)


def _plan(file: Path) -> StoredPlan:
    with read_from(file) as content:
        jobs = {name: [*runs] for name, runs in content["jobs"].items()}
        unstated = content.get("unstated", "shared")
        check_randomness(unstated)
        if not all(isinstance(changes, dict) for changes in content["runs"].values()):
            raise TypeError("runs are not changes by field, each by the name of its run")
        if not all(isinstance(run, str) for runs in jobs.values() for run in runs):
            raise TypeError("jobs are not lists of names of runs")
        return StoredPlan({**content["runs"]}, jobs, unstated)


@contextlib.contextmanager
def read_from(file: Path) -> Iterator[dict[str, Any]]:
    """The JSON in a file; raises RunDirectoryError where it is not what is made of it within, or not there."""
    try:
        yield json.loads(read_text(file))
    except FileNotFoundError:
        raise RunDirectoryError(f"{file} is missing; start the sweep again, which writes it") from None
    except (ConfigError, RunDirectoryError):
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunDirectoryError(
            f"{file} is damaged ({type(error).__name__}: {error}); start the sweep again, which writes it anew"
        ) from None
