"""Which jobs of a sweep SLURM has: asked of squeue, without what it takes to submit them."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from widesym.launch.errors import SlurmError
from widesym.launch.sweep.folder import SweepFolder, read_from


def known_jobs(directory: SweepFolder) -> set[str]:
    """Jobs that SLURM has; none, where there is no SLURM to be asked."""
    try:
        return queued_jobs(directory)
    except SlurmError:
        return set()


def queued_jobs(directory: SweepFolder) -> set[str]:
    """Jobs that SLURM has, waiting or running; raises SlurmError where it does not answer."""
    submitted = read_submitted(directory)
    if not submitted:
        return set()
    known = queued(list(submitted.values()))
    return {job for job, number in submitted.items() if number in known}


def read_submitted(directory: SweepFolder) -> dict[str, str]:
    """SLURM's number of every job that was submitted, the last one of each."""
    if not record_of(directory).exists():
        return {}
    with read_from(record_of(directory)) as content:
        return {str(job): str(number) for job, number in content.items()}


def record_of(directory: SweepFolder) -> Path:
    """Where these numbers are kept."""
    return directory.path / "slurm" / "submitted.json"


def queued(job_ids: Sequence[str]) -> dict[str, str]:
    """Those jobs that SLURM still has, with their states ("PENDING", "RUNNING", "COMPLETING", …).

    One that has ended is not among them, however it ended. Raises SlurmError where SLURM is missing or does not answer.
    """
    check_commands()
    command = ["squeue", "--me", "--array", "--noheader", "--format=%i %T"]
    answer = subprocess.run(command, capture_output=True, text=True)
    if answer.returncode:
        raise SlurmError(f"squeue does not say which jobs are queued: {answer.stderr.strip()}")
    states = dict(line.split() for line in answer.stdout.splitlines())
    return {job_id: states[job_id] for job_id in job_ids if job_id in states}


def check_commands() -> None:
    """Raise SlurmError where there is no SLURM."""
    missing = [command for command in ("sbatch", "srun", "squeue") if shutil.which(command) is None]
    if missing:
        raise SlurmError(f"{', '.join(missing)} not found: submit from a machine of a SLURM cluster, or run locally")
