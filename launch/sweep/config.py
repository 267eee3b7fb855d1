"""What a file for `widesym sweep` says: one description of many runs."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from widesym.ensembles import Strategy
from widesym.ensembles.checks import check_members
from widesym.ensembles.randomness import Randomness
from widesym.launch.config.own import Modules, modules_named
from widesym.launch.config.specs import made, read_mapping
from widesym.launch.errors import ConfigError
from widesym.launch.sweep.changes import Changes, describe_changes
from widesym.launch.training.based import on_base
from widesym.launch.training.config import TrainConfig, described, with_changes

MOST_POINTS = 100_000
AS_WRITTEN = {"as_written": True}  # values become specs once they are in their place


@dataclass(frozen=True)
class SweepConfig:
    """A base, fields of `widesym train`, and what to change in it.

    `product` has a list of values for each of some fields, all combinations of which are taken; `zip` has lists of one
    length, of which firsts go with firsts; `points` lists changes one by one. Where several are given, all their
    combinations are taken. Fields are named by dotted paths, such as `recipe.learning_rate` or
    `architecture.layers.0.features`.

    A job trains no more than `members_a_job` members: larger ensembles are split into ranges of members, and ensembles
    that differ in numbers alone that each member may have of its own are trained in one as far as they fit. Under one
    `strategy` numbers do not depend on that, nor on what trials would find. Raises ValueError for what is none of this.
    """

    base: Any = field(metadata=AS_WRITTEN)
    product: Mapping[str, Any] = field(default_factory=dict, metadata=AS_WRITTEN)
    zip: Mapping[str, Any] = field(default_factory=dict, metadata=AS_WRITTEN)
    points: Sequence[Any] = field(default=(), metadata=AS_WRITTEN)
    members_a_job: int | None = None
    strategy: Strategy | None = field(default=None, metadata={"spec": Strategy})

    def __post_init__(self):
        if not isinstance(self.base, dict) or not self.base:
            raise ValueError(f"base is {self.base!r}; it must be the fields of a run, or the path of a file with them")
        for name in ("product", "zip"):
            check_lists(name, getattr(self, name))
        if not isinstance(self.points, list | tuple) or not all(is_changes(point) for point in self.points):
            raise ValueError(f"points is {self.points!r}; it must be a list of changes: [{{seed: 1, members: 8}}, …]")
        if len({len(values) for values in self.zip.values()}) > 1:
            lengths = ", ".join(f"{name} has {len(values)}" for name, values in self.zip.items())
            raise ValueError(f"zip has lists of different lengths ({lengths}); firsts go with firsts")
        if self.members_a_job is not None:
            check_whole_members(self.members_a_job)
        if self.strategy is not None and not isinstance(self.strategy, Strategy):
            raise ValueError(f"strategy is {self.strategy!r}; it must be the fields of a Strategy")

    def changes(self) -> Iterator[Changes]:
        """What sets each point apart from the base; raises ValueError where a field is changed twice."""
        products = [[{name: value} for value in values] for name, values in self.product.items()]
        zipped = [dict(zip(self.zip, values, strict=True)) for values in zip(*self.zip.values(), strict=True)]
        factors = [*products, zipped or [{}], [dict(point) for point in self.points] or [{}]]
        for parts in itertools.product(*factors):
            names = [name for part in parts for name in part]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{', '.join(twice)} is changed in several of product, zip and points; in one, please")
            yield {name: value for part in parts for name, value in part.items()}


class Point(NamedTuple):
    """One run of a sweep."""

    changes: Changes
    config: TrainConfig


def read_sweep(path: Path, changes: Mapping[str, Any], of_base: Mapping[str, Any]) -> SweepConfig:
    """The sweep in a YAML file with other values in some fields, and in some of its base, by dotted paths.

    The base, the path of a file or its fields, may have a base as any file for `widesym train` may (`on_base`). Raises
    ConfigError for what is no sweep.
    """
    content = {**read_mapping(path), **changes}
    base = content.get("base")
    if isinstance(base, str | dict):
        fields = {"base": base} if isinstance(base, str) else base
        content = content | {"base": on_base(fields, path)}
    if of_base and isinstance(content.get("base"), dict):
        try:
            content = content | {"base": with_changes(content["base"], of_base)}
        except ConfigError as error:
            raise ConfigError(f"{path}, base: {error}") from None
    return made(SweepConfig, content, str(path))


def points_of(sweep: SweepConfig, where: str, unstated: Randomness = "own") -> list[Point]:
    """All runs, of this randomness where they do not say it.

    Raises ConfigError, which names the run and the field, for what cannot be one.
    """
    try:
        changes = list(itertools.islice(sweep.changes(), MOST_POINTS + 1))
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None
    if len(changes) > MOST_POINTS:
        raise ConfigError(f"{where}: product, zip and points make more than {MOST_POINTS:,} runs; split the sweep")
    points = []
    for number, changed in enumerate(changes):
        place = place_of(where, number, changed)
        try:
            content = with_changes(sweep.base, changed)
        except ConfigError as error:
            raise ConfigError(f"{place}: {error}") from None
        config = made(TrainConfig, content, place, modules=modules_named(content))
        points.append(Point(changed, replace(config, randomness=config.randomness or unstated)))
    return points


def modules_of(points: Iterable[Point]) -> Modules:
    """The modules with classes of people's own that these runs name: their file does, or that it is based on."""
    return modules_named([described(point.config) for point in points])


def place_of(where: str, number: int, changes: Changes) -> str:
    """A run, for messages: its place in the file, counted from 0, and what sets it apart."""
    return f"{where}, run {number + 1}{f' ({describe_changes(changes)})' if changes else ''}"


def is_changes(value: Any) -> bool:
    """Whether these are fields and values."""
    return isinstance(value, dict) and all(isinstance(name, str) and name for name in value)


def check_lists(name: str, value: Any) -> None:
    """Raise ValueError for what is no mapping of fields to lists of values."""
    if not is_changes(value):
        raise ValueError(f"{name} is {value!r}; it must be fields with a list of values each: {{seed: [0, 1]}}")
    for path, values in value.items():
        if not isinstance(values, list | tuple) or not values:
            raise ValueError(f"{name}: {path} is {values!r}; it must be a list of values, one at least")


def check_whole_members(members: Any) -> None:
    """Raise ValueError for what is no number of members, under this field's name."""
    try:
        check_members(members)
    except ValueError:
        raise ValueError(f"members_a_job is {members!r}; it must be a whole number, at least 1") from None
