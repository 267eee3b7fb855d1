"""How the members of an ensemble learn."""

from dataclasses import dataclass, replace
from typing import Any, cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from widesym.ensembles.augmentation import NoAugmentation, Policy
from widesym.ensembles.batches import Batches, FullBatch
from widesym.ensembles.hyperparameters import PerMember, by_member, checked, numbers_of
from widesym.ensembles.losses import Loss, MeanSquaredError
from widesym.ensembles.optimizers import Optimizer, Sgd
from widesym.ensembles.schedules import Constant, Schedule
from widesym.models.numerics import fixed_numerics


@dataclass(frozen=True)
class TrainingRecipe:
    """Unless said otherwise, gradient descent on the mean squared error of the whole set (theory.md §4).

    The learning rate and the optimiser's numbers are one for all members, or a sequence with one for each. Below each
    field stands what the help of `widesym train` says of it, where specs are YAML.
    """

    learning_rate: PerMember
    """One number for all members, or one for each."""
    optimizer: Optimizer = Sgd()
    """Such as '{type: Adam, b1: 0.9}'."""
    schedule: Schedule = Constant()
    """Factors of the learning rate, such as '{type: Cosine, steps: 1000}'."""
    loss: Loss = MeanSquaredError()
    """Such as '{type: CrossEntropy}'."""
    batches: Batches = FullBatch()
    """Such as '{type: ShuffledEpochs, size: 64}'."""
    augmentation: Policy = NoAugmentation()
    """A policy (docs/augmentation.md), such as '{type: FullOrbit, group: C4}'."""

    def __post_init__(self):
        object.__setattr__(self, "learning_rate", checked("learning_rate", self.learning_rate, 0, open_below=True))
        for name, kind, example in (
            ("optimizer", Optimizer, "Sgd(momentum=0.9)"),
            ("schedule", Schedule, "Cosine(1000)"),
            ("loss", Loss, "CrossEntropy()"),
            ("batches", Batches, "IndependentDraws(64)"),
        ):
            value = getattr(self, name)
            if isinstance(value, type) or not isinstance(value, kind):
                raise ValueError(f"{name} is {value!r}; it must be such as {example}")
        if isinstance(self.augmentation, type) or not callable(self.augmentation):
            raise ValueError(f"augmentation is {self.augmentation!r}; it must be a policy such as NoAugmentation()")

    def hyperparameters(self, members: int) -> dict[str, Float[np.ndarray, " member"]]:
        """The learning rate and the optimiser's numbers, member by member."""
        return {name: by_member(name, value, members) for name, value in self.numbers.items()}

    @property
    def numbers(self) -> dict[str, PerMember]:
        """The learning rate and the optimiser's numbers, as they were given."""
        return {"learning_rate": self.learning_rate, **numbers_of(self.optimizer)}

    def of_first(self, members: int) -> "TrainingRecipe":
        """The recipe for an ensemble of the first members alone."""

        def cut(spec: Any) -> dict[str, PerMember]:
            return {name: value[:members] for name, value in numbers_of(spec).items() if isinstance(value, tuple)}

        return replace(self, **cut(self), optimizer=replace(cast(Any, self.optimizer), **cut(self.optimizer)))

    def training_time(self, steps: tuple[int, ...]) -> Float[np.ndarray, "member_or_1 time"]:
        """t = Σ_s η_s after each number of steps: one row, or one for each member where learning rates differ."""
        rate = np.atleast_1d(np.asarray(self.learning_rate))[:, None]
        if isinstance(self.schedule, Constant):
            return rate * np.asarray(steps)
        with fixed_numerics():
            factors = np.asarray(self.schedule.factor(jnp.arange(max(steps), dtype=jnp.int32)), np.float64)
        return rate * np.concatenate([[0.0], np.cumsum(factors)])[list(steps)]
