"""Checks of options that recipes share."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def check_limits(recipe: Any, limits: Mapping[str, tuple[int, int]]) -> None:
    """Raise ValueError for an option, by its field's name, that is not between its limits."""
    for name, (low, high) in limits.items():
        if not low <= getattr(recipe, name) <= high:
            raise ValueError(f"--{name} is {getattr(recipe, name)}; it must be between {low} and {high}")


def check_output(output: Path) -> None:
    """Raise ValueError where nothing can be written to --output, existing or not, and where it is somebody's home that
    no shell has put in place.
    """
    if output.parts and output.parts[0].startswith("~") and not Path(output.parts[0]).exists():
        raise ValueError(
            f"--output is {output}, in which no shell has put a home in place of {output.parts[0]}; write it as a word "
            f"of its own (--output {output}), or ./{output} for a folder of that name"
        )
    there = next(path for path in (output.absolute(), *output.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise ValueError(f"--output is {output}, but {there} is not a directory that can be written to")
