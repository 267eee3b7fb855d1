"""One cluster for all tests of this folder, and what they start on it."""

import importlib
import os
from pathlib import Path

import pytest

from tests.support.cluster import missing, slurm

# Where submitit sets up logging as it is imported, absl's handler closes its stream: here that of pytest's capture.
with pytest.MonkeyPatch.context() as at_import:
    at_import.setenv("SUBMITIT_LOG_LEVEL", "NOCONFIG")
    importlib.import_module("submitit")

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def cluster():
    """A SLURM that runs."""
    if reason := missing():
        pytest.skip(reason)
    with pytest.MonkeyPatch.context() as patch, slurm() as folder:
        patch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, Path(__file__).parent))))
        patch.setenv("JAX_PLATFORMS", "cpu")
        patch.setenv("WIDESYM_CACHE", str(ROOT / ".cache" / "slurm"))  # compiled once for all jobs
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES", "-1")
        yield folder
