"""The process that `widesym` runs in: its exit codes, and how JAX is set up in it."""

import contextlib
import importlib
import os
import sys
from types import ModuleType

BAD_INPUT = 2
INTERRUPTED = 130
PREEMPTED = 75  # EX_TEMPFAIL: what is to be tried again


def configure_jax() -> None:
    """Set up the process: one JAX device per CPU core, full float32 products, compiled programs kept between runs.

    What numbers depend on is set here, whatever the environment says, for people's JAX_ENABLE_X64 and the like are not
    in any configuration; the library holds to it in other people's processes, too (`models.numerics.fixed_numerics`).
    """
    import jax

    from widesym.models.numerics import GENERATOR

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jax.config.update("jax_num_cpu_devices", cores)
    jax.config.update("jax_default_matmul_precision", "float32")
    jax.config.update("jax_enable_x64", False)
    jax.config.update("jax_default_prng_impl", GENERATOR)
    jax.config.update("jax_threefry_partitionable", True)
    jax.config.update("jax_numpy_dtype_promotion", "standard")
    jax.config.update("jax_numpy_rank_promotion", "allow")
    from widesym.ensembles.data import DataError
    from widesym.ensembles.data.cache import cache_home

    with contextlib.suppress(DataError):  # nothing is kept, then
        jax.config.update("jax_compilation_cache_dir", str(cache_home() / "compiled"))


def import_module(name: str) -> ModuleType:
    """The module of this name, also one in the current folder, where Python looks last then and from now on: commands
    are looked for elsewhere, and what people write for a run lies there. Raises whatever importing it does.
    """
    if os.getcwd() not in map(os.path.abspath, sys.path):
        sys.path.append(os.getcwd())
    importlib.invalidate_caches()  # of folders in which the file was not yet
    return importlib.import_module(name)


def keep_off_devices() -> None:
    """Leave GPUs and TPUs to other processes; call it before anything is computed."""
    import jax

    jax.config.update("jax_platforms", "cpu")


def compile_anew() -> None:
    """Leave out compiled programs of earlier runs, and keep none: how long compilation takes is to be found out."""
    import jax

    jax.config.update("jax_enable_compilation_cache", False)
