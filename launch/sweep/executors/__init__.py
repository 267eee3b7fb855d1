"""How the jobs of a sweep are carried out: in this process, by a pool of workers, on SLURM.

Imports the rest of sweep.
"""

from widesym.launch.lazily import Lazily

EXECUTORS = {
    "in-process": Lazily("widesym.launch.sweep.executors.in_process", "InProcess"),
    "pool": Lazily("widesym.launch.sweep.executors.pool", "WorkerPool"),
    "slurm": Lazily("widesym.launch.sweep.executors.slurm.jobs", "Slurm"),
}
QUEUES = {  # of those that hand jobs on: which jobs of a sweep wait or run elsewhere, as far as is known here
    "slurm": Lazily("widesym.launch.sweep.executors.slurm.queue", "known_jobs"),
}
