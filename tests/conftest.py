"""What all tests share: JAX's compilation cache, exact products on every device, and repeatable property tests."""

import gc
import time
from pathlib import Path

import jax
import pytest
from hypothesis import settings

CACHE = Path(__file__).parents[1] / ".cache" / "jax"
MAPS, MANY_MAPS = Path("/proc/self/maps"), 20_000
BETWEEN_LOOKS = 5.0  # seconds: a look takes some milliseconds, and 20,000 maps more take a minute

# Most of the suite's time is compilation; a second run reads it from disk. Small programs are kept, too.
jax.config.update("jax_compilation_cache_dir", str(CACHE))
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
# Tolerances are those of float32; GPUs and TPUs would round the factors of a product to fewer bits.
jax.config.update("jax_default_matmul_precision", "highest")

# derandomize: the same examples at every run. No deadline: the first example of a shape compiles.
settings.register_profile("repeatable", deadline=None, derandomize=True, max_examples=20)
settings.load_profile("repeatable")


def pytest_configure(config):
    # A run that is killed leaves a half-written entry, a read-only checkout none: slower, not wrong.
    config.addinivalue_line(
        "filterwarnings", "ignore:Error (reading|writing) persistent compilation cache entry:UserWarning"
    )


@pytest.fixture(scope="session")
def last_look():
    """When the memory maps were counted last."""
    return {"at": 0.0}


@pytest.fixture(autouse=True)
def programs_released(last_look):
    """Every compiled program holds some memory maps, and Linux ends a process that asks for more than 65,530."""
    yield
    if time.monotonic() > last_look["at"] + BETWEEN_LOOKS and MAPS.exists():
        if MAPS.read_bytes().count(b"\n") > MANY_MAPS:
            jax.clear_caches()
            gc.collect()
        last_look["at"] = time.monotonic()


@pytest.fixture(scope="module")
def nothing_left_behind():
    """What a module's failed loads leave behind is collected at its end (tests/failed_loads.py)."""
    yield
    gc.collect()
