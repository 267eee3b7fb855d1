"""Many members side by side: initialised, trained and evaluated together, each as if it were alone."""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Bool, Float, Int, PyTree, Shaped, UInt32

from widesym.ensembles.batches import Data
from widesym.ensembles.checks import (
    NOBODY,
    check_data,
    check_member_numbers,
    check_members,
    check_steps,
    listed,
)
from widesym.ensembles.member import HEALTHY, Keys, MemberState, Metrics, train_member, untrained
from widesym.ensembles.optimizers import Sgd
from widesym.ensembles.randomness import Randomness, fingerprint, identity, initial_key, key_of, roots
from widesym.ensembles.recipe import TrainingRecipe
from widesym.ensembles.sharding import Placement, agreed, gathered, map_members, placement
from widesym.ensembles.strategy import Strategy
from widesym.models.architecture import Architecture
from widesym.models.checks import check_seed
from widesym.models.correlation import Formulation
from widesym.models.errors import UserError
from widesym.models.numerics import fixed_numerics

SECONDS_A_CALL = 1.0  # how long one compiled call may run: how often progress shows and an interrupt is heard
SAMPLES_AT_ONCE = 512  # of an evaluation set: patches of more would take memory for nothing

Numbers = dict[str, Float[np.ndarray, " place"]]  # hyperparameters, by name
EnsembleState = MemberState  # whose arrays all have a leading axis of members and idle places


class Record(NamedTuple):
    """What is kept of a recorded step."""

    position: int  # among the recorded steps
    logits: dict[str, Float[np.ndarray, "member sample logit"]]
    healthy: Bool[np.ndarray, " member"]  # neither frozen, nor with a logit that is not finite


class Moment(NamedTuple):
    """The ensemble between two calls: after `step` steps."""

    step: int
    state: EnsembleState
    metrics: Metrics  # of each member's last batch; NaN before there was one
    frozen_at: Int[np.ndarray, " member"]
    record: Record | None  # where the step is a recorded one


class DivergedError(UserError):
    """No member is left whose numbers are finite."""


