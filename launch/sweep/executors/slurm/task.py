"""What a job on a SLURM cluster does: in each of its processes, from the start until it is done or told to end."""

import os
import signal
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

import jax

from widesym.launch.process import PREEMPTED, configure_jax
from widesym.launch.runs.interrupts import PreemptedError, StopRequest

if TYPE_CHECKING:
    from submitit.helpers import DelayedSubmission

Work = Callable[[str, StopRequest], object]


@dataclass(frozen=True)
class Task:
    """One job, as submitit calls it. When it is told to end, `work` saves its state and raises PreemptedError.

    Told by the signal before its time limit, the job then puts itself back into the queue. Told by SIGTERM it leaves
    that to SLURM, which does so after a preemption and does not after scancel. Either way it is called again as it was
    the first time, and what `work` has saved says where to go on.
    """

    work: Work
    gpus_per_task: int = 0

    def __call__(self, job: str) -> None:
        """Do the job, in one of its processes."""
        configure_jax()
        join_processes(os.environ, self.gpus_per_task)  # before the handlers: JAX sets one for SIGTERM
        limit = limit_signal()
        requeue = signal.getsignal(limit)  # submitit's: it calls `checkpoint`, then scontrol
        assert callable(requeue)
        request, heard = StopRequest(), set[int]()

        def note(number: int, frame: FrameType | None) -> None:
            if not heard:
                print(f"stopping on {signal.Signals(number).name}, once the state is saved", flush=True)
            heard.add(number)
            request.number = signal.SIGTERM

        for number in {signal.SIGTERM, limit}:
            signal.signal(number, note)
        try:
            self.work(job, request)
        except PreemptedError:
            jax.distributed.shutdown()  # here all processes wait for each other's saving
            if limit in heard:
                requeue(limit, None)  # exits in the first process, and returns in the others
                sys.exit(0)  # any other code would end the first one before it is done
            sys.exit(PREEMPTED)
        jax.distributed.shutdown()

    def checkpoint(self, job: str) -> "DelayedSubmission":
        """What submitit calls after a requeue: the same again."""
        from submitit.helpers import DelayedSubmission

        return DelayedSubmission(self, job)


def join_processes(environment: Mapping[str, str], gpus_per_task: int) -> None:
    """Make all processes of a SLURM job step one JAX program, if there are several; before JAX is used."""
    if int(environment.get("SLURM_NTASKS", 1)) > 1:
        jax.distributed.initialize(local_device_ids=own_gpus(environment, gpus_per_task))


def own_gpus(environment: Mapping[str, str], gpus_per_task: int) -> range | None:
    """A process's share of its machine's GPUs, None where there are none. JAX by itself would take one GPU alone."""
    first = int(environment["SLURM_LOCALID"]) * gpus_per_task
    return range(first, first + gpus_per_task) if gpus_per_task else None


def limit_signal() -> signal.Signals:
    """What submitit has SLURM send before the time limit: SIGUSR2, unless SUBMITIT_PREEMPT_SIGNAL names another."""
    from submitit import JobEnvironment

    return signal.Signals[f"SIG{JobEnvironment.USR_SIG}"]
