"""Scripts that tests run in one or several processes, whose devices and processes are fixed before JAX starts."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import jax

ROOT = Path(__file__).parents[2]


def run_processes(script, own, devices, options=(), variables=None):
    """Exit codes and outputs of one process for each list of arguments in `own`, which `start_jax` leaves to it.

    `options` are Python's, and `variables` those of the environment to be set.
    """
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        coordinator = f"localhost:{probe.getsockname()[1]}"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu", **(variables or {})}
    running = []
    for process, arguments in enumerate(own):
        settings = [jax.config.jax_compilation_cache_dir, devices, len(own), process, coordinator, *arguments]
        command = [sys.executable, *options, str(script), *map(str, settings)]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        running.append(subprocess.Popen(command, env=environment, **pipes))
    outputs = [process.communicate(timeout=1200)[0] for process in running]
    return [process.returncode for process in running], outputs


def start_jax():
    """In such a process, before anything else is imported: how many there are, its own number, its own arguments."""
    cache, devices, processes, process, coordinator, *own = sys.argv[1:]
    jax.config.update("jax_num_cpu_devices", int(devices))
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_compilation_cache_dir", cache)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    if int(processes) > 1:
        jax.config.update("jax_cpu_collectives_implementation", "gloo")
        jax.distributed.initialize(coordinator, int(processes), int(process))
    return int(processes), int(process), own
