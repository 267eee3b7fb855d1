"""The strategy of a run, measured once and kept: a resumed run that used another one would round differently."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import jax

from widesym.ensembles.batches import Data
from widesym.ensembles.files import read_text
from widesym.ensembles.sharding import on_first
from widesym.ensembles.strategy import Strategy
from widesym.ensembles.trainer import Trainer
from widesym.ensembles.trial import measured_strategy
from widesym.launch.runs.files import write_json
from widesym.launch.runs.paths import RunPaths
from widesym.models.description import describe


def strategy_for(
    trainer: Trainer, data: Data, steps: int, path: Path, given: Strategy | None, say: Callable[[str], None]
) -> Strategy:
    """The given strategy, or the one that `path` has for such a device, or the fastest of a trial; `path` keeps it."""
    kept = stored_strategy(RunPaths(path).strategy)
    if kept is not None and given in (None, kept):
        return kept
    if kept is not None:
        say(f"the strategy was {kept} before; from here on, numbers differ by rounding")
    strategy, trials = given, ()
    if strategy is None:
        strategy, trials = measured_strategy(trainer, data, steps, lambda trial: say(f"trial: {trial}"))
        at_once = f"{strategy.members_at_once} members at once on each device"
        say(f"strategy: {at_once}, convolutions by {strategy.formulation}")
    content = {"device": device(), "strategy": describe(strategy), "trials": describe(trials)}
    on_first(partial(write_json, RunPaths(path).strategy, content))
    return strategy


def stored_strategy(file: Path) -> Strategy | None:
    """What an earlier start has found on the same kind of device, or None."""
    try:
        content = json.loads(read_text(file))
        fields = {name: value for name, value in content["strategy"].items() if name != "type"}
        return Strategy(**fields) if content["device"] == device() else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):  # none yet, or not one of ours: measure
        return None


def device() -> dict[str, str]:
    """What a trial's result holds for."""
    return {"platform": jax.devices()[0].platform, "kind": jax.devices()[0].device_kind}
