"""Specs and configurations as plain JSON values, for run directories and messages."""

import dataclasses
import importlib
import re
from collections.abc import Callable
from functools import reduce
from numbers import Integral, Real
from typing import Any

OURS = "widesym"
# Metadata of a field that came later: it is left out where it has its default, so that what earlier versions could
# describe is described as they did. Random numbers follow from descriptions, and stored ones are compared.
LATER = {"later": True}


def describe(value: Any) -> Any:
    """Dataclasses as {"type": name of the class, fields…}, sequences as lists, functions by the name to import them by,
    plain values as they are, all the way down. Classes of this package are named as they are, others `module:Class`.

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
        return {"type": class_name(type(value)), **said}
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


def class_name(kind: type) -> str:
    """The name of a class in descriptions: "Conv" of one of this package's, "mymodule:Softplus" of anybody else's."""
    is_ours = kind.__module__.partition(".")[0] == OURS
    return kind.__name__ if is_ours else f"{kind.__module__}:{kind.__qualname__}"


def without_modules(description: Any) -> Any:
    """A description with classes by their own names alone, as numbers, and what earlier versions wrote, know them."""
    if isinstance(description, list):
        return [without_modules(each) for each in description]
    if not isinstance(description, dict):
        return description
    bare = {name: without_modules(each) for name, each in description.items()}
    named = bare.get("type")
    return {**bare, "type": re.split("[:.]", named)[-1]} if isinstance(named, str) and ":" in named else bare


def as_text(description: Any) -> str:
    """A description as the spec would be printed: `Dense(features=8, w_std=1.0)`."""
    if isinstance(description, dict):
        fields = ", ".join(f"{name}={as_text(each)}" for name, each in description.items() if name != "type")
        return f"{description.get('type', '')}({fields})"
    if isinstance(description, list):
        return f"[{', '.join(map(as_text, description))}]"
    return repr(description)


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
