"""Empirical NTKs of a run's members at every stored time, computed into a directory from where it was left."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, Int
from rich.console import Console

from widesym.analysis.empirical import empirical_ntk
from widesym.analysis.empirical.ntk import DEFAULT_MEMORY
from widesym.analysis.estimators.kernel_evolution import kernel_statistics
from widesym.analysis.gram import Gram
from widesym.ensembles.data import Dataset
from widesym.ensembles.data.dataset import Inputs
from widesym.ensembles.losses import MeanSquaredError
from widesym.ensembles.recorder import Sick
from widesym.launch.console import print_plain
from widesym.launch.errors import RunDirectoryError
from widesym.launch.kernels.gram import compute_gram
from widesym.launch.kernels.ntk_files import KernelFiles, write_ntk_store
from widesym.launch.runs.begun import as_earlier
from widesym.launch.runs.directory import Contents, claim, reading
from widesym.launch.runs.progress import member_progress
from widesym.launch.runs.stored import StackedParams, StoredRun, stored_parameters, stored_steps
from widesym.models.architecture import Architecture
from widesym.models.layer import NoClosedFormError

MEMBERS_AT_ONCE = 8  # how often progress shows
STORE = "ntk.zarr"
OF_ONE = Contents("kernels of another run, or on other inputs")
LOGITS_AGREE = 0.05  # of their size: other devices round otherwise, other draws are off by more than their size

Members = Int[np.ndarray, " some"]


def ntk_of_run(
    run: StoredRun,
    data: Dataset,
    samples: int,
    directory: Path,
    console: Console,
    sick: Sick = "refuse",
    memory: float = DEFAULT_MEMORY,
) -> xr.Dataset:
    """Θ_t of every member on the first `samples` inputs of `data` at every stored time, and what is said of them.

    Kernels take `memory` bytes at most. Each time's are written as soon as they are computed
    (`kernels/STEP.npy` in `directory`), and a later call goes on from there. Where the run has been trained further,
    times that were computed stay, though their checkpoints may be gone. `ntk.zarr` appears whole or not at all; what is
    returned reads its kernels as they are used.

    Raises RunDirectoryError where the run is being written or its parameters cannot be had, where kernels cannot be
    computed, and where `directory` holds kernels of another run or other inputs, and SickMembersError as `read_logits`.
    """
    with reading(run.path):
        kept, steps, x = run.members(sick), stored_steps(run), data.inputs[:samples]
        _ = run.architecture  # what cannot be built is said before the directory is claimed
        with claim(directory, _config(run, data, len(x)), OF_ONE):
            files = KernelFiles(directory / "kernels", run.record.members, len(x))
            _check_initialisation(run, data, len(x))
            _compute(run, x, steps, kept, files, memory, console)
            times = [step for step in files.steps if files.computed(step)[kept].all()]
            analytic = _analytic(run.architecture, x, directory / "analytic", console)
            found = _gathered(run, data, times, kept, files, analytic)
            return write_ntk_store(found, (files.read(step)[kept] for step in times), directory / STORE)


def _config(run: StoredRun, data: Dataset, samples: int) -> dict[str, Any]:
    """What kernels depend on but for the step; a run that was trained anew elsewhere has other initial logits."""
    names, found = ("architecture", "recipe", "members", "seed", "randomness", "data"), as_earlier(run.record.to_json())
    return {
        "run": {**{name: found.get(name) for name in names}, "initial_logits": run.digest_of_initial_logits},
        "inputs": {"fingerprint": data.fingerprint, "provenance": data.provenance, "samples": samples},
    }


def _compute(
    run: StoredRun,
    x: Inputs,
    steps: list[int],
    kept: Bool[np.ndarray, " member"],
    files: KernelFiles,
    memory: float,
    console: Console,
) -> None:
    """Whatever kernels are missing, one time after the other."""
    missing = {step: np.flatnonzero(kept & ~files.computed(step)) for step in steps}
    missing = {step: members for step, members in missing.items() if len(members)}
    if len(missing) < len(steps):
        there = f"{len(steps) - len(missing)} of {len(steps)} times found in {files.directory.parent}"
        print_plain(console, f"ntk: {there}")
    if not missing:
        return
    total, before = sum(map(len, missing.values())), 0
    with member_progress(console, "ntk", total, things="kernels") as report:
        for step, members in missing.items():
            params, found = stored_parameters(run, x.shape[1:], step), []
            for first in range(0, len(members), MEMBERS_AT_ONCE):
                report(before + first)
                some = members[first : first + MEMBERS_AT_ONCE]
                found.append(_kernels(run, step, params, some, jnp.asarray(x), memory))
            files.add(step, members, np.concatenate(found))
            before += len(members)
        report(total)


def _kernels(
    run: StoredRun, step: int, params: StackedParams, members: Members, x: Array, memory: float
) -> Float[np.ndarray, "some n n"]:
    """Of some members; raises RunDirectoryError that names those whose kernels cannot be computed, and says why."""
    try:
        chosen = jax.tree.map(lambda leaf: leaf[members], params)
        return np.asarray(empirical_ntk(run.architecture, chosen, x, memory=memory))
    except ValueError as error:
        reasons = {member: _reason(run.architecture, params, member, x, memory) for member in members.tolist()}
        failed = [member for member, reason in reasons.items() if reason]
        reason = next((reason for reason in reasons.values() if reason), str(error))
        named = f"member{'s' if len(failed) > 1 else ''} {', '.join(map(str, failed or members))}"
        raise RunDirectoryError(f"{run.path}: no empirical NTK of {named} at step {step}: {reason}") from error


def _reason(architecture: Architecture, params: StackedParams, member: int, x: Array, memory: float) -> str:
    """Why there is no kernel of one member; empty if there is one."""
    try:
        empirical_ntk(architecture, jax.tree.map(lambda leaf: leaf[member], params), x, memory=memory)
    except ValueError as error:
        return str(error)
    return ""


def _check_initialisation(run: StoredRun, data: Dataset, samples: int) -> None:
    """Raise RunDirectoryError where the members of step 0 do not give the logits that were recorded of them.

    Another version of JAX may draw other numbers from the same seed. Checked on the training inputs alone, which are
    the first of the store's.
    """
    if data.fingerprint != run.record.data[run.record.training_set].fingerprint or 0 not in run.recorded_steps:
        return
    params, x = stored_parameters(run, data.inputs.shape[1:], 0), jnp.asarray(data.inputs[:samples])
    found = jax.lax.map(lambda params: run.architecture.apply(params, x), params)
    recorded = run.initial_logits[:, : len(x)]
    healthy = np.isfinite(recorded).all((1, 2))
    if not healthy.any():
        return
    gap = np.abs(np.asarray(found) - recorded)[healthy].max()
    if gap > LOGITS_AGREE * np.abs(recorded[healthy]).max():
        raise RunDirectoryError(
            f"the members of step 0 have logits that differ by up to {gap:.3g} from those recorded in {run.path}; they "
            "were drawn by another version of JAX, or the directory's files are not of one run"
        )


def _gathered(
    run: StoredRun,
    data: Dataset,
    steps: list[int],
    kept: Bool[np.ndarray, " member"],
    files: KernelFiles,
    analytic: Float[np.ndarray, "n n"] | None,
) -> xr.Dataset:
    """What is said of the kernels of all times and of the members that are kept; one time is in memory at once."""
    times, samples = run.times(steps), files.inputs
    targets = data.targets(MeanSquaredError())[:samples] if data.labels is not None else data.values
    try:
        found = kernel_statistics(
            (files.read(step)[kept] for step in steps),
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
    about = {"run": str(run.path), "inputs": f"the first {samples} of {data.name}", "data": data.provenance}
    return found.assign_attrs(about, randomness=run.record.randomness_identity)


def _analytic(
    architecture: Architecture, x: Inputs, directory: Path, console: Console
) -> Float[np.ndarray, "n n"] | None:
    """The kernel at infinite width, where there is one."""
    try:
        gram = Gram(architecture, x)
    except NoClosedFormError:
        return None
    if not (directory / "finished.json").exists():
        print_plain(console, "ntk: analytic kernel of infinitely wide networks")
    kernel = compute_gram(gram, directory, Console(quiet=True))
    return None if kernel is None else np.asarray(kernel.ntk)
