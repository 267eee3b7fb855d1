"""Many jobs on a SLURM cluster as one array, through submitit (extra `slurm`)."""

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from widesym.launch.errors import SlurmError
from widesym.launch.sweep.executors.slurm.queue import check_commands
from widesym.launch.sweep.executors.slurm.task import Task, Work

if TYPE_CHECKING:
    from submitit import SlurmExecutor


NO_SUBMITIT = "jobs on SLURM need submitit: pip install 'widesym[slurm]'"


ARRAY = "%A"  # the last part of a folder, in whose place SLURM and submitit put the array's number
PATTERNS = {"%": "SLURM puts job numbers and names in place of", "\\": "SLURM takes as a sign to leave patterns alone"}


@dataclass(frozen=True)
class SlurmOptions:
    """What each job of an array asks of SLURM; None leaves it to the cluster."""

    partition: str | None = None
    """Partition of the cluster (sinfo lists them)."""
    minutes: int = 60
    """Time limit of a job. One that reaches it saves its state and is put back into the queue."""
    save_seconds: int = 120
    """How long before its time limit a job is told to save its state."""
    time_limits: int = 100
    """How often a job may reach its time limit before it is given up."""
    nodes: int = 1
    """Machines for each job."""
    tasks_per_node: int = 1
    """Processes on each machine, which share its GPUs. All processes of a job train one ensemble together."""
    gpus_per_node: int = 0
    """GPUs on each machine."""
    cpus_per_task: int | None = None
    """CPU cores for each process."""
    memory_gib: float | None = None
    """Memory on each machine, in GiB."""
    jobs_at_once: int = 256
    """Most jobs of the array that run at the same time."""
    account: str | None = None
    """Account that is charged."""
    qos: str | None = None
    """Quality of service."""
    name: str = "widesym"
    """What squeue calls the jobs."""
    setup: tuple[str, ...] = ()
    """Shell lines before the job, such as "module load cuda"."""
    sbatch: tuple[str, ...] = ()
    """More options of sbatch, as "reservation=course" or "exclusive"."""

    def __post_init__(self):
        for field in ("partition", "account", "qos", "name", "sbatch"):
            check_line(field, getattr(self, field))
        counts = ("minutes", "save_seconds", "nodes", "tasks_per_node", "cpus_per_task", "memory_gib", "jobs_at_once")
        for field in counts:
            value = getattr(self, field)
            if value is not None and not value > 0:
                raise ValueError(f"slurm {field} is {value!r}; it must be positive")
        for field in ("time_limits", "gpus_per_node"):
            if getattr(self, field) < 0:
                raise ValueError(f"slurm {field} is {getattr(self, field)!r}; it must be zero or positive")
        if self.save_seconds > 60 * (self.minutes - 2):
            raise ValueError(
                f"slurm minutes is {self.minutes}, which save_seconds {self.save_seconds} leave no work: SLURM's "
                "signal comes up to a minute before them, and another is needed to start; give more minutes"
            )
        if self.gpus_per_node % self.tasks_per_node:
            raise ValueError(
                f"slurm gpus_per_node is {self.gpus_per_node}, which {self.tasks_per_node} tasks_per_node cannot share "
                "evenly; choose a multiple"
            )
        for option in self.sbatch:
            if option.startswith("-") or not option.split("=")[0].strip():
                raise ValueError(
                    f"slurm sbatch option {option!r}; it must look like 'reservation=course' or 'exclusive'"
                )

    @property
    def gpus_per_task(self) -> int:
        """The number of GPUs that each process of a job gets."""
        return self.gpus_per_node // self.tasks_per_node

    @property
    def parameters(self) -> dict[str, Any]:
        """In submitit's words. `requeue` is said because some clusters do not put jobs back otherwise, and srun is
        told the cores since it does not take sbatch's word for them from SLURM 22.05 on.
        """
        cores = None if self.cpus_per_task is None else [f"--cpus-per-task={self.cpus_per_task}"]
        named = {
            "partition": self.partition,
            "cpus_per_task": self.cpus_per_task,
            "mem": None if self.memory_gib is None else f"{round(1024 * self.memory_gib)}M",
            "gpus_per_node": self.gpus_per_node or None,
            "account": self.account,
            "qos": self.qos,
            "setup": list(self.setup) or None,
        }
        more = {name: value if separator else True for name, separator, value in map(_parts, self.sbatch)}
        return {name: value for name, value in named.items() if value is not None} | {
            "job_name": self.name,
            "time": self.minutes,
            "signal_delay_s": self.save_seconds,
            "nodes": self.nodes,
            "ntasks_per_node": self.tasks_per_node,
            "array_parallelism": self.jobs_at_once,
            "srun_args": ["--kill-on-bad-exit=1", *(cores or [])],
            "additional_parameters": {"requeue": True, **more},
        }


def submit(work: Work, jobs: Sequence[str], folder: Path, options: SlurmOptions) -> list[str]:
    """Queue `work(job, request)` for every job, as one array; returns SLURM's number of each.

    `work` is a function of a module or a frozen dataclass's instance, whose class a new Python can import. It returns
    when the job is done. When the request is made, it saves its state and raises PreemptedError, as run_ensemble does;
    it is called again where SLURM puts the job back. `folder`, which all machines must see, gets scripts and logs.
    Its last part may be `ARRAY`. Raises SlurmError without SLURM or submitit, for a folder that they would not take by
    its name (`check_folder`), or where sbatch refuses.
    """
    if not jobs or len(set(jobs)) < len(jobs):
        raise ValueError(f"jobs are {list(jobs)}; there must be at least one, and each only once")
    check_folder(folder.parent if folder.name == ARRAY else folder)
    executor = _executor(folder, options)
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        submitted = executor.map_array(Task(work, options.gpus_per_task), jobs)
    except (FailedJobError, FailedSubmissionError) as error:
        raise SlurmError(f"sbatch refuses the jobs: {str(error).strip()}") from error
    return [job.job_id for job in submitted]


def check_folder(folder: Path) -> None:
    """Raise SlurmError for a folder that sbatch could not be told: it goes into a script, as a pattern of names."""
    name = str(folder.absolute())
    for sign, what in PATTERNS.items():
        if sign in name:
            raise SlurmError(f"{name} has a {sign!r}, which {what}; choose a folder without, also above it")
    if not name.isprintable():
        raise SlurmError(f"{name!r} has characters that cannot stand in a script for sbatch; choose another folder")


def check_line(field: str, values: str | Sequence[str] | None) -> None:
    """Raise ValueError for what would end a line of the script that sbatch is given."""
    for value in (values,) if isinstance(values, str) else values or ():
        if not value.isprintable():
            raise ValueError(f"slurm {field} is {value!r}; it must be of characters that can stand in one line")


def check_available() -> None:
    """Raise SlurmError where jobs cannot be submitted from here."""
    if importlib.util.find_spec("submitit") is None:
        raise SlurmError(NO_SUBMITIT)
    check_commands()


def _parts(option: str) -> tuple[str, str, str]:
    return option.partition("=")


def _executor(folder: Path, options: SlurmOptions) -> "SlurmExecutor":
    try:
        from submitit import SlurmExecutor
    except ImportError:
        raise SlurmError(NO_SUBMITIT) from None
    check_commands()
    executor = SlurmExecutor(folder.absolute(), max_num_timeout=options.time_limits)
    executor.update_parameters(**options.parameters)
    return executor