@dataclass(frozen=True)
class Trainer:
    """An ensemble of networks of one architecture under one recipe.

    Member k's numbers depend on (architecture, its own recipe, seed, data, k) alone, and by rounding on how many
    members there are, never on its neighbours. So `member_numbers` may be some of a larger ensemble's, or the same one
    several times under different hyperparameters; by default they are 0 … members - 1. With `randomness` "own"
    ensembles are independent of those that differ from them in architecture, recipe, seed or `data_fingerprint`, which
    says what they are trained on; with "shared" those of one seed have random numbers in common
    (ensembles/randomness.py). All is computed in float32, whatever JAX is set to.
    """

    architecture: Architecture
    recipe: TrainingRecipe
    members: int
    seed: int = 0
    strategy: Strategy = Strategy()
    member_numbers: tuple[int, ...] | None = None
    randomness: Randomness = "own"
    data_fingerprint: str | None = None

    def __post_init__(self):
        check_members(self.members)
        check_seed(self.seed)
        check_member_numbers(self.member_numbers, self.members)
        self.recipe.hyperparameters(self.members)
        _ = identity(self.randomness, self.seed, self.architecture, self.recipe, self.data_fingerprint)
        if self.architecture.parametrization == "mup" and not isinstance(self.recipe.optimizer, Sgd):
            raise ValueError("the 'mup' parametrization has its scales for Sgd; use Sgd, or 'standard' or 'ntk'")

    def of_first(self, members: int) -> "Trainer":
        """The ensemble of the first members alone."""
        numbers = self.member_numbers and self.member_numbers[:members]
        return replace(self, members=members, recipe=self.recipe.of_first(members), member_numbers=numbers)

    @property
    def placement(self) -> Placement:
        """How the members are spread over devices, and over rounds on each device."""
        return placement(self.members, self.strategy)

    @property
    def formulation(self) -> Formulation | None:
        """How planar convolutions are computed."""
        return self.strategy.on(jax.default_backend(), self.members).formulation

    @fixed_numerics()
    def init(self, input_shape: Sequence[int]) -> EnsembleState:
        """The untrained ensemble, for inputs of this shape (`Signal.of_input`)."""
        return self._init(self._stacked_numbers(), tuple(input_shape))

    @fixed_numerics()
    def advance(self, state: EnsembleState, data: Data, start: int, stop: int) -> EnsembleState:
        """All members from step `start` to step `stop`. Compiles once for all steps."""
        return self._advance(*self.arguments(state, data, start, stop))

    @fixed_numerics()
    def compiled_advance(self, state: EnsembleState, data: Data) -> jax.stages.Compiled:
        """The program of `advance`, to be called with `arguments`."""
        return type(self)._advance.lower(self, *self.arguments(state, data, 0, 1)).compile()

    def arguments(self, state: EnsembleState, data: Data, start: int, stop: int) -> tuple:
        """What `advance` computes with: the members' roots and numbers, the state, the data and the steps."""
        return self._stacked_numbers(), state, data, np.int32(start), np.int32(stop)

    @fixed_numerics()
    @partial(jax.jit, static_argnums=0)
    def logits(
        self, state: EnsembleState, x: Float[Array, "sample *pixel channel"]
    ) -> Float[Array, "place sample logit"]:
        """Every member's logits, and those of idle places."""

        def one(params: PyTree, x: Float[Array, "sample *pixel channel"]) -> Float[Array, "sample logit"]:
            return in_batches(partial(self.architecture.apply, params, formulation=self.formulation), x)

        return map_members(one, state.params, x, self.placement)

    @fixed_numerics()
    @partial(jax.jit, static_argnums=(0, 1))
    def each(
        self, function: Callable[[Architecture, PyTree, Array], PyTree], state: EnsembleState, x: Float[Array, "..."]
    ) -> PyTree[Float[Array, "place ..."]]:
        """function(architecture, a member's parameters, x) for every member, and for idle places."""
        return map_members(partial(function, self.architecture), state.params, x, self.placement)

    def on_host(self, x: Shaped[Array, "place ..."]) -> Shaped[np.ndarray, "member ..."]:
        """The members' part of a stacked array."""
        return gathered(x, self.members)

    def _stacked_numbers(self) -> tuple[UInt32[np.ndarray, "place words"], UInt32[np.ndarray, " place"], Numbers]:
        """Where randomness comes from, who is where, and with which hyperparameters; as arguments, so that ensembles
        that differ in these alone are the same program.
        """
        members = np.arange(self.members) if self.member_numbers is None else np.array(self.member_numbers)
        numbers = self.recipe.hyperparameters(self.members)
        filled = {name: self.placement.filled(values) for name, values in numbers.items()}
        by_member = np.broadcast_to(self.roots, (self.members, self.roots.shape[1]))
        return self.placement.filled(by_member), self.placement.filled(members.astype(np.uint32)), filled

    @cached_property
    def roots(self) -> UInt32[np.ndarray, "member_or_1 words"]:
        """Where the members' randomness comes from."""
        return roots(self.randomness, self.seed, self.architecture, self.recipe, self.data_fingerprint)

    @partial(jax.jit, static_argnums=(0, 2))
    def _init(self, numbers: tuple, input_shape: tuple[int, ...]) -> EnsembleState:
        def one(stacked: tuple, _: None) -> MemberState:
            root, member, numbers = stacked
            return untrained(self.architecture, self.recipe, numbers, initial_key(root, member), input_shape)

        return map_members(one, numbers, None, self.placement)

    @partial(jax.jit, static_argnums=0)
    def _advance(self, numbers: tuple, state: EnsembleState, data: Data, start: Array, stop: Array) -> EnsembleState:
        def one(stacked: tuple, common: tuple) -> MemberState:
            ((root, member, numbers), state), (data, start, stop) = stacked, common
            keys = Keys(key_of(root, member), key_of(root, jnp.uint32(NOBODY)))
            return train_member(
                self.architecture, self.recipe, self.formulation, numbers, state, keys, data, start, stop
            )

        return map_members(one, (numbers, state), (data, start, stop), self.placement)


def in_batches(
    function: Callable[[Array], Array], x: Float[Array, "sample *pixel channel"]
) -> Float[Array, "sample logit"]:
    """function(x), computed for as many samples at once as memory should be given for."""
    batches = math.ceil(len(x) / SAMPLES_AT_ONCE)
    if batches == 1:
        return function(x)
    size = math.ceil(len(x) / batches)
    filled = jnp.concatenate([x, jnp.repeat(x[-1:], batches * size - len(x), axis=0)])
    found = jax.lax.map(function, filled.reshape(batches, size, *x.shape[1:]))
    return found.reshape(batches * size, -1)[: len(x)]


