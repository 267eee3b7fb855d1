"""Classes and functions of people's own in specs: `{type: mymodule:Softplus}`, `augmentation: mymodule.turned`.

Importing a module runs it. So only those are imported that are named on purpose: in somebody's own YAML file
(`modules_named`), with --import, or in Python. Files of runs name modules, too, but are never asked.
"""

import dataclasses
import difflib
from collections.abc import Callable, Iterator
from functools import reduce
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import tyro

from widesym.launch.errors import ConfigError
from widesym.launch.process import import_module

Modules = tuple[str, ...]  # that may be imported, with all that is in them
Imports = Annotated[Modules, tyro.conf.UseAppendAction, tyro.conf.arg(name="import", metavar="MODULE")]

SCRIPT = "__main__"
FUNCTIONS = {"augmentation", "fn"}  # fields that hold functions by their names
HARMLESS = tuple(  # functions of these only compute
    f"jax.{inner}{part}" for inner in ("", "_src.") for part in ("nn", "numpy", "lax", "scipy")
)


def modules_named(content: Any) -> Modules:
    """The modules that a file of somebody's own names, in classes and in functions."""
    return tuple(dict.fromkeys(_modules(content)))


def _modules(content: Any) -> Iterator[str]:
    if isinstance(content, list | tuple):
        for each in content:
            yield from _modules(each)
    if not isinstance(content, dict):
        return
    for name, value in content.items():
        field = str(name).rpartition(".")[2]  # of dotted paths, as sweeps have them
        for each in value if isinstance(value, list) else [value]:
            if field == "type" and is_own(each) and not each.startswith(f"{SCRIPT}:"):
                yield each.partition(":")[0]
            if isinstance(each, str) and field in FUNCTIONS and "." in each:
                yield each.rpartition(".")[0]
        yield from _modules(value)


def is_own(name: Any) -> bool:
    """Whether this names a class by its module, as no class of this package is."""
    return isinstance(name, str) and ":" in name


def own_class(name: str, modules: Modules, where: str) -> type:
    """The frozen dataclass that is called `module:Class`.

    One of a script, which no module has, is that of this name in `modules`. Raises ConfigError, which begins with
    `where`, for one that is in none of `modules`, and for what is no such class.
    """
    module, _, path = name.partition(":")
    if module == SCRIPT and SCRIPT not in modules:
        found = class_among(path, modules, where)
    else:
        found = _found(module, path, modules, f"{where} {name!r}")
    if found is None:
        raise ConfigError(f"{where} {name!r} {_remedy(module, path, modules)}")
    if not isinstance(found, type) or not dataclasses.is_dataclass(found) or not _is_frozen(found):
        raise ConfigError(f"{where} {name!r} is {found!r}; it must be a class with @dataclass(frozen=True) above it")
    return found


def class_among(name: str, modules: Modules, where: str) -> type | None:
    """The class of this name in one of the modules, as earlier versions named classes; None where none has it."""
    holding = next((each for each in modules if hasattr(_imported(each, f"{where} {name!r}"), name)), None)
    return None if holding is None else own_class(f"{holding}:{name}", modules, where)


def own_function(name: str, modules: Modules, where: str) -> Callable[..., Any]:
    """The function that is called `module.function`: one of jax.nn or jax.numpy, or of one of `modules`.

    Raises ConfigError, which begins with `where`, for any other.
    """
    module, _, path = name.rpartition(".")
    is_harmless = any(module == each or module.startswith(f"{each}.") for each in HARMLESS)
    found = _found(module, path, (module,) if is_harmless else modules, f"{where} {name!r}")
    if found is None:
        raise ConfigError(f"{where} {name!r} {_remedy(module, path, modules)}")
    if not callable(found):
        raise ConfigError(f"{where} {name!r} is {found!r}, which is no function")
    return found


def _found(module: str, path: str, modules: Modules, what: str) -> Any:
    """What is called `path` in the module; None where that is none of `modules`, or part of one."""
    if not any(module == each or module.startswith(f"{each}.") for each in modules):
        return None
    holding = _imported(module, what)
    try:
        return reduce(getattr, path.split("."), holding)
    except AttributeError:
        close = difflib.get_close_matches(path, dir(holding))
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        file = getattr(holding, "__file__", None) or module
        raise ConfigError(f"{what}: there is no {path} in {file}{hint}") from None


def _imported(module: str, what: str) -> ModuleType:
    try:
        return import_module(module)
    except Exception as error:  # whatever the module raises
        raise ConfigError(
            f"{what}: {module} cannot be imported ({type(error).__name__}: {error}); modules are looked for where "
            f"Python does, and in the folder that the command is started in, {Path.cwd()}"
        ) from None


def _is_frozen(kind: Any) -> bool:
    return kind.__dataclass_params__.frozen


def _remedy(module: str, path: str, modules: Modules) -> str:
    """Why a name is not looked up, and what to type."""
    if module == SCRIPT:
        name, seen = path.rpartition(".")[2], f", where there is none in {', '.join(modules)}" if modules else ""
        return (
            f"belongs to a script or a notebook; move {name} into a module, and write MODULE:{name}, or for runs "
            f"--import MODULE, in Python open_run(path, modules=('MODULE',)){seen}"
        )
    return (
        "is somebody's own, and reading a run imports nothing that it names by itself. If you trust the module, give "
        f"--import {module}, or in Python open_run(path, modules=({module!r},))"
    )
