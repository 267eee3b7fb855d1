"""One job of a sweep, carried out by whichever process is told to."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console

from ensembles.sharding import on_first
from launch.failures import FILE, note_failure
from launch.run_directory import InUseError, RunDirectoryError
from launch.runner import Execution, run_ensemble
from launch.sweep.directory import SweepDirectory
from launch.sweep.gather import gather
from launch.sweep.jobs import digest


def work(directory: Path, name: str, console: Console, execution: Execution = Execution()) -> None:
    """Train the job's members, from its last checkpoint if it has one, and put together those runs that are complete.

    Does nothing where that is done. What it fails of is kept in failed.json beside the run and raised; interrupts are
    not failures. Raises RunDirectoryError where another process is at it.
    """
    sweep = SweepDirectory(directory)
    job = sweep.read_job(name)
    if all(map(sweep.is_finished, job.runs)):
        console.print(f"{name}: finished", highlight=False, markup=False)
        return
    path = sweep.workplace(name, job.runs)
    try:
        run = job.config.run()
        if digest(run.config) != name:
            raise RunDirectoryError(f"{name}: the data have changed since the sweep was planned; start the sweep again")
        for place in (path, *map(sweep.run, job.runs)):
            (place / FILE).unlink(missing_ok=True)
        run_ensemble(run, path, console, replace(execution, strategy=job.strategy or execution.strategy))
        on_first(partial(gather, sweep, name))
    except InUseError:
        raise
    except Exception as error:
        note_failure(path, error)
        raise
