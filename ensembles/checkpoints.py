"""Checkpoints of an ensemble's state, through orbax, written in the background.

The one module that knows orbax: its API is moving from v0 to v1, and v1 lives under `experimental` in some releases.
"""

import contextlib
import hashlib
import json
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree, Shaped, UInt32

from widesym.ensembles.files import first_line
from widesym.ensembles.sharding import agreed, any_process
from widesym.ensembles.trainer import EnsembleState, Trainer
from widesym.models.description import describe, without_modules
from widesym.models.numerics import fixed_numerics

try:
    import orbax.checkpoint.v1 as ocp  # pyright: ignore[reportMissingImports]
except ImportError:
    import orbax.checkpoint.experimental.v1 as ocp


NOT_ITS_FAULT = (MemoryError, PermissionError, FloatingPointError, jax.errors.JaxRuntimeError)  # but the process's


class CheckpointError(OSError):
    """A checkpoint that could not be written, or cannot be read by this process and may be by another."""


class MisfitError(CheckpointError):
    """A whole checkpoint, but of another ensemble, or of another precision."""


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Errors of all the kinds that orbax and tensorstore raise, as one."""
    try:
        yield
    except Exception as error:
        raise CheckpointError(f"checkpoint {path} could not be written: {first_line(error)}") from error


class Checkpoints:
    """The checkpoints of one ensemble in a directory, the newest `kept` of them.

    Each appears whole or not at all, and an old one goes only when a newer one is whole. Every process of several must
    make the same calls.
    """

    def __init__(self, directory: Path, trainer: Trainer, kept: int = 2):
        check_kept(kept)
        self.directory, self.trainer, self.kept = directory, trainer, kept
        self._pending: tuple[str, ocp.AsyncResponse] | None = None

    @fixed_numerics()
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

        Those that are damaged, or whose numbers have changed, are set aside, and `tell` hears of it. One that is whole
        never is: raises MisfitError as `restore` does, and CheckpointError where the process lacks what reading takes.
        """
        for step in reversed(saved_steps(self.directory)):
            path, (state, error) = self.directory / str(step), self._restored(step, input_shape)
            if any_process(isinstance(error, CheckpointError)):
                raise error or CheckpointError(f"checkpoint {path} cannot be used by another process, which says why")
            if not any_process(state is None) and state is not None:
                return state, step
            tell(f"checkpoint {path} cannot be read and is set aside ({first_line(error) if error else ''})")
            if jax.process_index() == 0:
                shutil.rmtree(self.directory / f"{step}.unreadable", ignore_errors=True)
                (self.directory / str(step)).rename(self.directory / f"{step}.unreadable")
        return None

    def _restored(self, step: int, input_shape: tuple[int, ...]) -> tuple[EnsembleState | None, Exception | None]:
        """The state, or why there is none: a CheckpointError where that is not the checkpoint's fault."""
        try:
            return self.restore(step, input_shape), None
        except NOT_ITS_FAULT as error:
            path = self.directory / str(step)
            return None, CheckpointError(f"checkpoint {path} cannot be read now, and stays: {first_line(error)}")
        except Exception as error:
            return None, error

    @fixed_numerics()
    def restore(self, step: int, input_shape: tuple[int, ...]) -> EnsembleState:
        """The state saved after `step` steps, on whatever devices there are now.

        Raises MisfitError for one of another ensemble or precision, and ValueError where it is not what was saved.
        """
        where = self.trainer.placement
        shapes = jax.eval_shape(lambda: self.trainer.init(input_shape))._asdict()
        like = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=where.by_member), shapes)
        path = str(self.directory.absolute() / str(step))
        self._check_fits(step, path, shapes)
        context = ocp.Context()
        context.array.loading.enable_padding_and_truncation = True  # there may be more or fewer idle places now
        with context:
            state = EnsembleState(**ocp.load(path, like))
            metadata: Any = ocp.metadata(path).custom_metadata
        if any(metadata[name] != said for name, said in self._about(step, state).items() if name != "digest"):
            raise ValueError("it is not what was saved")
        return state

    def _check_fits(self, step: int, path: str, shapes: PyTree[jax.ShapeDtypeStruct]) -> None:
        """Raise MisfitError for a checkpoint that is whole, as far as what it says of itself goes, and none of this
        ensemble's.
        """
        found: Any = ocp.metadata(path)
        about, own = found.custom_metadata, self._ensemble
        if about["ensemble"] != own and about.get("digest", _digest(about)) == _digest(about):
            differing = ", ".join(sorted(name for name in own if about["ensemble"].get(name) != own[name]))
            raise MisfitError(
                f"checkpoint {path} is of another ensemble ({differing or 'fields'} differ), and stays; take another "
                "directory, or remove it"
            )
        precisions = (
            {str(leaf.dtype) for leaf in jax.tree.leaves(tree["params"])} for tree in (found.metadata, shapes)
        )
        wide, usual = map(sorted, precisions)
        if wide == ["float64"] != usual:
            raise MisfitError(
                f"checkpoint {path} holds parameters in float64, and members are computed in float32; an earlier "
                "version wrote it while jax_enable_x64 was set. It stays; go on with that version, or remove the run"
            )

    def _about(self, step: int, state: EnsembleState) -> Any:
        """What a checkpoint says of itself: of which ensemble and step it is, and sums over its arrays.

        With the seed and the step, that is all that later random numbers and records depend on.
        """
        sums = jax.tree.leaves(checksums(state, self.trainer.members))
        about = {"step": step, "ensemble": self._ensemble}
        return {**about, "checksums": [int(np.asarray(each)) for each in sums], "digest": _digest(about)}

    @property
    def _ensemble(self) -> dict[str, Any]:
        """Of whom it is; without a word of randomness that is shared, which it was before there was another."""
        names = ("architecture", "recipe", "members", "seed")
        names = names if self.trainer.randomness == "shared" else (*names, "randomness")
        return {name: without_modules(describe(getattr(self.trainer, name))) for name in names}


def _digest(about: Mapping[str, Any]) -> str:
    """By which a checkpoint of another ensemble is told from one in which a bit has changed."""
    content = json.dumps([about["step"], about["ensemble"]], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


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
