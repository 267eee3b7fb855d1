"""Checkpoints of an ensemble's state, through orbax.

The one module that knows orbax: its API is moving from v0 to v1, and v1 lives under `experimental` in some releases.
"""

import shutil
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from ensembles.trainer import EnsembleState

try:
    import orbax.checkpoint.v1 as ocp  # pyright: ignore[reportMissingImports]
except ImportError:
    import orbax.checkpoint.experimental.v1 as ocp

KEPT = 2  # the newest is written before the oldest goes, so one whole checkpoint exists at any moment


def save(directory: Path, step: int, state: EnsembleState) -> None:
    """Write the state after `step` steps; the checkpoint appears whole or not at all, and older ones go."""
    if step in saved_steps(directory):
        return
    ocp.save(str(directory.absolute() / str(step)), state._asdict(), overwrite=True)
    for old in saved_steps(directory)[:-KEPT]:
        shutil.rmtree(directory / str(old))


def saved_steps(directory: Path) -> list[int]:
    """Steps with a whole checkpoint, ascending."""
    if not directory.is_dir():
        return []
    return sorted(
        int(entry.name)
        for entry in directory.iterdir()
        if entry.name.isdigit() and ocp.is_orbax_checkpoint(str(entry.absolute()))
    )


def restore_newest(directory: Path, like: EnsembleState) -> tuple[EnsembleState, int] | None:
    """The newest state that can be read, and its step; those that cannot are set aside, with a warning. Else None."""
    for step in reversed(saved_steps(directory)):
        try:
            return restore(directory, step, like), step
        except Exception as error:  # orbax and tensorstore raise many kinds for a damaged checkpoint
            warnings.warn(f"checkpoint {directory / str(step)} cannot be read and is set aside ({error})", stacklevel=2)
            shutil.rmtree(directory / f"{step}.unreadable", ignore_errors=True)
            (directory / str(step)).rename(directory / f"{step}.unreadable")
    return None


def restore(directory: Path, step: int, like: EnsembleState) -> EnsembleState:
    """The state saved after `step` steps, with the structure of `like` (arrays or their shapes)."""
    somewhere = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    abstract = jax.tree.map(lambda x: jax.ShapeDtypeStruct(jnp.shape(x), x.dtype, sharding=somewhere), like._asdict())
    loaded = ocp.load(str(directory.absolute() / str(step)), abstract)
    # On the host: an array committed to one device could not be split over several.
    return EnsembleState(**jax.tree.map(np.asarray, loaded))
