"""The same network with other values in one field of its layers, however deep they are nested."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from widesym.models.architecture import Architecture
from widesym.models.groups import Group


def substituted(spec: Any, name: str, change: Callable[[Any], Any]) -> Any:
    """The spec with change(value) in all fields of that name, its own and those of the specs in it, in their order.

    Descriptions (`describe`) are changed like the specs that they are of.
    """
    if isinstance(spec, tuple | list):
        return type(spec)(substituted(each, name, change) for each in spec)
    if isinstance(spec, dict):
        return {
            field: change(value) if field == name else substituted(value, name, change) for field, value in spec.items()
        }
    if not is_dataclass(spec) or isinstance(spec, type):
        return spec
    changed = {
        field.name: change(getattr(spec, field.name))
        if field.name == name
        else substituted(getattr(spec, field.name), name, change)
        for field in fields(spec)
        if field.init
    }
    return replace(cast(Any, spec), **changed)


def with_group(architecture: Architecture, group: Group) -> Architecture:
    """The architecture on another group; raises ValueError where none of its layers has one."""
    found: list[Group] = []

    def noted(old: Group) -> Group:
        found.append(old)
        return group

    changed = replace(architecture, layers=substituted(architecture.layers, "group", noted))
    if not found:
        raise ValueError(f"group is {group}, but the architecture has no layer on a group; leave it out")
    return changed
