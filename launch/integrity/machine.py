"""What a run would find on this machine: versions, devices, memory, settings, space; and what will not work."""

import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax

from widesym.ensembles.data import DataError
from widesym.ensembles.data.cache import cache_home
from widesym.launch.runs.disk import bytes_text
from widesym.launch.runs.provenance import PACKAGES, git_commit, git_diff

OPTIONAL = ("submitit", "tensorboardX", "s2fft", "neural-tangents", "jax-cuda13-plugin", "jax-cuda12-plugin")
SETTINGS = ("XLA_", "JAX_", "WIDESYM_", "CUDA_VISIBLE_DEVICES", "NVIDIA_", "OMP_NUM_THREADS", "SLURM_JOB_ID")
LITTLE = 2**30  # bytes free, below which one is warned


class Fact(NamedTuple):
    """One line about the machine."""

    what: str
    value: str


def machine_facts() -> list[Fact]:
    """Of this process, its machine, and the directory that it is in. Starts JAX's devices; writes nothing."""
    here = Path.cwd()
    commit = git_commit()
    changes = f", changes {git_diff()}" if commit and commit.endswith("+changes") else ""
    settings = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith(SETTINGS)]
    return [
        Fact("python", f"{platform.python_version()}, {platform.platform()}, host {platform.node()}"),
        Fact("packages", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)),
        Fact("optional packages", ", ".join(f"{name} {_version(name)}" for name in OPTIONAL)),
        Fact("source", f"git {commit}{changes}" if commit else "installed, not a git checkout"),
        Fact("processors", f"{_usable_processors()} of {os.cpu_count()} for this process"),
        Fact("memory", _memory()),
        *(Fact("device", _device(device)) for device in jax.devices()),
        Fact("products of matrices", f"{jax.config.jax_default_matmul_precision or 'default'} precision"),  # pyright: ignore[reportAttributeAccessIssue]
        Fact("settings", "; ".join(settings) or "none in the environment"),
        Fact("cache", _cache()),
        Fact("here", f"{here}: {_space(here)}"),
        Fact("sbatch", shutil.which("sbatch") or "not found: no SLURM from here"),
    ]


def machine_warnings() -> list[str]:
    """What will not work here, and what to do; a line each."""
    unkept = "data sets and compiled programs are not kept; set WIDESYM_CACHE to a folder with room for them"
    of_here = _about_folder(Path.cwd(), "runs cannot be kept here; change to a directory of your own")
    try:
        of_cache = [*_about_folder(cache_home(), unkept)]
    except DataError as error:
        of_cache = [str(error)]
    return [*of_here, *of_cache, *_about_devices()]


def _cache() -> str:
    try:
        cache = cache_home()
    except DataError:
        return "none"
    return f"{cache}: {bytes_text(_bytes_in(cache))}, {_space(cache)}"


def _about_folder(path: Path, remedy: str) -> Iterator[str]:
    if not _writable(path):
        yield f"{path} cannot be written to: {remedy}"
    elif (free := shutil.disk_usage(_existing(path)).free) < LITTLE:
        yield f"{path} is on a disk with {bytes_text(free)} left: {remedy}, or make space"


def _about_devices() -> Iterator[str]:
    if shutil.which("nvidia-smi") and all(device.platform == "cpu" for device in jax.devices()):
        said = os.environ.get("JAX_PLATFORMS")
        why = f"JAX_PLATFORMS is {said}; unset it" if said else 'pip install "widesym[cuda]"'
        yield f"there is nvidia-smi, but JAX has processors alone: runs will not use the GPU; {why}"


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "(not installed)"


def _usable_processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _memory() -> str:
    """Of the machine, and what a control group leaves of it."""
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = int(Path("/sys/fs/cgroup/memory.max").read_text())
    except (OSError, ValueError):  # no control groups, or "max"
        return bytes_text(whole)
    return f"{bytes_text(whole)}, limited to {bytes_text(limit)}"


def _device(device: Any) -> str:
    stats = device.memory_stats() or {}
    limit = f", {bytes_text(stats['bytes_limit'])} memory" if "bytes_limit" in stats else ""
    return f"{device.id}: {device.device_kind} ({device.platform}){limit}"


def _existing(path: Path) -> Path:
    """The path, or the nearest folder above it that there is."""
    return next(each for each in (path, *path.absolute().parents) if each.exists())


def _writable(path: Path) -> bool:
    """Whether files can be made in the folder, which itself may still have to be made."""
    nearest = _existing(path)
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _space(path: Path) -> str:
    free = f"{bytes_text(shutil.disk_usage(_existing(path)).free)} free"
    return free + ("" if _writable(path) else ", not writable")


def _bytes_in(path: Path) -> int:
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file() and not file.is_symlink())
