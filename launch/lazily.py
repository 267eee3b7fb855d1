"""Classes and functions known by the name of their module, which is imported when they are asked for."""

import importlib
from collections.abc import Mapping
from typing import Any, NamedTuple


class Lazily(NamedTuple):
    """A class or function `name` in `module`: most modules of commands take seconds to import, and one command needs
    one. One that is `light` neither computes anything nor imports JAX.
    """

    module: str
    name: str
    light: bool = False

    def load(self) -> Any:
        """It, after importing its module."""
        return getattr(importlib.import_module(self.module), self.name)


def loaded(choices: Mapping[str, Lazily]) -> dict[str, Any]:
    """All of a table, by the names that people call them by."""
    return {name: choice.load() for name, choice in choices.items()}
