"""One Gram matrix in one directory: computed by all devices and processes, gone on with, or found finished."""

import contextlib
import json
import shutil
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path

import jax
import numpy as np
from jaxtyping import Float
from rich.console import Console

from widesym.analysis.gram import (
    Gram,
    Info,
    Tiling,
    choose_tiling,
    compute_tiles,
    create_gram_store,
    measure_quality,
    pending_tiles,
    read_gram,
)
from widesym.analysis.gram.compute import own_share
from widesym.analysis.gram.store import stored_tiling
from widesym.analysis.gram.tiling import DEFAULT_MEMORY, check_memory, tile_bytes
from widesym.analysis.kernels import Kernel
from widesym.analysis.kernels.accuracy import kernel_error
from widesym.analysis.programs.devices import devices_sharing_memory
from widesym.ensembles.files import read_text
from widesym.ensembles.sharding import any_process, largest_of_processes, on_first
from widesym.launch.console import print_plain
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import Contents, check_config, claim
from widesym.launch.runs.disk import bytes_text
from widesym.launch.runs.files import write_json
from widesym.launch.runs.interrupts import raise_if_requested, stops_noted
from widesym.launch.runs.progress import gram_progress

STORE = "gram.zarr"
OF_ONE = Contents("a Gram matrix of something else")


class GramWarning(UserWarning):
    """A Gram matrix that can be used with care."""


def compute_gram(gram: Gram, directory: Path, console: Console, memory: int = DEFAULT_MEMORY) -> Kernel | None:
    """K and Θ of `gram`, computed into `directory` from where a killed or interrupted computation of it stopped.

    `memory`, in bytes, decides the tiles of a new store (`choose_tiling`). SIGINT and SIGTERM are heeded between tiles.
    With several processes all call this with the same arguments, each computes its share, and the first one returns the
    kernels, the others None. The result is checked: GramError where it is not finite, GramWarning where it is not
    positive up to rounding. Raises RunDirectoryError where the directory holds another spec's Gram matrix (naming the
    keys that differ), is in use, or is on a disk without space.
    """
    check_memory(memory)
    console = console if jax.process_index() == 0 else Console(quiet=True)

    def say(message: str) -> None:
        print_plain(console, f"{directory.name}: {message}")

    check_config(directory, gram.config, OF_ONE)
    found: list[Kernel] = []
    with contextlib.ExitStack() as held:
        on_first(lambda: held.enter_context(claim(directory, gram.config, OF_ONE)))
        if any_process((directory / "finished.json").exists()):
            say(f"finished, {' × '.join(map(str, gram.shape))} kernels found in {directory}")
            on_first(lambda: found.append(_read(directory)))
        else:
            on_first(lambda: _prepare(gram, directory, memory, say))
            seconds = _fill(gram, directory, console, say)
            on_first(lambda: found.append(_finish(gram, directory, seconds, say)))
    return found[0] if found else None


def unfinished(grams: Mapping[Path, Gram]) -> list[Gram]:
    """Those that are not finished in their directories."""
    return [gram for directory, gram in grams.items() if not (directory / "finished.json").exists()]


def describe_info(info: Info) -> str:
    """What a Gram matrix takes, for people."""
    rows, columns = info.tiling.shape
    slow = "full covariances, as lags mix, which is slow, " if info.is_full else ""
    lags = f"{info.lags} lags each, " if info.lags and info.lags > 1 else slow
    return (
        f"{rows} × {columns} pairs, {lags}{len(info.tiling)} tiles of {' × '.join(map(str, info.tiling.tile))}, each "
        f"in {bytes_text(info.tile_bytes)} of memory; {bytes_text(info.store_bytes)} on disk; about "
        f"{info.seconds:.3g} s on {jax.device_count()} devices of {jax.process_count()} processes"
    )


def _prepare(gram: Gram, directory: Path, memory: int, say: Callable[[str], None]) -> None:
    """The store, and space for it."""
    store = directory / STORE
    if store.exists():
        try:
            tiling = stored_tiling(store, gram)
        except ValueError as error:
            raise RunDirectoryError(f"{error}; remove it, and the computation starts again") from None
        _check_fits(gram, tiling, memory)
        return
    tiling = choose_tiling(gram, memory)
    free = shutil.disk_usage(directory).free
    if gram.bytes > free:
        raise RunDirectoryError(
            f"{directory} may grow to {bytes_text(gram.bytes)}, but the disk has {bytes_text(free)} left; take "
            "fewer inputs, or choose a directory on another disk"
        )
    say(f"{len(tiling)} tiles of {' × '.join(map(str, tiling.tile))} pairs")
    create_gram_store(store, gram, tiling)


def _check_fits(gram: Gram, tiling: Tiling, memory: int) -> None:
    """A store keeps the tiles that it was made with: other ones would round differently."""
    needed = tile_bytes(gram, tiling.tile) * devices_sharing_memory()
    if needed > memory:
        raise RunDirectoryError(
            f"memory is {bytes_text(memory)}, but the tiles that are there, {' × '.join(map(str, tiling.tile))}, take "
            f"{bytes_text(needed)} on these devices; allow that, use fewer devices, or remove the directory for "
            "smaller tiles"
        )


def _fill(gram: Gram, directory: Path, console: Console, say: Callable[[str], None]) -> float:
    began, store = time.perf_counter(), directory / STORE
    with stops_noted(say) as request:
        pending = pending_tiles(store, gram)
        largest_of_processes(0)  # nobody writes before all have looked
        own, tiles = own_share(pending), len(stored_tiling(store))
        if len(pending) < tiles:
            say(f"{tiles - len(pending)} of {tiles} tiles are there")
        error = None
        with gram_progress(console, directory.name) as report:
            try:
                for moment in compute_tiles(gram, store, own):
                    report(moment)
                    if request.made:
                        break
            except Exception as raised:  # the others hear of it when they are done
                error = raised
        if any_process(error is not None):
            raise error or RuntimeError("another process has failed; its own message says why")
        raise_if_requested(largest_of_processes(request.number))
    return time.perf_counter() - began


def _finish(gram: Gram, directory: Path, seconds: float, say: Callable[[str], None]) -> Kernel:
    kernel = _read(directory)
    found = {}
    if gram.is_symmetric:
        for name, values in zip(Kernel._fields, map(np.asarray, kernel), strict=True):
            error = kernel_error(gram.architecture, gram.x1.shape[1:], values.dtype)
            quality = measure_quality(values, error=error)
            say(f"{name}: {quality.message}")
            if not quality.is_positive:
                warnings.warn(_not_positive(name, values, quality.message), GramWarning, stacklevel=4)
            found[name] = quality._asdict()
    write_json(directory / "finished.json", {"seconds": seconds, "quality": found})
    return kernel


def _not_positive(name: str, values: Float[np.ndarray, "n n"], message: str) -> str:
    return (
        f"{name} of {len(values)} inputs: {message}; a kernel has no negative eigenvalues but for rounding: compute it "
        "in float64, or solve with a ridge above −λ_min"
    )


def _read(directory: Path) -> Kernel:
    try:
        return read_gram(directory / STORE)
    except ValueError as error:
        raise RunDirectoryError(f"{error}; remove {directory / 'finished.json'} first, if it is there") from None


def quality_on_disk(directory: Path) -> dict[str, dict]:
    """What the check of a finished symmetric Gram matrix found, by kernel."""
    return json.loads(read_text(directory / "finished.json"))["quality"]
