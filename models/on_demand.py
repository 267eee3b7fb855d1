"""Packages whose names are imported when they are asked for, so that whoever needs files or errors alone need not wait
for JAX.

Such a package imports its names `if TYPE_CHECKING:`, for people and their tools; the same lines say here what is where.
"""

import ast
import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


def on_demand(package: str, file: str) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """`__getattr__` and `__dir__` of the package in `file`, from what it imports `if TYPE_CHECKING:`."""
    homes = homes_in(Path(file).read_text(encoding="utf-8"))

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(homes[name]), name)
        setattr(sys.modules[package], name, found)  # the next time it is there
        return found

    return find, lambda: sorted({*vars(sys.modules[package]), *homes})


def homes_in(source: str) -> dict[str, str]:
    """The module of each name that is imported `if TYPE_CHECKING:`."""
    blocks = [node for node in ast.parse(source).body if isinstance(node, ast.If) and _is_for_checkers(node.test)]
    imports = [node for block in blocks for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.name: str(node.module) for node in imports for alias in node.names}


def _is_for_checkers(test: ast.expr) -> bool:
    return isinstance(test, ast.Name) and test.id == "TYPE_CHECKING"
