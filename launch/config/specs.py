"""Configuration files: YAML in which specs are mappings that name their class, as run directories describe them.

    architecture: {type: Architecture, layers: [{type: Conv, features: 8, size: 3}, {type: Relu}, …]}

Also C4, D4, … for groups, names of the zoo for architectures and names or paths for data sets (`find_source`). Where a
field is always of one class, its dataclass says so by `field(metadata={"spec": TrainingRecipe})`, and files need not;
what is to stay as it is written is a `field(metadata={"as_written": True})`. Classes and functions of people's own are
found in `modules` that the caller allows (config/own.py).
"""

import dataclasses
import difflib
import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from widesym import ensembles, models
from widesym.ensembles import augmentation, data
from widesym.ensembles.data import Source, Splits, find_source
from widesym.ensembles.files import read_whole
from widesym.launch.config.own import FUNCTIONS, Modules, class_among, is_own, own_class, own_function
from widesym.launch.config.snapshots import EmpiricalNtk, Parameters
from widesym.launch.config.yaml import parsed
from widesym.launch.errors import ConfigError
from widesym.models import Architecture, cyclic, dihedral
from widesym.models.checks import check_positive, check_seed
from widesym.models.width import at_width
from widesym.models.zoo import MODELS

Config = TypeVar("Config")
MOST_YAML = 2**24  # bytes
OF_EARLIER = ", and in a run of an earlier version it is found with --import MODULE"


def read_mapping(path: Path) -> dict[Any, Any]:
    """The fields and values in a YAML file, as they are written; raises ConfigError for what holds none."""
    try:
        content = parsed(read_whole(path, MOST_YAML).decode())
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise ConfigError(f"{path} is not YAML: {error}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} holds {type(content).__name__}, not fields with values (name: value)")
    return content


def built(value: Any, where: str, modules: Modules = ()) -> Any:
    """Mappings with a `type` as instances of that spec, sequences as tuples, all the way down; the rest as it is.

    The inverse of `describe`, where classes and functions are this package's or of `modules`. Raises ConfigError, which
    begins with `where`, for what cannot be made.
    """
    if isinstance(value, list):
        return tuple(built(item, f"{where}[{index}]", modules) for index, item in enumerate(value))
    if not isinstance(value, dict):
        return value
    if "type" not in value:
        raise ConfigError(f"{where} has the fields {', '.join(map(str, value))} but no type")
    fields = {name: field for name, field in value.items() if name != "type"}
    return made(class_of(value["type"], modules, f"{where}.type"), fields, where, f" to type {value['type']}", modules)


def class_of(name: Any, modules: Modules, where: str) -> type:
    """The spec of this name, `module:Class` if it is somebody's own; raises ConfigError where there is none."""
    if is_own(name):
        return own_class(name, modules, where)
    if isinstance(name, str) and name not in spec_types() and (found := class_among(name, modules, where)):
        return found
    try:
        return named(name, spec_types(), where)
    except ConfigError as error:
        raise ConfigError(
            f"{error}; a class of your own is module:Class{OF_EARLIER if modules == () else ''}"
        ) from None


def made(
    config: Callable[..., Config], fields: Mapping[Any, Any], where: str, to: str = "", modules: Modules = ()
) -> Config:
    """An instance of a dataclass; raises ConfigError for fields that are unknown (`to` what), missing or refused."""
    known = {field.name: field for field in dataclasses.fields(config) if field.init}  # pyright: ignore[reportArgumentType]
    for name in fields:
        named(name, known, f"{where}, field", to)
    required = {dataclasses.MISSING}
    missing = [
        name
        for name, field in known.items()
        if name not in fields and {field.default, field.default_factory} <= required
    ]
    if missing:
        raise ConfigError(f"{where} lacks {', '.join(missing)}")
    values = {
        name: value
        if known[name].metadata.get("as_written")
        else field_value(name, value, f"{where}, {name}", known[name].metadata.get("spec"), modules)
        for name, value in fields.items()
    }
    try:
        return config(**values)
    except (ValueError, TypeError, OverflowError) as error:
        raise ConfigError(f"{where}: {error}") from None


def field_value(
    name: str, value: Any, where: str, spec: Callable[..., Any] | None = None, modules: Modules = ()
) -> Any:
    """The value of a field, short forms of groups, functions by their names, and mappings that `spec` makes the type
    of, included.
    """
    if spec is not None and isinstance(value, dict) and "type" not in value:
        return made(spec, value, where, modules=modules)
    if name in FUNCTIONS and isinstance(value, str) and "." in value:
        return own_function(value, modules, where)
    if name == "group" and isinstance(value, str):
        if not re.fullmatch(r"[CD]\d{1,9}", value):
            raise ConfigError(f"{where} is {value!r}; groups are C1, C2, … and D1, D2, …")
        try:
            return (cyclic if value[0] == "C" else dihedral)(int(value[1:]))
        except ValueError as error:
            raise ConfigError(f"{where}: {error}") from None
    return built(value, where, modules)


def named(name: Any, choices: Mapping[str, Any], where: str, to: str = "") -> Any:
    """What has that name; raises ConfigError, with the names that come close, where nothing has."""
    if isinstance(name, str) and name in choices:
        return choices[name]
    close = difflib.get_close_matches(str(name), choices)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(sorted(choices)) or 'none'}"
    raise ConfigError(f"{where} {name!r} is unknown{to}; {hint}")


@functools.cache
def spec_types() -> dict[str, type]:
    """The specs that a file can name: layers, groups, architectures, data sources, training recipes and their parts,
    snapshots.
    """
    modules = (models, ensembles, data, augmentation)
    exported = [getattr(module, name) for module in modules for name in module.__all__] + [Parameters, EmpiricalNtk]
    return {each.__name__: each for each in exported if isinstance(each, type) and dataclasses.is_dataclass(each)}


def architecture_of(value: Any, width: int | None = None) -> Architecture:
    """An architecture, or the one that has this name in the zoo, at its own width unless another is given (`at_width`).

    Raises ConfigError for what is neither, and ValueError for widths that it cannot have.
    """
    if isinstance(value, Architecture):
        return value if width is None else at_width(value, width)
    model = named(value, {model.name: model for model in MODELS}, "architecture")
    return model.make(model.width if width is None else width)


def source_of(value: Any) -> Source:
    """A source, or the one that `find_source` finds; raises ConfigError for what is neither."""
    if isinstance(value, str):
        return find_source(value)
    if isinstance(value, Source):
        return value
    raise ConfigError(f"data is {value!r}; give a name (`widesym data list`), a path, or a source with its type")


def splits_of(data: Any, train: int | None, test: int | None, seed: int | None) -> Splits:
    """The data of a source, or of its name; numbers of samples and seed, if given, replace the source's.

    Raises DataError where they cannot be had.
    """
    source = source_of(data)
    asked = {"train": train, "test": test, "seed": seed}
    given = {name: value for name, value in asked.items() if value is not None}
    return dataclasses.replace(source, **given).load() if dataclasses.is_dataclass(source) else source.load()


def check_splits(train: int | None, test: int | None, seed: int | None, name: str = "seed") -> None:
    """Raise ValueError for numbers of samples, or a seed of that name, that are none."""
    for part, value in {"train": train, "test": test}.items():
        if value is not None:
            check_positive("data", part, value)
    if seed is not None:
        check_seed(seed, name)
