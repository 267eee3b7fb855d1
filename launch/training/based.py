"""Files that take the fields of another one: `base: other.yaml`, and beside it what is to be different."""

from pathlib import Path
from typing import Any

from widesym.launch.config.specs import read_mapping
from widesym.launch.errors import ConfigError
from widesym.launch.training.config import with_changes

BASE = "base"


def read_based(path: Path) -> dict[Any, Any]:
    """The fields and values in a YAML file and, but for those of its own, in its base (`on_base`); raises ConfigError
    for files that hold none.
    """
    return on_base(read_mapping(path), path)


def on_base(content: dict, path: Path, above: tuple[Path, ...] = ()) -> dict[Any, Any]:
    """The content of the file at `path`, whose `base`, if it has one, is replaced by the fields of the file that it
    names: a path from this file's folder. That file may have a base, too.

    The other fields are changes of those, by dotted paths (`with_changes`). Files `above` are based on this one.
    Raises ConfigError, which names all files on the way, for what cannot be read or changed, and for a file that is
    based on itself.
    """
    if BASE not in content:
        return content
    if not isinstance(content[BASE], str):
        raise ConfigError(f"{path}: base is {content[BASE]!r}; it must be the path of a file whose fields are taken")
    own = {name: value for name, value in content.items() if name != BASE}
    for name in own:
        if not isinstance(name, str):
            raise ConfigError(f"{path}: {name!r} is no field; fields have names, such as recipe.learning_rate")
    file, way = path.parent / content[BASE], (*above, path.resolve())
    try:
        if file.resolve() in way:
            raise ConfigError(f"{file} is based on itself")
        fields = on_base(read_mapping(file), file, way)
    except ConfigError as error:
        raise ConfigError(f"{path}, base: {error}") from None
    try:
        return with_changes(fields, own)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None
