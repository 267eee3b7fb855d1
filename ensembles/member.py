"""One member's training: the loop that an ensemble runs for each of its members."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int, Key, PyTree

from widesym.ensembles.batches import Data
from widesym.ensembles.recipe import TrainingRecipe
from widesym.models.architecture import Architecture
from widesym.models.correlation import Formulation

HEALTHY = -1  # the frozen_at of a member that is not frozen
BATCHES, AUGMENTATION = 1, 2  # what keys are folded with for their uses; 0 is initialisation

Numbers = dict[str, Float[Array, ""]]


class Metrics(NamedTuple):
    """Of the last batch, before its update; 0 before there was one."""

    loss: Float[Array, "*member"]
    accuracy: Float[Array, "*member"]  # how often the largest logit is where the largest target is; of classes alone
    gradient_norm: Float[Array, "*member"]


class MemberState(NamedTuple):
    """Everything that training changes. Stacked over members, these are an ensemble's state."""

    params: PyTree[Float[Array, "..."]]
    optimizer_state: PyTree
    metrics: Metrics
    frozen_at: Int[Array, "*member"]  # the step whose update was not finite, or HEALTHY


class Keys(NamedTuple):
    """Where a member's randomness comes from."""

    own: Key[Array, ""]
    common: Key[Array, ""]  # the same for all members of one root (ensembles/randomness.py)


def untrained(
    architecture: Architecture, recipe: TrainingRecipe, numbers: Numbers, key: Key[Array, ""], shape: tuple[int, ...]
) -> MemberState:
    """A member before its first step, for inputs of this shape."""
    params = architecture.init(key, shape)
    nothing_yet = Metrics(*[jnp.zeros((), jnp.float32)] * 3)  # where debuggers look for it, NaN would be a fault
    return MemberState(params, recipe.optimizer.transformation(**numbers).init(params), nothing_yet, jnp.int32(HEALTHY))


def train_member(
    architecture: Architecture,
    recipe: TrainingRecipe,
    formulation: Formulation | None,
    numbers: Numbers,
    state: MemberState,
    keys: Keys,
    data: Data,
    start: Int[Array, ""],
    stop: Int[Array, ""],
) -> MemberState:
    """The member from step `start` to step `stop`, epoch by epoch.

    Once its loss, its gradient or what they make of its parameters is not finite, the member is frozen as it was.
    """
    samples = len(data[0])
    epoch_length = recipe.batches.steps_per_epoch(samples)
    common = getattr(recipe.batches, "order_of", "own") == "common"
    batches = jax.random.fold_in(keys.common if common else keys.own, BATCHES)
    augmentation = jax.random.fold_in(keys.own, AUGMENTATION)

    def one_epoch(epoch: Int[Array, ""], state: MemberState) -> MemberState:
        first = epoch * epoch_length
        order = recipe.batches.order(jax.random.fold_in(batches, epoch), samples)

        def one_step(step: Int[Array, ""], state: MemberState) -> MemberState:
            batch = recipe.batches.take(data, order, step - first)
            x, y = recipe.augmentation(jax.random.fold_in(augmentation, step), *batch)
            return updated(architecture, recipe, formulation, numbers, state, (x, y), step)

        return jax.lax.fori_loop(jnp.maximum(start, first), jnp.minimum(stop, first + epoch_length), one_step, state)

    return jax.lax.fori_loop(start // epoch_length, -(-stop // epoch_length), one_epoch, state)


def updated(
    architecture: Architecture,
    recipe: TrainingRecipe,
    formulation: Formulation | None,
    numbers: Numbers,
    state: MemberState,
    batch: Data,
    step: Int[Array, ""],
) -> MemberState:
    """The member after one update on a batch."""
    x, y = batch

    def loss_of(params: PyTree[Float[Array, "..."]]) -> tuple[Float[Array, ""], Float[Array, "sample logit"]]:
        logits = architecture.apply(params, x, formulation)
        return recipe.loss(logits, y), logits

    (loss, logits), gradient = jax.value_and_grad(loss_of, has_aux=True)(state.params)
    rate = numbers["learning_rate"] * recipe.schedule.factor(step).astype(jnp.float32)
    transformation = recipe.optimizer.transformation(**{**numbers, "learning_rate": rate})
    changes, optimizer_state = transformation.update(gradient, state.optimizer_state, state.params)
    params = optax.apply_updates(state.params, changes)
    found = (loss, (logits.argmax(-1) == y.argmax(-1)).mean(), optax.tree.norm(gradient))
    metrics = Metrics(*(value.astype(jnp.float32) for value in found))
    finite = jnp.isfinite(loss) & jnp.isfinite(metrics.gradient_norm) & jnp.isfinite(optax.tree.norm(params))
    alive = finite & (state.frozen_at == HEALTHY)
    kept = jax.tree.map(partial(jnp.where, alive), (params, optimizer_state), (state.params, state.optimizer_state))
    frozen_at = jnp.where((state.frozen_at == HEALTHY) & ~finite, step, state.frozen_at)
    return MemberState(kept[0], kept[1], metrics, frozen_at)
