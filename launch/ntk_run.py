"""Empirical NTKs of a run's members at every stored time, computed into a directory from where it was left."""

import os
import shutil
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Float
from rich.console import Console

from analysis.empirical import empirical_ntk
from analysis.gram import Gram
from analysis.kernel_evolution import kernel_evolution
from ensembles.data import Dataset
from ensembles.data.dataset import Inputs
from ensembles.losses import MeanSquaredError
from ensembles.recorder import Sick
from launch.kernel_run import compute_gram
from launch.progress import kernel_progress
from launch.run_directory import RunDirectoryError, claim, reading
from launch.stored_members import StackedParams, StoredRun, stored_parameters, stored_steps
from models.architecture import Architecture
from models.layer import NoClosedFormError

MEMBERS_AT_ONCE = 8  # how often progress shows
STORE = "ntk.zarr"
LOGITS_AGREE = 0.05  # of their size: other devices round otherwise, other draws are off by more than their size

Report = Callable[[int], None]


def ntk_of_run(
    run: StoredRun, data: Dataset, samples: int, directory: Path, console: Console, sick: Sick = "refuse"
) -> xr.Dataset:
    """Θ_t of every member on the first `samples` inputs of `data` at every stored time, and what is said of them.

    Each time's kernels are written as soon as they are computed (`kernels/STEP.npy` in `directory`), and a later call
    goes on from there, also when the run has been trained further; `ntk.zarr` appears whole or not at all. Raises
    RunDirectoryError where the run is being written or its parameters cannot be had, or where `directory` holds kernels
    of another run or other inputs, and SickMembersError as `read_logits` does.
    """
    with reading(run.path):
        kept, steps = run.members(sick), stored_steps(run)
        with claim(directory, _config(run, data, samples)):
            _compute(run, data, samples, steps, directory, console)
            found = _gathered(run, data, samples, steps, kept, directory, console)
            _write(found, directory / STORE)
            return found


def _config(run: StoredRun, data: Dataset, samples: int) -> dict[str, Any]:
    """What kernels depend on but for the step."""
    names = ("architecture", "recipe", "members", "seed", "data")
    return {
        "run": {name: run.config[name] for name in names},
        "inputs": {
            "fingerprint": data.fingerprint,
            "provenance": data.provenance,
            "samples": len(data.inputs[:samples]),
        },
    }


def _compute(run: StoredRun, data: Dataset, samples: int, steps: list[int], directory: Path, console: Console) -> None:
    """Whatever times are missing, one after the other."""
    (directory / "kernels").mkdir(exist_ok=True)
    missing, members = [step for step in steps if not _file(directory, step).exists()], run.config["members"]
    if len(missing) < len(steps):
        there = f"{len(steps) - len(missing)} of {len(steps)} times found in {directory}"
        console.print(f"ntk: {there}", highlight=False, markup=False, soft_wrap=True)
    if not missing:
        return
    x = jnp.asarray(data.inputs[:samples])
    with kernel_progress(console, "ntk", len(missing) * members) as report:
        for number, step in enumerate(missing):
            params = stored_parameters(run, data.inputs.shape[1:], step)
            if step == 0:
                _check_initialisation(run, params, data, samples)
            report(number * members)
            kernels = _of_members(
                run.architecture, params, x, lambda done, before=number * members: report(before + done)
            )
            _write_kernels(_file(directory, step), kernels)


def _of_members(
    architecture: Architecture, params: StackedParams, x: Array, report: Report
) -> Float[np.ndarray, "member n n"]:
    """Their kernels, some members at a time."""
    members, found = len(jax.tree.leaves(params)[0]), []
    for first in range(0, members, MEMBERS_AT_ONCE):
        part = jax.tree.map(lambda leaf, first=first: leaf[first : first + MEMBERS_AT_ONCE], params)
        found.append(np.asarray(empirical_ntk(architecture, part, x)))
        report(first + len(found[-1]))
    return np.concatenate(found)


