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

from widesym.ensembles.files import read_text
from widesym.ensembles.independence import Randomness, check_randomness
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.runs.paths import RunPaths


class JobMembers(NamedTuple):
    """Where members of a run come from: so many members of a job, from `start` on."""

    job: str
    start: int
    members: int


class StoredPlan(NamedTuple):
    """A sweep, as it was last planned: its runs, by name, each with what sets it apart; runs of jobs, by name; and the
    randomness of runs that do not say it.
    """

    runs: dict[str, dict[str, Any]]
    jobs: dict[str, list[str]]
    unstated: Randomness


@dataclass(frozen=True)
class SweepFolder:
    """Where the runs of sweeps are, and what files say of them that can be read without what they train."""

    path: Path

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
        return [read_plan(file) for file in sorted((self.path / "plans").glob("*.json"))]


def read_plan(file: Path) -> StoredPlan:
    """A plan; raises RunDirectoryError where it is damaged."""
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
