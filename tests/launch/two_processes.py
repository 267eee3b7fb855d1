"""Run by test_processes.py, once for each process: one run directory, and all of them at work on it.

Arguments: run directory, compilation cache, processes, the number of this one, the coordinator's address, and a step at
which this process is told to end ("never").
"""

import os
import signal
import sys
from pathlib import Path

import jax

PROCESSES, PROCESS = int(sys.argv[3]), int(sys.argv[4])
jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_compilation_cache_dir", sys.argv[2])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
if PROCESSES > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(sys.argv[5], PROCESSES, PROCESS)

from rich.console import Console  # noqa: E402
from test_runs import C4, EXECUTION, make_run  # noqa: E402

from ensembles import FullOrbit  # noqa: E402
from ensembles.trainer import Trainer  # noqa: E402
from launch.interrupts import PreemptedError  # noqa: E402
from launch.run_directory import RunDirectoryError  # noqa: E402
from launch.runner import run_ensemble  # noqa: E402
from launch.snapshots import EmpiricalNtk, Parameters  # noqa: E402


def told_to_end(step: int) -> None:
    """A signal to this process alone, in the call that begins at that step or after."""
    advance = Trainer.advance

    def wrapped(trainer, state, data, start, stop):
        if start >= step:
            os.kill(os.getpid(), signal.SIGTERM)
        return advance(trainer, state, data, start, stop)

    Trainer.advance = wrapped


if sys.argv[6] != "never":
    told_to_end(int(sys.argv[6]))
run = make_run(orbit=FullOrbit(C4), snapshots=(Parameters(), EmpiricalNtk(4)))
code = 0
try:
    run_ensemble(run, Path(sys.argv[1]), Console(), EXECUTION)
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
