"""Options of a command that replace what its file says: one for every field of the dataclass that the file describes.

An option has its field's name and type, and the text below the field is its help. Help also says what holds where the
file is silent: the field's default, or what `field(metadata={"otherwise": "what the source has"})` says in words. How
help names the values follows from their type, unless `metavar` among the metadata says it. A field with a `spec` there
(config/specs.py) has options for the fields of that dataclass, under its own name.
"""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass, make_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import docstring_parser
from tyro.conf import DisallowNone, arg

from widesym.launch.config.yaml import dumped, parsed
from widesym.launch.errors import ConfigError

WORDS = {int: "INT", float: "FLOAT", str: "YAML"}  # types of single words, and how help names these
AS_IT_IS = """text is taken as it is in quotes of its own: '"…"'"""


@dataclass(frozen=True)
class FileOptions:
    """Values for fields of a file: None, or options that are all None, where none is given. Text is YAML."""

    def changes(self) -> dict[str, Any]:
        """The values given, by the dotted paths of their fields; raises ConfigError for text that is no YAML."""
        return {path: _as_in_a_file(path, value) for path, value in _given(self)}


def options_of(config: type) -> Callable[..., FileOptions]:
    """The class of the options that replace fields of `config`, a dataclass with a text below each of its fields."""
    helps = {each.arg_name: each.description for each in docstring_parser.parse_from_object(config).params}
    types = get_type_hints(config)
    options = [_option(each, types[each.name], helps[each.name]) for each in fields(config)]
    return make_dataclass(f"{config.__name__}Options", options, bases=(FileOptions,), frozen=True)


def option(path: str) -> str:
    """The option that sets the field with this path."""
    return "--" + path.replace("_", "-")


def _option(of: dataclasses.Field, kind: Any, text: str | None) -> tuple[str, Any, Any]:
    """The name, type and default of the option for a field."""
    if spec := of.metadata.get("spec"):
        within = options_of(spec)
        return of.name, Annotated[within, arg(help=text)], dataclasses.field(default_factory=within)
    words, metavar = _words_of(kind)
    silent = of.metadata.get("otherwise", _said(of.default))
    told = arg(
        metavar=of.metadata.get("metavar", metavar),
        help=text,
        help_behavior_hint=f"(default: as in the file{', else ' if silent else ''}{silent})",
    )
    one_for_all = get_origin(words) is tuple and _word_of(kind) is not None
    default = dataclasses.field(default=None, metadata={"one_for_all": one_for_all})
    return of.name, DisallowNone[Annotated[words | None, told]], default


def _said(default: Any) -> str:
    """A default as help says it: a spec's type alone; nothing of None, which means another thing in each field."""
    if default is MISSING or default is None:
        return ""
    return f"{{type: {type(default).__name__}}}" if is_dataclass(default) else dumped(default).split("\n")[0]


def _words_of(kind: Any) -> tuple[Any, str]:
    """The type as which an option of a field of this type is read, and how help names its values."""
    for each in _alternatives(kind):
        if get_origin(each) is Literal:
            return each, "|".join(get_args(each))
        item = _word_of(get_args(each)[0]) if get_origin(each) is tuple else None
        if item is not None:
            return tuple[item, ...], f"{WORDS[item]} [{WORDS[item]} ...]"
    one = _word_of(kind) or str
    return one, WORDS[one]


def _word_of(kind: Any) -> type | None:
    """The type as which a single word for a field of this type is read; None where it takes a whole YAML text."""
    return next((each for each in _alternatives(kind) if each in WORDS), None)


def _alternatives(kind: Any) -> Sequence[Any]:
    """The types of a union but for None, or the one type itself."""
    either = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    return [each for each in either if each is not NoneType]


def _given(options: FileOptions, above: str = "") -> Iterator[tuple[str, Any]]:
    """The paths of the fields for which there are values, and these."""
    for each in fields(options):
        value = getattr(options, each.name)
        if isinstance(value, FileOptions):
            yield from _given(value, f"{above}{each.name}.")
        elif value is not None:
            is_one = each.metadata["one_for_all"] and len(value) == 1
            yield above + each.name, value[0] if is_one else value


def _as_in_a_file(path: str, value: Any) -> Any:
    """The value as a file would have it."""
    if isinstance(value, tuple):
        return [_as_in_a_file(path, each) for each in value]
    if not isinstance(value, str):
        return value
    try:
        found = parsed(value)
    except ValueError as error:
        raise ConfigError(f"{option(path)} is {value!r}, which is not YAML: {error}; {AS_IT_IS}") from None
    if isinstance(found, str) and found != value.strip() and value.strip()[:1] not in ("'", '"', "|", ">", "!", "&"):
        raise ConfigError(f"{option(path)} is {value!r}, of which YAML takes {found!r} alone; {AS_IT_IS}")
    return found
