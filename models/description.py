"""Specs and configurations as plain JSON values, for run directories and messages."""

import dataclasses
from numbers import Integral
from typing import Any


def describe(value: Any) -> Any:
    """Dataclasses as {"type": class name, fields…}, sequences as lists, plain values as they are, all the way down.

    Raises TypeError for anything else: what cannot be written down cannot be checked on resumption.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: describe(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"type": type(value).__name__, **fields}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, bool | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} has no JSON description")
