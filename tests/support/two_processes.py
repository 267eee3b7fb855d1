"""Run by test_processes.py, once for each process: one run directory, and all of them at work on it.

Own arguments: run directory, and a step at which this process is told to end ("never").
"""

import os
import signal
import sys
from pathlib import Path

import jax

from tests.support.jax_processes import start_jax

PROCESSES, PROCESS, (OUTPUT, STOP) = start_jax()

from rich.console import Console  # noqa: E402

from tests.launch.test_runs import C4, EXECUTION, make_run  # noqa: E402
from widesym.ensembles import FullOrbit  # noqa: E402
from widesym.ensembles.trainer import Trainer  # noqa: E402
from widesym.launch.config.snapshots import EmpiricalNtk, Parameters  # noqa: E402
from widesym.launch.errors import RunDirectoryError  # noqa: E402
from widesym.launch.runs.interrupts import PreemptedError  # noqa: E402
from widesym.launch.training.execution import run_ensemble  # noqa: E402


def told_to_end(step: int) -> None:
    """A signal to this process alone, in the call that begins at that step or after."""
    advance = Trainer.advance

    def wrapped(trainer, state, data, start, stop):
        if start >= step:
            os.kill(os.getpid(), signal.SIGTERM)
        return advance(trainer, state, data, start, stop)

    Trainer.advance = wrapped


if STOP != "never":
    told_to_end(int(STOP))
run = make_run(orbit=FullOrbit(C4), snapshots=(Parameters(), EmpiricalNtk(4)))
code = 0
try:
    run_ensemble(run, Path(OUTPUT), Console(), EXECUTION)
except PreemptedError:
    code = 75
except RuntimeError as error:
    print(error)
    code = 3
except RunDirectoryError as error:
    print(error)
    code = 2
if PROCESSES > 1:
    jax.distributed.shutdown()
sys.exit(code)
