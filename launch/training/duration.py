"""How long a run will take on this machine, from a short trial with few of its members; nothing is written.

A run compiles its step for each strategy that it tries and for the one it takes, finds whether its learning rate is
stable (about as long as two compilations), trains all members, and records. It may find a faster strategy than the one
measured here.
"""

import time
import typing
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import jax
import jax.numpy as jnp

from widesym.ensembles.strategy import Strategy
from widesym.ensembles.trainer import Trainer
from widesym.ensembles.trial import LADDER, SECONDS_A_TRIAL, WORTH, Trial, timed_trial
from widesym.launch.runs.run import Run
from widesym.launch.training.stability import is_covered
from widesym.models.correlation import Formulation

MEMBERS_AT_ONCE = 16  # on a device that is no CPU, where one alone leaves most of it idle
STABILITY = 2  # compilations that finding the largest stable learning rate takes as long as
UNITS = {"d": 86400, "h": 3600, "min": 60, "s": 1}


class RecordTime(NamedTuple):
    """The seconds that compiling the record of a step takes, and those that each member's record then takes."""

    compile_seconds: float
    seconds_a_member: float


class PredictedTime(NamedTuple):
    """The seconds that a run takes, and the trial from which they are predicted."""

    seconds: float
    trial: Trial
    members: int  # of the trial

    def __str__(self) -> str:
        where = f"{jax.default_backend()}, {jax.device_count()} device{'s' * (jax.device_count() > 1)}"
        return (
            f"about {duration_text(self.seconds)} on this machine ({where}), from a trial of {self.members} members: "
            f"{1 / self.trial.seconds_a_member_step:.4g} member-steps/s, compiled in {self.trial.compile_seconds:.1f} s"
        )


def predicted_time(run: Run) -> PredictedTime:
    """How long `run_ensemble` will take, writing left out; raises JaxRuntimeError where memory is short."""
    trainer, steps = run.trainer(Strategy()), run.record_steps[-1]
    share = -(-run.members // jax.device_count())
    at_once = 1 if jax.default_backend() == "cpu" else MEMBERS_AT_ONCE
    strategy = Strategy(at_once).on(jax.default_backend(), share)
    trial = timed_trial(trainer, strategy, run.data)
    members = min(run.members, jax.device_count() * (strategy.members_at_once or 1))
    record = record_time(run, replace(trainer.of_first(members), strategy=strategy))
    places, records = replace(trainer, strategy=strategy).placement.places, len(run.record_steps)
    training = places * (steps * trial.seconds_a_member_step + records * record.seconds_a_member)
    trials = number_of_trials(trainer, run, trial, share)
    compilations = trials + 1 + (STABILITY if is_covered(run.recipe) and steps else 0)
    compiling = compilations * trial.compile_seconds + record.compile_seconds
    return PredictedTime(training + compiling + trials * 3 * SECONDS_A_TRIAL, trial, members)


def number_of_trials(trainer: Trainer, run: Run, trial: Trial, share: int) -> int:
    """Trials that `measured_strategy` makes, where more members at once are not faster."""
    if trial.seconds_a_member_step * run.members * run.record_steps[-1] <= WORTH * trial.compile_seconds:
        return 1
    convolves = trainer.architecture.convolves(run.data[0].shape[1:])
    others = len(typing.get_args(Formulation)) - 1 if convolves else 0
    return 1 + sum(rung <= share for rung in (LADDER, LADDER**2)) + others


def record_time(run: Run, trainer: Trainer) -> RecordTime:
    """What logits on all evaluation sets and the snapshots take, by the members of this trainer."""
    state = trainer.init(run.data[0].shape[1:])
    inputs = jnp.concatenate(list(run.evaluation.values()))

    def take() -> None:
        jax.block_until_ready(trainer.logits(state, inputs))
        for kind in run.snapshots:
            kind.take(trainer, state, run.data[0])

    first, later = seconds_of(take), seconds_of(take)
    return RecordTime(max(first - later, 0.0), later / trainer.members)


def seconds_of(work: Callable[[], None]) -> float:
    """Wall time of a call."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def duration_text(seconds: float) -> str:
    """A duration in its two largest units: 2 min 10 s, 3 h 5 min; at least 1 s."""
    left, parts = max(1, round(seconds)), []
    for unit, size in UNITS.items():
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}" * bool(count))
    return " ".join(part for part in parts[:2] if part)
