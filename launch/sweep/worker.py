"""One job of a sweep, carried out by whichever process is told to."""

from dataclasses import replace
from functools import partial

from rich.console import Console

from widesym.ensembles.sharding import agreed, on_first
from widesym.launch.console import print_plain
from widesym.launch.errors import InUseError, RunDirectoryError
from widesym.launch.runs.failures import FILE, note_failure
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.gather import gather
from widesym.launch.sweep.jobs import digest, digest_of_part
from widesym.launch.sweep.share import share_data
from widesym.launch.training.execution import Execution, run_ensemble


def work(sweep: SweepDirectory, name: str, console: Console, execution: Execution = Execution()) -> None:
    """Train the job's members, from its last checkpoint if it has one, and put together those runs that are complete.

    Does nothing where that is done. What it fails of is kept in failed.json beside the run and raised; interrupts are
    not failures. Raises InUseError where another process is at it.
    """
    job = sweep.read_job(name)
    path = sweep.run(name) if job.whole else sweep.part(name)

    def is_done() -> bool:
        return sweep.is_finished(name) if job.whole else not is_wanted(sweep, name)

    if agreed(int(is_done())):
        print_plain(console, f"{name}: finished")
        return
    try:
        run = job.config.run()
        if name != (digest if job.whole else digest_of_part)(run.config):
            raise RunDirectoryError(f"{name}: the data have changed since the sweep was planned; start the sweep again")
        how = replace(execution, strategy=job.strategy or execution.strategy, all_may_diverge=not job.whole)
        run_ensemble(run, path, console, how, is_done)
        (path / FILE).unlink(missing_ok=True)
        if job.whole:
            on_first(partial(share_data, sweep, path))
        on_first(partial(_gather, sweep, name))
    except InUseError:
        raise
    except Exception as error:
        note_failure(path, error)
        raise


def is_wanted(sweep: SweepDirectory, part: str) -> bool:
    """Whether there are runs to be put together from it."""
    return any(source.job == part for sources in sweep.all_wanted().values() for source in sources)


def _gather(sweep: SweepDirectory, name: str) -> None:
    failures = gather(sweep, name)
    if failures:
        raise RunDirectoryError("; ".join(f"{run} is not put together: {error}" for run, error in failures.items()))
