"""The executors as options of a command: which one, and what each takes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, make_dataclass
from typing import TYPE_CHECKING, Annotated

import tyro

from widesym.launch.lazily import loaded
from widesym.launch.sweep.executors import EXECUTORS
from widesym.launch.sweep.executors.base import Executor

Kinds = Mapping[str, type[Executor]]  # by name

KINDS: Kinds = loaded(EXECUTORS)


if TYPE_CHECKING:
    Name = str
else:
    Name = tyro.extras.literal_type_from_choices(KINDS)  # of the executors, as tyro needs to know them


def described(kinds: Kinds) -> str:
    """What each executor does, as one sentence for help."""
    first, *others, last = (kind.what for kind in kinds.values())
    return "; ".join([first[0].upper() + first[1:], *others, f"or {last}."])


@dataclass(frozen=True)
class ExecutorOptions:
    """All executors, each with the options that it takes, in a field of its name."""

    def of(self, name: str) -> Executor:
        """The executor of this name."""
        return getattr(self, _field(name))


def executor_options(kinds: Kinds) -> Callable[..., ExecutorOptions]:
    """The class that tyro makes of the options of these executors."""
    options = [
        (_field(name), Annotated[kind, tyro.conf.arg(name=kind.prefix)], field(default_factory=kind))
        for name, kind in kinds.items()
    ]
    return make_dataclass("AllExecutors", options, bases=(ExecutorOptions,), frozen=True)


def _field(name: str) -> str:
    return name.replace("-", "_")
