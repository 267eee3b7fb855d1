"""What an earlier version has begun goes on with the random numbers that it has.

Runs of versions before there was a choice are "shared" (ensembles/randomness.py): no directory of theirs says so, and
no description that they were made by does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from widesym.ensembles.randomness import Randomness
from widesym.launch.console import print_plain
from widesym.launch.runs.directory import RANDOMNESS_SCHEMA, read_description

DEFAULT: Randomness = "own"
TOLD = (
    "begun by an earlier version, whose runs of one seed share random numbers; what does not say its randomness is "
    "'shared' here, so that it goes on with the same numbers (docs/training.md)"
)


def is_of_earlier(path: Path) -> bool:
    """Whether a directory was begun by a version without a choice; raises RunDirectoryError as `read_description`."""
    try:
        return read_description(path).get("schema", 1) < RANDOMNESS_SCHEMA
    except FileNotFoundError:
        return False


def unstated(path: Path) -> Randomness:
    """The randomness of a run that goes on or begins in `path`, where its description does not say it."""
    return "shared" if is_of_earlier(path) else DEFAULT


def unstated_told(path: Path, console: Console) -> Randomness:
    """The same; says so where that is not what runs have by default."""
    found = unstated(path)
    if found != DEFAULT:
        print_plain(console, f"{path.name}: {TOLD}")
    return found


def as_earlier(config: Mapping[str, Any]) -> dict[str, Any]:
    """A run's configuration as what earlier versions wrote down, if it could be theirs, so that what they named or
    computed by that is found.
    """
    return {name: value for name, value in config.items() if (name, value) != ("randomness", "shared")}
