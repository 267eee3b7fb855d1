"""One job of a sweep, carried out by whichever process is told to."""

import os
import socket
import time
import traceback
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
from rich.console import Console

from ensembles.sharding import on_first
from launch.run_directory import InUseError, RunDirectoryError, write_json
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
        (path / "failed.json").unlink(missing_ok=True)
        run_ensemble(run, path, console, replace(execution, strategy=job.strategy or execution.strategy))
        on_first(partial(gather, sweep, name))
    except InUseError:
        raise
    except Exception as error:
        note_failure(path, error)
        raise


def note_failure(path: Path, error: Exception) -> None:
    """Say in the run's directory what it failed of, unless not even that can be written."""
    if jax.process_index() > 0:
        return
    try:
        path.mkdir(parents=True, exist_ok=True)
        write_json(
            path / "failed.json",
            {
                "error": f"{type(error).__name__}: {error}",
                "traceback": traceback.format_exception(error),
                "host": socket.gethostname(),
                "pid": os.getpid(),
                "time": time.strftime("%Y-%m-%d %H:%M:%S%z"),
            },
        )
    except OSError:
        pass
