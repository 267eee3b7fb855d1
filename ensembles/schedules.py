"""How the learning rate changes over training: a factor of it, by step.

As a function of the step alone it keeps no state: a resumed run has it at once. A step's training time is the learning
rate it is made with (theory.md §4: t = Σ_s η_s).
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from widesym.ensembles.hyperparameters import checked_number

Step = Int[Array, "..."]
Factor = Float[Array, "..."]


@runtime_checkable
class Schedule(Protocol):
    """A frozen dataclass with the factor of the learning rate at a step, counted from 0."""

    def factor(self, step: Step) -> Factor:
        """What the learning rate is multiplied with in the update from `step` to `step` + 1."""
        ...


@dataclass(frozen=True)
class Constant:
    """The learning rate as it is."""

    def factor(self, step: Step) -> Factor:
        """A factor of 1 at every step."""
        return jnp.ones(jnp.shape(step))


@dataclass(frozen=True)
class Cosine:
    """A linear rise from 0 over `warmup` steps, then half a cosine down to `end` at step `steps` (arXiv:1608.03983)."""

    steps: int
    warmup: int = 0
    end: float = 0.0

    def __post_init__(self):
        check_number_of_steps("steps", self.steps, 1)
        check_number_of_steps("warmup", self.warmup, 0)
        if self.warmup >= self.steps:
            raise ValueError(f"warmup is {self.warmup} of {self.steps} steps; some must be left to fall")
        object.__setattr__(self, "end", checked_number("end", self.end, 0))

    def factor(self, step: Step) -> Factor:
        """0 → 1 → `end`, where it stays."""
        start = 0.0 if self.warmup else 1.0
        return jnp.asarray(optax.warmup_cosine_decay_schedule(start, 1.0, self.warmup, self.steps, self.end)(step))


@dataclass(frozen=True)
class Exponential:
    """rate^(step/every), smoothly: the learning rate falls by `rate` over each `every` steps."""

    rate: float
    every: int

    def __post_init__(self):
        object.__setattr__(self, "rate", checked_number("rate", self.rate, 0, open_below=True))
        check_number_of_steps("every", self.every, 1)

    def factor(self, step: Step) -> Factor:
        """The factor rate^(step/every), which is 1 at step 0."""
        return jnp.asarray(optax.exponential_decay(1.0, self.every, self.rate)(step))


@dataclass(frozen=True)
class Piecewise:
    """`factors[i]` from step `boundaries[i]` on; 1 before the first."""

    boundaries: tuple[int, ...]
    factors: tuple[float, ...]

    def __post_init__(self):
        object.__setattr__(self, "boundaries", tuple(self.boundaries))
        if not self.boundaries or len(self.boundaries) != len(self.factors):
            raise ValueError(f"{len(self.boundaries)} boundaries and {len(self.factors)} factors; give as many of both")
        for boundary in self.boundaries:
            check_number_of_steps("a boundary", boundary, 1)
        if list(self.boundaries) != sorted(set(self.boundaries)):
            raise ValueError(f"boundaries are {self.boundaries}; they must ascend")
        object.__setattr__(self, "factors", tuple(checked_number("a factor", factor, 0) for factor in self.factors))

    def factor(self, step: Step) -> Factor:
        """The factor of the last boundary reached."""
        factors = jnp.asarray((1.0, *self.factors), jnp.float32)
        return factors[jnp.searchsorted(jnp.asarray(self.boundaries, jnp.int32), step, side="right")]


def check_number_of_steps(name: str, value: int, least: int) -> None:
    """Raise ValueError for what is no number of steps."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} is {value!r}; it must be a whole number of steps, at least {least}")
