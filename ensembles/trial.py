"""The fastest way to share a device among members, found by a short measured trial."""

import math
import os
import time
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace

import jax
import numpy as np

from widesym.ensembles.batches import Data
from widesym.ensembles.sharding import agreed
from widesym.ensembles.strategy import Strategy
from widesym.ensembles.trainer import Trainer
from widesym.models.correlation import Formulation
from widesym.models.numerics import fixed_numerics

MEMORY_SHARE = 0.8  # of a device's memory, for members at work
SECONDS_A_TRIAL = 0.3  # at most, unless one step takes longer
LADDER = 4  # from one number of members at once to the next
WORTH = 10.0  # a candidate is tried if the whole run would last this many times longer than the slowest trial did
GAIN = 1.05  # a later candidate must be faster by this factor: it takes more memory, or is just lucky


@dataclass(frozen=True)
class Trial:
    """What a strategy was measured to take."""

    strategy: Strategy
    seconds_a_member_step: float  # wall time over members and steps, all devices at work
    compile_seconds: float
    bytes_a_device: int  # at work, parameters included

    def __str__(self) -> str:
        return (
            f"{self.strategy.members_at_once} at once, {self.strategy.formulation}: "
            f"{1 / self.seconds_a_member_step:.4g} member-steps/s, {self.bytes_a_device / 2**20:.0f} MiB, "
            f"compiled in {self.compile_seconds:.1f} s"
        )


def measured_strategy(
    trainer: Trainer, data: Data, steps: int, tell: Callable[[Trial], None] = lambda trial: None
) -> tuple[Strategy, tuple[Trial, ...]]:
    """The fastest strategy found for `steps` steps of training, and the trials; `tell` hears of each at once.

    Ever more members at once, until that is no faster or does not fit in memory; then other formulations. No trial is
    made that costs more than it could gain: what is a short run after the first trial keeps its strategy.
    """
    share = -(-trainer.members // jax.device_count())
    usual = Strategy(1).on(jax.default_backend(), share)
    trials = [_told(timed_trial(trainer, usual, data), tell)]
    numbers = [min(LADDER**k, share) for k in range(1, 1 + int(np.ceil(np.log(share) / np.log(LADDER))))]
    # A call holds the state of all members, and the one that it makes of it.
    room = free_memory() - 2 * state_bytes(trainer, data[0].shape[1:]) / jax.device_count()
    for number in numbers:
        if not _worthwhile(trials, trainer, steps) or trials[-1].bytes_a_device * LADDER > room:
            break
        trial = _attempted(trainer, replace(usual, members_at_once=number), data)
        if trial is None:
            break
        trials.append(_told(trial, tell))
        if _best(trials) is not trials[-1]:
            break
    others = [name for name in typing.get_args(Formulation) if name != usual.formulation]
    for formulation in others if trainer.architecture.convolves(data[0].shape[1:]) else ():
        if _worthwhile(trials, trainer, steps):
            trial = _attempted(trainer, replace(_best(trials).strategy, formulation=formulation), data)
            trials += [_told(trial, tell)] if trial else []
    return _best(trials).strategy, tuple(trials)


@fixed_numerics()
def timed_trial(trainer: Trainer, strategy: Strategy, data: Data) -> Trial:
    """A few steps of as many members as are at work at once on all devices, compiled, warmed up and timed."""
    members = min(trainer.members, jax.device_count() * (strategy.members_at_once or 1))
    small = replace(trainer.of_first(members), strategy=strategy)
    data = small.placement.everywhere(data[0]), small.placement.everywhere(data[1])
    state = small.init(data[0].shape[1:])
    began = time.perf_counter()
    program = small.compiled_advance(state, data)
    compiled = time.perf_counter() - began

    def seconds_of(steps: int) -> float:
        began = time.perf_counter()
        jax.block_until_ready(program(*small.arguments(state, data, 0, steps)))
        return time.perf_counter() - began

    steps = max(1, min(100, int(SECONDS_A_TRIAL / seconds_of(1))))
    seconds = min(seconds_of(steps), seconds_of(steps)) / (steps * members)
    memory = program.memory_analysis()
    parts = ("temp_size_in_bytes", "argument_size_in_bytes", "output_size_in_bytes")
    used = sum(getattr(memory, part, 0) for part in parts)  # 0 where a backend cannot say
    return Trial(strategy, agreed(seconds), agreed(compiled), agreed(used))


def _attempted(trainer: Trainer, strategy: Strategy, data: Data) -> Trial | None:
    """A trial, or None where the device cannot do it: there is another strategy that works."""
    try:
        return timed_trial(trainer, strategy, data)
    except jax.errors.JaxRuntimeError:
        return None


def state_bytes(trainer: Trainer, input_shape: tuple[int, ...]) -> int:
    """Size of the ensemble's state."""
    shapes = jax.tree.leaves(jax.eval_shape(lambda: trainer.init(input_shape)))
    return sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in shapes)


def free_memory() -> float:
    """Bytes that members at work on one device may take."""
    device = jax.local_devices()[0]
    limit = (device.memory_stats() or {}).get("bytes_limit")
    if limit is None:  # a CPU device: the machine's memory, shared by its devices
        limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / jax.local_device_count()
    return agreed(MEMORY_SHARE * limit)


def _told(trial: Trial, tell: Callable[[Trial], None]) -> Trial:
    tell(trial)
    return trial


def _best(trials: list[Trial]) -> Trial:
    best = trials[0]
    for trial in trials[1:]:
        if trial.seconds_a_member_step * GAIN < best.seconds_a_member_step:
            best = trial
    return best


def _worthwhile(trials: list[Trial], trainer: Trainer, steps: int) -> bool:
    run = steps * trainer.members * min(trial.seconds_a_member_step for trial in trials)
    return run > WORTH * max(trial.compile_seconds for trial in trials)