def train(
    trainer: Trainer,
    data: Data,
    evaluation: Mapping[str, Float[Array, "sample *pixel channel"]],
    record_steps: Sequence[int],
    resume: tuple[EnsembleState, int] | None = None,
    all_may_diverge: bool = False,
) -> Iterator[Moment]:
    """Train to the last of `record_steps`, yielding where things stand about once a second, and at each of these with
    every member's logits on the `evaluation` sets.

    `resume` is a state and its step, from which later moments follow with the numbers of an uninterrupted run. Raises
    DivergedError once no member is finite, unless `all_may_diverge`, and ValueError for data or steps that do not fit.
    """
    data, evaluation = (float32(data[0]), float32(data[1])), {name: float32(x) for name, x in evaluation.items()}
    check_data(trainer.architecture, trainer.recipe, data, evaluation)
    check_steps(record_steps)
    where = trainer.placement
    state, step = resume or (trainer.init(data[0].shape[1:]), 0)
    x, y, inputs = (where.everywhere(a) for a in (*data, jnp.concatenate(list(evaluation.values()))))
    ends = np.cumsum([len(x) for x in evaluation.values()])[:-1]

    def moment(position: int | None) -> Moment:
        metrics, frozen_at = jax.tree.map(trainer.on_host, (state.metrics, state.frozen_at))
        metrics = metrics if step else Metrics(*(np.full_like(values, np.nan) for values in metrics))
        if (frozen_at != HEALTHY).all() and not all_may_diverge:
            raise DivergedError(
                f"no member's numbers are finite after step {frozen_at.max()} ({trainer.members} members); lower the "
                "learning rate or widen the networks"
            )
        if position is None:
            return Moment(step, state, metrics, frozen_at, None)
        logits = trainer.on_host(trainer.logits(state, inputs))
        healthy = (frozen_at == HEALTHY) & np.isfinite(logits).all((1, 2))
        if not healthy.any() and not all_may_diverge:
            raise DivergedError(
                f"no member's logits are finite at step {step} ({trainer.members} members); look for "
                "inputs that are far too large"
            )
        parts = dict(zip(evaluation, np.split(logits, ends, axis=1), strict=True))
        return Moment(step, state, metrics, frozen_at, Record(position, parts, healthy))

    steps_a_call = 1
    for position, target in enumerate(record_steps):
        while step < target:
            stop, began = min(step + steps_a_call, target), time.perf_counter()
            state = jax.block_until_ready(trainer.advance(state, (x, y), step, stop))
            seconds, done, step = time.perf_counter() - began, stop - step, stop
            steps_a_call = agreed(max(1, min(2 * steps_a_call, round(SECONDS_A_CALL * done / seconds))))
            if step < target:
                yield moment(None)
        if step == target:
            yield moment(position)


@fixed_numerics()
def float32(x: Float[ArrayLike, "..."]) -> Float[Array, "..."]:
    """The numbers as members compute with them."""
    return jnp.asarray(x, jnp.float32)


def train_ensemble(
    architecture: Architecture,
    recipe: TrainingRecipe,
    x: Float[Array, "train *pixel channel"],
    y: Float[Array, "train logit"],
    x_eval: Float[Array, "sample *pixel channel"],
    members: int,
    record_steps: Sequence[int],
    seed: int = 0,
    strategy: Strategy = Strategy(),
    randomness: Randomness = "own",
) -> Float[np.ndarray, "time member sample logit"]:
    """Train an ensemble in memory and return every member's logits on `x_eval` at each recorded step.

    With `randomness` "own" it is independent of ensembles that differ in architecture, recipe, training data or seed;
    with "shared" those of one seed have random numbers in common (ensembles/randomness.py).
    Raises DivergedError if there are members whose numbers do not stay finite: nobody could tell them from the others.
    """
    trainer = Trainer(architecture, recipe, members, seed, strategy, None, randomness, fingerprint(x, y))
    moments = train(trainer, (jnp.asarray(x), jnp.asarray(y)), {"x_eval": jnp.asarray(x_eval)}, record_steps)
    records = [(moment.step, moment.record) for moment in moments if moment.record]
    for step, record in records:
        if not record.healthy.all():
            sick = np.flatnonzero(~record.healthy)
            raise DivergedError(
                f"{len(sick)} of {members} members are not finite at step {step} ({listed(sick)}); lower the learning "
                "rate or widen the networks"
            )
    return np.stack([record.logits["x_eval"] for _, record in records])
