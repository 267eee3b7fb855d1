"""Run by test_kernel_run.py in processes of its own: a Gram matrix, computed until killed or finished.

Arguments: directory, compilation cache, devices per process, processes, the number of this one, the coordinator's
address, and after how many tiles this one kills itself ("never").
"""

import os
import signal
import sys
from pathlib import Path

import jax
import numpy as np

PROCESSES, PROCESS = int(sys.argv[4]), int(sys.argv[5])
jax.config.update("jax_num_cpu_devices", int(sys.argv[3]))
jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_compilation_cache_dir", sys.argv[2])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
if PROCESSES > 1:
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(sys.argv[6], PROCESSES, PROCESS)

from rich.console import Console  # noqa: E402

from analysis.gram import Gram, compute  # noqa: E402
from launch.kernel_run import compute_gram  # noqa: E402
from launch.run_directory import RunDirectoryError  # noqa: E402
from models import Architecture, Dense, Relu  # noqa: E402

MLP = Architecture((Dense(8, w_std=1.4, b_std=0.3), Relu(), Dense(1, w_std=1.4, b_std=0.3)))
SMALL = 10_000  # bytes: several tiles


def make_gram(seed=0, **options):
    """Of forty inputs."""
    return Gram(MLP, np.random.default_rng(seed).standard_normal((40, 3)).astype(np.float32), **options)


def killed_after(writes):
    """SIGKILL within the writing of the tile after so many."""
    write_tile, left = compute.write_tile, writes

    def counted(root, tile, nngp, ntk):
        nonlocal left
        left -= 1
        if left < 0:
            root["nngp"][tile.rows, tile.columns] = 2 * nngp  # there, but nothing vouches for it
            os.kill(os.getpid(), signal.SIGKILL)
        write_tile(root, tile, nngp, ntk)

    compute.write_tile = counted


def main():
    if sys.argv[7] != "never":
        killed_after(int(sys.argv[7]))
    memory = SMALL * (int(sys.argv[3]))  # the same tiles on any number of devices
    try:
        kernel = compute_gram(make_gram(), Path(sys.argv[1]), Console(), memory)
    except RunDirectoryError as error:
        print(error)
        return 2
    assert (kernel is None) == (PROCESS > 0)
    assert compute.own_share(range(5)) == list(range(5))[PROCESS::PROCESSES]
    if PROCESSES > 1:
        jax.distributed.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
