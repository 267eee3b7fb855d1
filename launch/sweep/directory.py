"""The directory of a sweep (`folder.py`), with what is to be trained in it."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from widesym.ensembles import Strategy
from widesym.ensembles.files import locked
from widesym.ensembles.randomness import Randomness
from widesym.launch.config.own import Modules
from widesym.launch.config.specs import built, made
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.begun import DEFAULT, unstated
from widesym.launch.runs.files import write_json
from widesym.launch.sweep.folder import JobMembers, SweepFolder, read_from, read_plan
from widesym.launch.training.config import TrainConfig, described
from widesym.models.description import describe


class Wanted(NamedTuple):
    """A run that is to be put together, and where its members come from, in their order."""

    config: TrainConfig
    sources: tuple[JobMembers, ...]


class StoredJob(NamedTuple):
    """What a job trains, whether that is one whole run, and how, if that was said."""

    config: TrainConfig
    whole: bool
    strategy: Strategy | None


@dataclass(frozen=True)
class SweepDirectory(SweepFolder):
    """Where the runs of sweeps are; what its files name beside this package's classes is found in `modules`."""

    modules: Modules = ()

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

    def unstated(self) -> Randomness:
        """The randomness of runs that do not say it: what plans in the directory have; "shared" in a directory of an
        earlier version, whose runs all are, so that they are found by their names and go on (launch/runs/begun.py).

        Plans that are damaged are about to be written anew, and runs that are have messages of their own.
        """
        found: list[Randomness] = []
        for file in (self.path / "plans").glob("*.json"):
            with contextlib.suppress(RunDirectoryError):
                found.append(read_plan(file).unstated)
        if not found:
            for run in (self.path / "runs").glob("*"):
                with contextlib.suppress(RunDirectoryError):
                    found.append(unstated(run))
        return "shared" if "shared" in found else DEFAULT

    def _written(self, content: dict[str, Any], file: Path) -> TrainConfig:
        """A configuration as `described` wrote it; earlier versions, whose runs were all shared, did not say so."""
        return made(TrainConfig, {"randomness": "shared", **content}, f"{file}: config", modules=self.modules)
