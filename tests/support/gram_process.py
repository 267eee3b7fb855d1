"""Run by test_kernel_run.py in processes of its own: a Gram matrix, computed until killed or finished.

Own arguments: directory, and after how many tiles this one kills itself ("never").
"""

import os
import signal
import sys
from pathlib import Path

import jax

from tests.support.jax_processes import start_jax

PROCESSES, PROCESS, (OUTPUT, STOP) = start_jax()

from rich.console import Console  # noqa: E402

from tests.launch.test_kernel_run import MEMORY, make_gram  # noqa: E402
from widesym.analysis.gram import compute  # noqa: E402
from widesym.launch.errors import RunDirectoryError  # noqa: E402
from widesym.launch.kernels.gram import compute_gram  # noqa: E402


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
    if STOP != "never":
        killed_after(int(STOP))
    try:
        kernel = compute_gram(make_gram(), Path(OUTPUT), Console(), MEMORY)
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
