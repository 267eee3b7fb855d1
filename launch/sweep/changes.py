"""What sets the runs of a sweep apart, and how people are told of it."""

from collections.abc import Collection
from typing import Any

Changes = dict[str, Any]  # dotted paths of fields, and their values

LONGEST = 24  # characters of a value, for people


def describe_changes(changes: Changes) -> str:
    """What sets a run apart, for people: last parts of fields, and short values."""
    names = short_names(changes)
    return ", ".join(f"{names[field]}={short(value)}" for field, value in changes.items())


def short_names(fields: Collection[str]) -> dict[str, str]:
    """The fields' last parts, as many of each as it takes to tell it from the others."""
    parts = {field: field.split(".") for field in fields}

    def shortest(field: str) -> str:
        others = [parts[other] for other in fields if other != field]
        lengths = range(1, len(parts[field]) + 1)
        told_apart = (n for n in lengths if all(other[-n:] != parts[field][-n:] for other in others))
        return ".".join(parts[field][-next(told_apart, len(parts[field])) :])

    return {field: shortest(field) for field in fields}


def short(value: Any) -> str:
    """A value on little space: of specs their first parts, of lists their first item."""
    if isinstance(value, dict) and "type" in value:
        rest = ", ".join(short(each) for name, each in value.items() if name != "type")
        return f"{value['type']}({cut(rest)})"
    if isinstance(value, list | tuple) and value and isinstance(value[0], dict):
        return short(value[0]) + (", …" if len(value) > 1 else "")
    return cut(str(value))


def cut(text: str) -> str:
    """The beginning of what is long."""
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
