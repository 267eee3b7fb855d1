"""Many members side by side: initialised, trained and evaluated together, each as if it were alone."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, Int, PyTree

from ensembles.sharding import map_members
from ensembles.training import TrainingRecipe, train_member
from models.architecture import Architecture

INITIALISATION, BATCHES = 0, 1  # what a member's key is folded with for its two uses
SECONDS_A_CALL = 1.0  # how long one compiled call may run: how often progress shows and an interrupt is heard

TrainingData = tuple[Float[Array, "train *pixel channel"], Float[Array, "train logit"]]


class EnsembleState(NamedTuple):
    """Everything that training changes; the member axis leads every array."""

    params: PyTree[Float[Array, "member ..."]]
    optimizer_state: optax.OptState


class Progress(NamedTuple):
    """Where training stands after a call."""

    step: int
    loss: Float[np.ndarray, " member"]


class Record(NamedTuple):
    """The ensemble at a recorded step."""

    position: int  # among the recorded steps
    step: int
    state: EnsembleState
    logits: dict[str, Float[np.ndarray, "member sample logit"]]


class DivergedError(ValueError):
    """Members whose logits are not finite: no mean over the ensemble would mean anything."""


@dataclass(frozen=True)
class Trainer:
    """An ensemble of networks of one architecture under one recipe.

    Member k's numbers depend on (architecture, recipe, seed, data, k) alone: all its randomness comes from `seed`
    folded with k, never from its neighbours.
    """

    architecture: Architecture
    recipe: TrainingRecipe
    members: int
    seed: int = 0

    def __post_init__(self):
        if self.members < 1:
            raise ValueError(f"members is {self.members!r}; an ensemble needs at least one")

    @partial(jax.jit, static_argnums=(0, 1))
    def init(self, input_shape: tuple[int, ...]) -> EnsembleState:
        """The untrained ensemble, for inputs (H, W, C) or (C,)."""

        def one(member: Int[Array, ""], _: None) -> EnsembleState:
            params = self.architecture.init(self._key(member, INITIALISATION), input_shape)
            return EnsembleState(params, self.recipe.optimizer.init(params))

        return map_members(one, jnp.arange(self.members), None)

    @partial(jax.jit, static_argnums=0)
    def advance(
        self, state: EnsembleState, data: TrainingData, start: Int[Array, ""], stop: Int[Array, ""]
    ) -> tuple[EnsembleState, Float[Array, " member"]]:
        """All members from step `start` to `stop`, and each one's last batch's loss. Compiles once for all steps."""

        def one(stacked: tuple[Int[Array, ""], EnsembleState], common: tuple) -> tuple[EnsembleState, Float[Array, ""]]:
            (member, state), (data, start, stop) = stacked, common
            key = self._key(member, BATCHES)
            *trained, loss = train_member(self.architecture, self.recipe, *state, key, data, start, stop)
            return EnsembleState(*trained), loss

        return map_members(one, (jnp.arange(self.members), state), (data, start, stop))

    @partial(jax.jit, static_argnums=0)
    def logits(
        self, state: EnsembleState, x: Float[Array, "sample *pixel channel"]
    ) -> Float[Array, "member sample logit"]:
        """Every member's logits."""
        return map_members(self.architecture.apply, state.params, x)

    def _key(self, member: Int[Array, ""], use: int):
        return jax.random.fold_in(jax.random.fold_in(jax.random.key(self.seed), member), use)


