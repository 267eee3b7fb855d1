"""The parameters of a run's members at every time that its directory has kept them.

They are in the store where `Parameters()` were recorded, and else in the checkpoints; those of step 0, which follow
from the seed, are drawn again where they were not kept.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import jax
import numpy as np
import xarray as xr
from jaxtyping import Array, Bool, Float, PyTree, UInt32

from widesym.ensembles import Strategy, Trainer, TrainingRecipe
from widesym.ensembles.augmentation import FixedCopies
from widesym.ensembles.checkpoints import Checkpoints, saved_steps
from widesym.ensembles.data.dataset import Dataset
from widesym.ensembles.data.stored import load_names
from widesym.ensembles.files import readable
from widesym.ensembles.randomness import initial_key, roots
from widesym.ensembles.recorder import Sick, members_kept
from widesym.ensembles.stores import open_labelled
from widesym.launch.config.own import Modules
from widesym.launch.config.snapshots import named_leaves
from widesym.launch.errors import ConfigError, RunDirectoryError
from widesym.launch.runs.directory import holder
from widesym.launch.runs.logits import labelled
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.record import RunRecord, read_record, spec_of
from widesym.models.architecture import Architecture
from widesym.models.description import describe

PREFIX = "parameters."
REMEDY = (
    "train with Run(snapshots=(Parameters(),)) to record them beside the logits, or with "
    "Execution(checkpoints_kept=…) to keep more checkpoints than two"
)

StackedParams = PyTree[Float[np.ndarray, "member ..."]]


@dataclass(frozen=True)
class StoredRun:
    """A run directory to read from, as far as it is recorded when it is first looked at: a process may be writing on.

    Layers, recipes and the like that are not this package's are built where they are of `modules`, which are imported
    for it; whatever else the directory names stays a description. Raises RunDirectoryError for what is none, or one
    where nothing is recorded yet.
    """

    path: Path
    modules: Modules = ()

    def __post_init__(self):
        _ = self.record
        if not RunPaths(self.path).store.exists() or not self.recorded_steps:
            how = "wait for its first record" if holder(self.path) else "start the run again, and let it go on"
            raise RunDirectoryError(f"{self.path}: nothing is recorded yet; {how}")

    @cached_property
    def record(self) -> RunRecord:
        """What config.json says of the run."""
        return read_record(self.path)

    @cached_property
    def sets_read(self) -> dict[str, Dataset]:
        """The data sets that `stored_set` has read so far, by name: each is read once."""
        return {}

    @cached_property
    def architecture(self) -> Architecture:
        """Of the members; raises ConfigError for one with layers that are neither this package's nor of `modules`."""
        return spec_of(self.record, "architecture", self.path, self.modules)

    @cached_property
    def recipe(self) -> TrainingRecipe:
        """What they were trained by; raises ConfigError as `architecture` does."""
        return spec_of(self.record, "recipe", self.path, self.modules)

    @cached_property
    def orbit(self) -> FixedCopies | None:
        """What the evaluation sets were also recorded on; raises ConfigError as `architecture` does."""
        return spec_of(self.record, "orbit", self.path, self.modules)

    def description(self, name: Literal["architecture", "recipe"]) -> Any:
        """What it is (`describe`): with all fields that it has today, or as it was written down where it names classes
        that are not known here.
        """
        try:
            return describe(getattr(self, name))
        except ConfigError:
            return getattr(self.record, name)

    @property
    def trainer(self) -> Trainer:
        """The ensemble; raises ConfigError as `architecture` does."""
        return self.record.trainer(self.architecture, self.recipe, Strategy(1))

    def initial_parameters(self, input_shape: tuple[int, ...]) -> "StackedParams":
        """Of all members, drawn again for inputs of this shape; raises ConfigError as `architecture` does."""
        found, architecture = roots(*self.record.roots), self.architecture
        of_each = np.broadcast_to(found, (self.record.members, found.shape[1]))

        def drawn(member: tuple[UInt32[Array, " words"], UInt32[Array, ""]]) -> PyTree[Float[Array, "..."]]:
            return architecture.init(initial_key(*member), input_shape)

        numbers = np.array(self.record.numbers, np.uint32)
        return jax.tree.map(np.asarray, jax.jit(partial(jax.lax.map, drawn))((of_each, numbers)))

    @cached_property
    def recorded_steps(self) -> list[int]:
        """Steps whose record was in the store, whole, when it was looked at, ascending."""
        with self.store() as store:
            return store.step.values[store.recorded.values].tolist()

    @property
    def has_snapshots(self) -> bool:
        """Whether the members' parameters were recorded beside their logits."""
        with self.store() as store:
            return any(str(name).startswith(PREFIX) for name in store.data_vars)

    def members(self, sick: Sick) -> Bool[np.ndarray, " member"]:
        """Whom to read at `recorded_steps`; raises SickMembersError as `read_logits` does."""
        with self.store() as store:
            known = store.isel(time=np.isin(store.step.values, self.recorded_steps))
            return members_kept(RunPaths(self.path).store, known, sick)

    def snapshots(self, step: int) -> dict[str, Float[np.ndarray, "member ..."]]:
        """The parameters recorded at a step, by name."""
        with self.store() as store:
            at = store.step.values.tolist().index(step)
            return {str(name): store[name][at].values for name in store.data_vars if str(name).startswith(PREFIX)}

    @property
    def initial_logits(self) -> Float[np.ndarray, "member sample logit"]:
        """Recorded at step 0, the training inputs' first."""
        with self.store() as store:
            return store.logits[store.step.values.tolist().index(0)].values

    @property
    def logits(self) -> xr.DataArray:
        """What is recorded (time, member, sample, logit), with labels, read as it is used: `labelled_logits()`."""
        return self.labelled_logits()

    def labelled_logits(self, sick: Sick = "refuse") -> xr.DataArray:
        """The logits at `recorded_steps` with labels for `sel` (`labelled`), the names of classes or quantities among
        them if the directory keeps the training set.

        `sick` members are treated as by `read_logits`. Raises SickMembersError as that does, RunDirectoryError where
        the store cannot be read, and DataError where the training set cannot.
        """
        file = RunPaths(self.path).data(0, self.record.training_set)
        outputs = load_names(file) if file.exists() else ()
        return labelled(RunPaths(self.path).store, self.recorded_steps, self.members(sick), outputs)

    @property
    def digest_of_initial_logits(self) -> str | None:
        """Of all that was recorded at step 0, if that was; equal where members were drawn and computed alike."""
        if 0 not in self.recorded_steps:
            return None
        return hashlib.sha256(np.ascontiguousarray(self.initial_logits).tobytes()).hexdigest()[:16]

    def times(self, steps: list[int]) -> Float[np.ndarray, "time"] | Float[np.ndarray, "time member"]:
        """Training times of steps, from the store or, where that lacks one, from the recipe."""
        with self.store() as store:
            at = {step: index for index, step in enumerate(store.step.values.tolist())}
            if set(steps) - {0} <= set(at):
                times = store["time"] if "time" in store.variables else store["training_time"]
                return np.stack([times.values[at[step]] if step in at else 0 * times.values[0] for step in steps])
        times = self.recipe.training_time(tuple(steps))
        return times[0] if len(times) == 1 else times.T

    @contextlib.contextmanager
    def store(self) -> Iterator[xr.Dataset]:
        """All that was recorded, read as it is used; raises RunDirectoryError where it cannot be."""
        path = RunPaths(self.path).store
        with readable(path, RunDirectoryError):
            store = open_labelled(path)
        try:
            with store:
                yield store
        except (RuntimeError, KeyError) as error:  # of damaged chunks, and of what is missing
            raise RunDirectoryError(f"{path} cannot be read ({type(error).__name__}: {error})") from None