def _check_initialisation(run: StoredRun, params: StackedParams, data: Dataset, samples: int) -> None:
    """Raise RunDirectoryError where the members of step 0 do not give the logits that were recorded of them.

    Another version of JAX may draw other numbers from the same seed. Checked on the training inputs alone, which are
    the first of the store's.
    """
    trained_on = next(iter(run.config["data"].values()))
    if data.fingerprint != trained_on["fingerprint"] or 0 not in run.recorded_steps:
        return
    x = jnp.asarray(data.inputs[:samples])
    found = jax.lax.map(lambda params: run.architecture.apply(params, x), params)
    recorded = run.initial_logits[:, : len(x)]
    healthy = np.isfinite(recorded).all((1, 2))
    gap = np.abs(np.asarray(found) - recorded)[healthy].max()
    if gap > LOGITS_AGREE * np.abs(recorded[healthy]).max():
        raise RunDirectoryError(
            f"the members of step 0 have logits that differ by up to {gap:.3g} from those recorded in {run.path}; they "
            "were drawn by another version of JAX, or the directory's files are not of one run"
        )


def _gathered(
    run: StoredRun,
    data: Dataset,
    samples: int,
    steps: list[int],
    kept: np.ndarray,
    directory: Path,
    console: Console,
) -> xr.Dataset:
    """The kernels of all times and of the members that are kept, and their statistics."""
    times, x = run.times(steps), data.inputs[:samples]
    targets = data.targets(MeanSquaredError())[:samples] if data.labels is not None else data.values
    analytic = _analytic(run.architecture, x, directory / "analytic", console)
    try:
        found = kernel_evolution(
            np.stack([_read_kernels(_file(directory, step))[kept] for step in steps]),
            steps,
            times[:, kept] if times.ndim == 2 else times,
            None if targets is None or not targets[:samples].any() else targets[:samples],
            analytic,
            np.flatnonzero(kept).tolist(),
        )
    except RunDirectoryError:
        raise
    except ValueError as error:  # kernels that are not finite, or zero, as of narrow networks that are born dead
        raise RunDirectoryError(f"{run.path}: {error}") from error
    return found.assign_attrs(run=str(run.path), inputs=f"the first {len(x)} of {data.name}", data=data.provenance)


def _analytic(
    architecture: Architecture, x: Inputs, directory: Path, console: Console
) -> Float[np.ndarray, "n n"] | None:
    """The kernel at infinite width, where there is one."""
    try:
        gram = Gram(architecture, x)
    except NoClosedFormError:
        return None
    if not (directory / "finished.json").exists():
        console.print("ntk: analytic kernel of infinitely wide networks", highlight=False)
    kernel = compute_gram(gram, directory, Console(quiet=True))
    return None if kernel is None else np.asarray(kernel.ntk)


def _file(directory: Path, step: int) -> Path:
    return directory / "kernels" / f"{step}.npy"


def _write_kernels(path: Path, kernels: Float[np.ndarray, "member n n"]) -> None:
    temporary = path.with_suffix(".new")
    with temporary.open("wb") as file:
        np.save(file, kernels)
    os.replace(temporary, path)


def _read_kernels(path: Path) -> Float[np.ndarray, "member n n"]:
    try:
        return np.load(path)
    except (ValueError, EOFError) as error:
        raise RunDirectoryError(f"{path} cannot be read ({error}); remove it, and it is computed again") from None


def _write(found: xr.Dataset, path: Path) -> None:
    """The store in place of what is there: for a moment there is none, and the kernels that it is made of stay."""
    temporary = path.with_name(path.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    with warnings.catch_warnings():
        # Consolidation is xarray's default way in; zarr warns that v3 has yet to specify it.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        found.to_zarr(temporary, zarr_format=3)
    shutil.rmtree(path, ignore_errors=True)
    os.replace(temporary, path)