def train(
    trainer: Trainer,
    data: TrainingData,
    evaluation: Mapping[str, Float[Array, "sample *pixel channel"]],
    record_steps: Sequence[int],
    resume: tuple[EnsembleState, int] | None = None,
    watch: Callable[[EnsembleState, Progress], None] = lambda state, progress: None,
) -> Iterator[Record]:
    """Train to the last of `record_steps`, yielding every member's logits on the `evaluation` sets at each of them.

    `resume` is a state and its step, from which later records follow with the numbers of an uninterrupted run. `watch`
    is told about every call. Raises DivergedError once logits are not finite, and ValueError for data or steps that do
    not fit.
    """
    check_data(trainer.architecture, data, evaluation)
    check_steps(record_steps)
    state, step = resume or (trainer.init(tuple(data[0].shape[1:])), 0)
    inputs = jnp.concatenate(list(evaluation.values()))  # one call for all sets: it compiles once
    ends = np.cumsum([len(x) for x in evaluation.values()])[:-1]
    steps_a_call = 1
    for position, target in enumerate(record_steps):
        while step < target:
            stop, began = min(step + steps_a_call, target), time.perf_counter()
            state, loss = trainer.advance(state, data, step, stop)
            check_finite("losses", np.asarray(loss), stop)
            watch(state, Progress(stop, np.asarray(loss)))
            seconds, done, step = time.perf_counter() - began, stop - step, stop
            steps_a_call = max(1, min(2 * steps_a_call, round(SECONDS_A_CALL * done / seconds)))
        if step == target:
            logits = np.asarray(trainer.logits(state, inputs))
            check_finite("logits", logits, step)
            parts = np.split(logits, ends, axis=1)
            yield Record(position, step, state, dict(zip(evaluation, parts, strict=True)))


def check_data(
    architecture: Architecture, data: TrainingData, evaluation: Mapping[str, Float[Array, "sample *pixel channel"]]
) -> None:
    """Raise ValueError for inputs or targets that are not finite or do not fit each other and the architecture."""
    x, y = data
    expected = (len(x), architecture.signals(x.shape[1:])[-1].channels)
    if not len(x) or y.shape != expected:  # the loss would broadcast them
        raise ValueError(
            f"targets have shape {y.shape}; for {len(x)} inputs (at least one is needed) and this architecture's "
            f"logits it must be {expected}"
        )
    for name, inputs in evaluation.items():
        if inputs.shape[1:] != x.shape[1:]:
            raise ValueError(f"{name}: inputs have shape {inputs.shape[1:]}, those of training {x.shape[1:]}")
    for name, values in {"training inputs": x, "targets": y, **evaluation}.items():
        if not jnp.isfinite(values).all():
            raise ValueError(f"{name}: {int((~jnp.isfinite(values)).sum())} values are not finite")


def check_steps(record_steps: Sequence[int]) -> None:
    """Raise ValueError for recorded steps that training cannot visit in turn."""
    steps = list(record_steps)
    if not steps or steps[0] < 0 or steps != sorted(set(steps)):
        raise ValueError(f"record_steps are {steps}; they must be ascending, distinct and not negative, one at least")


def check_finite(what: str, values: Float[np.ndarray, "member ..."], step: int) -> None:
    """Raise DivergedError naming the members whose values are not finite."""
    sick = np.flatnonzero(~np.isfinite(values.reshape(len(values), -1)).all(1))
    if len(sick):
        raise DivergedError(
            f"{len(sick)} of {len(values)} members have {what} that are not finite at step {step} "
            f"(members {', '.join(map(str, sick[:10]))}{', …' if len(sick) > 10 else ''}); "
            "lower the learning rate or widen the networks"
        )


def train_ensemble(
    architecture: Architecture,
    recipe: TrainingRecipe,
    x: Float[Array, "train *pixel channel"],
    y: Float[Array, "train logit"],
    x_eval: Float[Array, "sample *pixel channel"],
    members: int,
    record_steps: Sequence[int],
    seed: int = 0,
) -> Float[np.ndarray, "time member sample logit"]:
    """Train an ensemble in memory and return every member's logits on `x_eval` at each recorded step."""
    trainer = Trainer(architecture, recipe, members, seed)
    records = train(trainer, (jnp.asarray(x), jnp.asarray(y)), {"x_eval": jnp.asarray(x_eval)}, record_steps)
    return np.stack([record.logits["x_eval"] for record in records])


def log_spaced_steps(last: int, records: int) -> tuple[int, ...]:
    """0, 1, … , `last`: at most `records` steps, evenly spaced in log(step) from 1 on, without repetition.

    Two records are 0 and `last`.
    """
    if last < 1 or records < 2:
        raise ValueError(f"{records} records up to step {last} asked for; it takes at least 2, and at least step 1")
    return (0, *sorted({round(step) for step in np.geomspace(last, 1, records - 1)}))
