"""What is trained at once: ensembles whole, in ranges of members, or several that differ in members' numbers alone."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, cast

import numpy as np

from widesym.ensembles.hyperparameters import PerMember, numbers_of
from widesym.ensembles.recipe import TrainingRecipe
from widesym.launch.runs.begun import as_earlier
from widesym.launch.training.config import TrainConfig, described


class SweepRun(NamedTuple):
    """A run of a sweep, by the digest of all that its numbers depend on (`Run.config`)."""

    name: str
    config: TrainConfig


class Piece(NamedTuple):
    """Members of a run, from `first` on, that one job trains."""

    run: str
    first: int
    members: int


class Job(NamedTuple):
    """An ensemble made of pieces in this order, each a range of the members of a run."""

    config: TrainConfig
    pieces: tuple[Piece, ...]


def digest(config: Mapping[str, Any]) -> str:
    """A name for what has this configuration (of a `Run`), and nothing else has.

    Data are what they hold, in their order; where they were found is left out. So is the randomness of "shared" runs:
    they have the names, and the numbers, that earlier versions gave them, which knew no other.
    """
    data = [[name, each["samples"], each["fingerprint"]] for name, each in config["data"].items()]
    return digest_of({**as_earlier(config), "data": data})


def digest_of_part(config: Mapping[str, Any]) -> str:
    """The same for a job that is not one whole run, which no run is called by."""
    return digest_of({"part": digest(config)})


def digest_of(content: Mapping[str, Any]) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of JSON values, whatever the order of their keys."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def packed(entries: Sequence[SweepRun], most: int | None) -> list[Job]:
    """Jobs that train all of these runs, with no more than `most` members each."""
    by_kind: dict[str, list[SweepRun]] = {}
    for entry in entries:
        by_kind.setdefault(kind(entry.config), []).append(entry)
    return [job for alike in by_kind.values() for job in _packed_alike(alike, most)]


def kind(config: TrainConfig) -> str:
    """The same for configurations that differ in numbers alone that members may have of their own, and in members."""
    content = described(config)
    recipe = dict(content["recipe"])
    optimizer = dict(recipe["optimizer"])
    for name in numbers_of(config.recipe.optimizer):
        del optimizer[name]
    del recipe["learning_rate"]
    return json.dumps(content | {"recipe": recipe | {"optimizer": optimizer}, "members": None}, sort_keys=True)


def program(config: TrainConfig) -> str:
    """The same for configurations that run the same program: of one kind, but for where random numbers come from."""
    content, arguments = json.loads(kind(config)), ("seed", "randomness", "member_numbers")
    return json.dumps({name: value for name, value in content.items() if name not in arguments})


def _packed_alike(entries: Sequence[SweepRun], most: int | None) -> Iterable[Job]:
    """Ranges of what is too large for one job; the rest together, as many as fit, in their order."""
    together: list[SweepRun] = []
    for entry in entries:
        if most is not None and entry.config.members > most:
            yield from _ranges(entry, most)
        elif entry.config.member_numbers is not None:
            yield whole_run_job(entry)
        else:
            if most is not None and sum(each.config.members for each in [*together, entry]) > most:
                yield _folded(together)
                together = []
            together.append(entry)
    if together:
        yield _folded(together)


def whole_run_job(entry: SweepRun) -> Job:
    """The run as it is."""
    return Job(entry.config, (Piece(entry.name, 0, entry.config.members),))


def _ranges(entry: SweepRun, most: int) -> Iterable[Job]:
    """The run's members in ranges of at most so many, as even as they can be."""
    config, parts = entry.config, -(-entry.config.members // most)
    everyone = config.member_numbers or tuple(range(config.members))
    for members in np.array_split(np.arange(config.members), parts):
        first, last = int(members[0]), int(members[-1]) + 1
        recipe = _with_numbers(config.recipe, {name: _cut(value, first, last) for name, value in _numbers(config)})
        part = replace(config, members=last - first, member_numbers=everyone[first:last], recipe=recipe)
        yield Job(part, (Piece(entry.name, first, last - first),))


def _folded(entries: Sequence[SweepRun]) -> Job:
    """The runs side by side in one ensemble; one alone is what it is."""
    if len(entries) == 1:
        return whole_run_job(entries[0])
    configs = [entry.config for entry in entries]
    values = [dict(_numbers(config)) for config in configs]
    recipe = _with_numbers(configs[0].recipe, {name: _joined(name, values, configs) for name in values[0]})
    numbers = tuple(number for config in configs for number in range(config.members))
    folded = replace(configs[0], members=len(numbers), member_numbers=numbers, recipe=recipe)
    return Job(folded, tuple(Piece(entry.name, 0, entry.config.members) for entry in entries))


def _numbers(config: TrainConfig) -> list[tuple[str, PerMember]]:
    """The numbers that may differ between members, by name."""
    return [("learning_rate", config.recipe.learning_rate), *numbers_of(config.recipe.optimizer).items()]


def _joined(name: str, values: Sequence[Mapping[str, PerMember]], configs: Sequence[TrainConfig]) -> PerMember:
    """One number where all have the same, else one for each member."""
    found = [each[name] for each in values]
    if not any(isinstance(value, tuple) for value in found) and len(set(found)) == 1:
        return found[0]
    lists = [
        value if isinstance(value, tuple) else (value,) * config.members
        for value, config in zip(found, configs, strict=True)
    ]
    return tuple(number for numbers in lists for number in numbers)


def _cut(value: PerMember, first: int, last: int) -> PerMember:
    return value[first:last] if isinstance(value, tuple) else value


def _with_numbers(recipe: TrainingRecipe, numbers: Mapping[str, PerMember]) -> TrainingRecipe:
    """The recipe with other numbers."""
    of_optimizer = {name: value for name, value in numbers.items() if name != "learning_rate"}
    optimizer = replace(cast(Any, recipe.optimizer), **of_optimizer)
    return replace(recipe, learning_rate=numbers["learning_rate"], optimizer=optimizer)
