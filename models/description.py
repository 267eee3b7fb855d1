"""Specs and configurations as plain JSON values, for run directories and messages."""

import dataclasses
import importlib
from collections.abc import Callable
from functools import reduce
from numbers import Integral, Real
from typing import Any

# Metadata of a field that came later: it is left out where it has its default, so that what earlier versions could
# describe is described as they did. Random numbers follow from descriptions, and stored ones are compared.
LATER = {"later": True}


def describe(value: Any) -> Any:
    """Dataclasses as {"type": class name, fields…}, sequences as lists, functions by the name to import them by, plain
    values as they are, all the way down.

    Raises ValueError for functions that have no such name or are a script's own, and TypeError for anything else: what
    cannot be written down cannot be checked on resumption.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        values = {field: getattr(value, field.name) for field in dataclasses.fields(value)}
        said = {
            field.name: describe(each)
            for field, each in values.items()
            if not (field.metadata.get("later") and each == field.default)
        }
        return {"type": type(value).__name__, **said}
    if isinstance(value, list | tuple):
        return [describe(item) for item in value]
    if isinstance(value, dict):
        return {str(key): describe(item) for key, item in value.items()}
    if isinstance(value, Integral) and not isinstance(value, bool):
        return int(value)
    if value is None or isinstance(value, bool | float | str):
        return value
    if isinstance(value, Real):  # such as NumPy's
        return float(value)
    if callable(value) and not isinstance(value, type):
        name = importable_name(value)
        if name.startswith("__main__."):  # which another script's would be, too
            raise ValueError(f"{name} belongs to the script being run; move it into a module, and import it from there")
        return name
    raise TypeError(f"{value!r} of type {type(value).__name__} has no JSON description")


def importable_name(function: Callable[..., Any]) -> str:
    """The function's "module.qualname"; raises ValueError where importing that does not give this very function."""
    module, path = (getattr(function, name, None) for name in ("__module__", "__qualname__"))
    try:
        found = reduce(getattr, str(path).split("."), importlib.import_module(str(module)))
    except (ImportError, AttributeError):
        found = None
    if found is not function or module is None:
        raise ValueError(
            f"{function!r} cannot be imported by a name that says what it is; define it with def at the top level of a "
            "module, and pass that function (not a lambda, partial, method or a function inside another)"
        )
    return f"{module}.{path}"
