"""Single values of a configuration replaced: {"recipe.learning_rate": 0.5, "architecture.layers.0.features": 64}."""

from collections.abc import Mapping, Sequence
from typing import Any

from widesym.launch.errors import ConfigError


def overridden(content: dict, changes: Mapping[str, Any]) -> dict:
    """The content of a file with other values at these dotted paths, numbers in which are places in lists.

    Wholes are replaced before parts of them; mappings that are not there yet are made. Raises ConfigError for paths
    that lead through what has no such parts. `content` stays as it is.
    """
    for path in sorted(changes, key=lambda path: path.count(".")):
        content = _with(content, path, path.split("."), 0, changes[path])
    return content


def _with(whole: Any, path: str, keys: Sequence[str], depth: int, value: Any) -> Any:
    """The whole with `value` at keys[depth:] of it."""
    if depth == len(keys):
        return value
    key = keys[depth]
    if isinstance(whole, dict) and key:
        return whole | {key: _with(whole.get(key, {}), path, keys, depth + 1, value)}
    if isinstance(whole, list | tuple) and key.isdecimal() and int(key) < len(whole):
        return [_with(each, path, keys, depth + 1, value) if at == int(key) else each for at, each in enumerate(whole)]
    raise ConfigError(f"{path} cannot be set: {_no_part(whole, key, '.'.join(keys[:depth]))}")


def _no_part(whole: Any, key: str, where: str) -> str:
    """Why there is no such part."""
    if isinstance(whole, list | tuple):
        numbers = f"numbers 0 to {len(whole) - 1} are there" if whole else "it is empty"
        return f"{where} is a list of {len(whole)}, and {key!r} is no place in it; {numbers}"
    if isinstance(whole, dict):
        return "one of its names is empty; write such as recipe.learning_rate"
    return f"{where} is {whole!r}, which has no part {key!r}"
