"""What a run is: everything that an ensemble's numbers depend on, and what is recorded of it."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from widesym.ensembles.augmentation import FixedCopies
from widesym.ensembles.batches import Data
from widesym.ensembles.checks import check_data, check_steps
from widesym.ensembles.data import Dataset
from widesym.ensembles.randomness import Randomness
from widesym.ensembles.recipe import TrainingRecipe
from widesym.ensembles.recorder import Layout
from widesym.ensembles.stores import METRICS, OF_VALUES
from widesym.ensembles.strategy import Strategy
from widesym.ensembles.trainer import Trainer
from widesym.launch.config.snapshots import Snapshots
from widesym.launch.runs.record import DataRecord, RunRecord
from widesym.models.architecture import Architecture
from widesym.models.description import describe
from widesym.models.numerics import fixed_numerics

IDENTITY_TOLERANCE = 1e-5  # of the largest value; signals on the sphere turned by the identity come back to 3e-7


@dataclass(frozen=True)
class Run:
    """Everything an ensemble's numbers depend on, and what is recorded of it.

    With an `orbit`, logits on the evaluation sets are recorded on all its copies: of the full orbit, chosen elements
    of a group, or a finite set of rotations, the input itself first. `member_numbers` are those of `Trainer`: the
    members may be a part of an ensemble. So is `randomness`: runs are independent of each other ("own"), unless they
    are the same, or those of one seed share random numbers ("shared").
    """

    architecture: Architecture
    recipe: TrainingRecipe
    members: int
    seed: int
    record_steps: tuple[int, ...]
    training_set: Dataset
    evaluation_sets: tuple[Dataset, ...]
    orbit: FixedCopies | None = None
    snapshots: tuple[Snapshots, ...] = ()
    member_numbers: tuple[int, ...] | None = None
    randomness: Randomness = "own"

    def __post_init__(self):
        object.__setattr__(self, "record_steps", tuple(int(step) for step in self.record_steps))
        names = [data.name for data in self.sets]
        if len(set(names)) < len(names):
            raise ValueError(f"data sets are named {', '.join(names)}; each needs a name of its own to be found by")
        if self.orbit is not None and not isinstance(self.orbit, FixedCopies):
            raise ValueError(
                f"orbit is {self.orbit!r}; it must be a policy that always makes the same copies, such as "
                "FullOrbit(group), FixedElements(group, elements) or FixedRotations(rotations, space)"
            )

    def check(self) -> None:
        """Raise ValueError for whatever training would refuse, before anything is written."""
        check_steps(self.record_steps)
        _ = self.trainer(Strategy())
        check_data(self.architecture, self.recipe, self.data, self.evaluation)
        if self.orbit is not None:
            for data in self.evaluation_sets:
                check_identity_first(self.orbit, data, self.evaluation[data.name])
        names = [array.name for array in self.layout.arrays]
        if len(set(names)) < len(names):
            raise ValueError(f"the store would hold {', '.join(names)}; take each snapshot once")

    @property
    def sets(self) -> tuple[Dataset, ...]:
        """All data, the training set first."""
        return (self.training_set, *self.evaluation_sets)

    @cached_property
    def data(self) -> Data:
        """Training inputs, and the targets that the loss wants."""
        return jnp.asarray(self.training_set.inputs), jnp.asarray(self.training_set.targets(self.recipe.loss))

    @fixed_numerics()
    def step_batch(self, key: Key[Array, ""]) -> Data:
        """A batch that one step is taken on, as it is drawn and augmented."""
        draw, augment = jax.random.split(key)
        batches, samples = self.recipe.batches, len(self.data[0])
        batch = batches.take(self.data, batches.order(draw, samples), jnp.int32(0))
        return self.recipe.augmentation(augment, *batch)

    def trainer(self, strategy: Strategy) -> Trainer:
        """The ensemble, under this strategy."""
        return self.record.trainer(self.architecture, self.recipe, strategy)

    @cached_property
    def record(self) -> RunRecord:
        """All of it as it is written down, data sets by name and fingerprint of their arrays."""
        return RunRecord(
            **{name: describe(getattr(self, name)) for name in ("architecture", "recipe", "orbit", "snapshots")},
            **{
                name: getattr(self, name)
                for name in ("members", "seed", "randomness", "member_numbers", "record_steps")
            },
            data={data.name: DataRecord(len(data), data.fingerprint, data.provenance) for data in self.sets},
        )

    @property
    def config(self) -> dict[str, Any]:
        """The record as JSON values."""
        return self.record.to_json()

    @cached_property
    @fixed_numerics()
    def evaluation(self) -> dict[str, Float[Array, "sample row column channel"]]:
        """The inputs whose logits are recorded, the training set's among them; orbits element by element."""
        sets = {data.name: jnp.asarray(data.inputs) for data in self.evaluation_sets}
        if self.orbit is not None:
            sets = {name: self.orbit.copies(x).reshape(-1, *x.shape[1:]) for name, x in sets.items()}
        return {self.training_set.name: jnp.asarray(self.training_set.inputs), **sets}

    @cached_property
    def layout(self) -> Layout:
        """What the store of the run holds."""
        inputs = self.data[0]
        return replace(
            self.record.layout(self.recipe, self.orbit),
            logits=self.architecture.signals(inputs.shape[1:])[-1].channels,
            metrics=METRICS if self.training_set.has_classes else OF_VALUES,
            snapshots=tuple(array for kind in self.snapshots for array in kind.layout(self.architecture, inputs)),
        )


def check_identity_first(orbit: FixedCopies, data: Dataset, copies: Float[Array, "copy*sample *shape"]) -> None:
    """Raise ValueError where the first copies are not the inputs: those stand for the set itself (`read_logits`)."""
    gap = float(np.abs(np.asarray(copies[: len(data)]) - data.inputs).max())
    if gap > IDENTITY_TOLERANCE * np.abs(data.inputs).max():
        raise ValueError(
            f"orbit is {orbit!r}, whose first copy of {data.name} differs from the inputs by up to {gap:.2g}; it must "
            "be the inputs themselves: put element 0, or the identity matrix, first"
        )