def open_run(path: str | Path, modules: Modules = ()) -> StoredRun:
    """The run in a directory, to read logits, parameters and its record from, with classes of `modules` where it names
    them; raises RunDirectoryError as StoredRun.
    """
    return StoredRun(Path(path), tuple(modules))


def stored_steps(run: StoredRun) -> list[int]:
    """Steps whose parameters can be had, ascending, step 0 among them.

    Raises RunDirectoryError, which says how to keep them, where that is the only one.
    """
    kept = run.recorded_steps if run.has_snapshots else saved_steps(RunPaths(run.path).checkpoints)
    if not set(kept) - {0}:
        raise RunDirectoryError(f"{run.path} holds neither parameters nor checkpoints after step 0; {REMEDY}")
    return sorted({0, *kept})


def stored_parameters(run: StoredRun, input_shape: tuple[int, ...], step: int) -> StackedParams:
    """All members' parameters after `step` steps, one of `stored_steps`, for inputs of this shape.

    Raises RunDirectoryError for a checkpoint that cannot be read, and for parameters of another architecture.
    """
    if run.has_snapshots and step in run.recorded_steps:
        return _from_snapshots(run, input_shape, step)
    if not run.has_snapshots and step in saved_steps(RunPaths(run.path).checkpoints):
        return _from_checkpoint(run, input_shape, step)
    if step != 0:
        raise RunDirectoryError(f"{run.path} has no parameters of step {step}, only of {stored_steps(run)}")
    return run.initial_parameters(input_shape)


def _from_snapshots(run: StoredRun, input_shape: tuple[int, ...], step: int) -> StackedParams:
    tree = jax.eval_shape(lambda: run.architecture.init(jax.random.key(0), input_shape))
    found = run.snapshots(step)
    expected = {name: (run.record.members, *leaf.shape) for name, leaf in named_leaves(tree).items()}
    shapes = {name: array.shape for name, array in found.items()}
    if shapes != expected:
        name = next(name for name in sorted(shapes.keys() | expected.keys()) if shapes.get(name) != expected.get(name))
        raise RunDirectoryError(
            f"the parameters in {run.path / 'logits.zarr'} are not of the run's architecture on inputs of shape "
            f"{input_shape}: {name} has shape {shapes.get(name)}, and {expected.get(name)} is needed"
        )
    return jax.tree.unflatten(jax.tree.structure(tree), [found[name] for name in expected])


def _from_checkpoint(run: StoredRun, input_shape: tuple[int, ...], step: int) -> StackedParams:
    try:
        trainer = run.trainer
    except ConfigError as error:
        raise RunDirectoryError(f"checkpoints need the recipe, but {error}; {REMEDY.split(', or')[0]}") from None
    directory = RunPaths(run.path).checkpoints
    what = f"checkpoint {directory / str(step)}, for inputs of shape {input_shape},"
    with readable(what, RunDirectoryError, "remove it to do without"):
        state = Checkpoints(directory, trainer).restore(step, input_shape)
    return jax.tree.map(trainer.on_host, state.params)
