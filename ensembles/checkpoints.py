"""Checkpoints of an ensemble's state, through orbax, written in the background.

The one module that knows orbax: its API is moving from v0 to v1, and v1 lives under `experimental` in some releases.
"""

import contextlib
import shutil
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Shaped, UInt32

from ensembles.sharding import agreed, any_process
from ensembles.trainer import EnsembleState, Trainer
from models.description import describe

try:
    import orbax.checkpoint.v1 as ocp  # pyright: ignore[reportMissingImports]
except ImportError:
    import orbax.checkpoint.experimental.v1 as ocp


SHOWN = 300  # characters of an error, whose text may hold the whole state of the reader


class CheckpointError(OSError):
    """A checkpoint that could not be written."""


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors of all the kinds that orbax and tensorstore raise, as one."""
    try:
        yield
    except Exception as error:
        raise CheckpointError(f"checkpoint {path} could not be written: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}"[:SHOWN]


class Checkpoints:
    """The checkpoints of one ensemble in a directory, the newest `kept` of them.

    Each appears whole or not at all, and an old one goes only when a newer one is whole. Every process of several must
    make the same calls.
    """

    def __init__(self, directory: Path, trainer: Trainer, kept: int = 2):
        check_kept(kept)
        self.directory, self.trainer, self.kept = directory, trainer, kept
        self._pending: tuple[str, ocp.AsyncResponse] | None = None

    def save(self, step: int, state: EnsembleState) -> None:
        """Begin to write the state after `step` steps, once the one before is written.

        Raises CheckpointError where that one could not be.
        """
        self.wait()
        if agreed(int(step in saved_steps(self.directory))):
            return
        path = str(self.directory.absolute() / str(step))
        # Made in the background, a directory that cannot be made would leave orbax waiting for it for minutes.
        context = ocp.Context()
        context.asynchronous.create_directories_asynchronously = False
        with _named(path), context:
            writing = ocp.save_async(path, state._asdict(), overwrite=True, custom_metadata=self._about(step, state))
        self._pending = path, writing

    def wait(self) -> None:
        """Until what was begun is written; then the oldest go."""
        if self._pending is None:
            return
        (path, writing), self._pending = self._pending, None
        with _named(path):
            writing.result()
        if jax.process_index() == 0:
            for old in saved_steps(self.directory)[: -self.kept]:
                shutil.rmtree(self.directory / str(old))

    def restore_newest(
        self, input_shape: tuple[int, ...], tell: Callable[[str], None] = warnings.warn
    ) -> tuple[EnsembleState, int] | None:
        """The newest state that is as it was saved, and its step, or None.

        Those that cannot be read, or whose numbers have changed, are set aside, and `tell` hears of it.
        """
        for step in reversed(saved_steps(self.directory)):
            state, error = self._restored(step, input_shape)
            if not any_process(state is None) and state is not None:
                return state, step
            tell(f"checkpoint {self.directory / str(step)} cannot be read and is set aside ({error})")
            if jax.process_index() == 0:
                shutil.rmtree(self.directory / f"{step}.unreadable", ignore_errors=True)
                (self.directory / str(step)).rename(self.directory / f"{step}.unreadable")
        return None

    def _restored(self, step: int, input_shape: tuple[int, ...]) -> tuple[EnsembleState | None, str]:
        """The state, or why there is none."""
        try:
            return self.restore(step, input_shape), ""
        except Exception as error:  # orbax and tensorstore raise many kinds for a damaged checkpoint
            return None, _first_line(error)

    def restore(self, step: int, input_shape: tuple[int, ...]) -> EnsembleState:
        """The state saved after `step` steps, on whatever devices there are now.

        Raises ValueError where it is not what was saved, or a state of another ensemble.
        """
        where = self.trainer.placement
        shapes = jax.eval_shape(lambda: self.trainer.init(input_shape))._asdict()
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where.by_member), shapes)
        path = str(self.directory.absolute() / str(step))
        context = ocp.Context()
        context.array.loading.enable_padding_and_truncation = True  # there may be more or fewer idle places now
        with context:
            state = EnsembleState(**ocp.load(path, like))
            metadata = ocp.metadata(path).custom_metadata
        if metadata != self._about(step, state):
            raise ValueError("it is not what was saved, or of another ensemble")
        return state

    def _about(self, step: int, state: EnsembleState) -> Any:
        """What a checkpoint says of itself: of which ensemble and step it is, and sums over its arrays.

        With the seed and the step, that is all that later random numbers and records depend on.
        """
        sums = jax.tree.leaves(checksums(state, self.trainer.members))
        names = ("architecture", "recipe", "members", "seed")
        ensemble = {name: describe(getattr(self.trainer, name)) for name in names}
        return {"step": step, "ensemble": ensemble, "checksums": [int(np.asarray(each)) for each in sums]}


def check_kept(kept: int) -> None:
    """Raise ValueError where no checkpoint would stay."""
    if kept < 1:
        raise ValueError(f"{kept} checkpoints are to be kept; a run that is to be resumed needs at least one")


def saved_steps(directory: Path) -> list[int]:
    """Steps with a whole checkpoint, ascending."""
    if not directory.is_dir():
        return []
    return sorted(
        int(entry.name)
        for entry in directory.iterdir()
        if entry.name.isdigit() and ocp.is_orbax_checkpoint(str(entry.absolute()))
    )


@partial(jax.jit, static_argnums=1)
def checksums(state: PyTree[Shaped[Array, "place ..."]], members: int) -> PyTree[UInt32[Array, ""]]:
    """Σ_i (2i+1) b_i mod 2³² over the words b of every array's members: exact in any order, and odd factors let no
    flipped bit pass.
    """

    def of(x: Shaped[Array, "place ..."]) -> UInt32[Array, ""]:
        word = {1: jnp.uint8, 2: jnp.uint16}.get(x.dtype.itemsize, jnp.uint32)
        bits = jax.lax.bitcast_convert_type(x[:members], word).astype(jnp.uint32).ravel()
        return jnp.sum(bits * (2 * jnp.arange(bits.size, dtype=jnp.uint32) + 1), dtype=jnp.uint32)

    return jax.tree.map(of, state)
