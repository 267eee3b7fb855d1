"""How wide an architecture is: the features of its hidden layers, and the same network with others."""

import math
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any, cast

from models.architecture import Architecture


def hidden_features(architecture: Architecture) -> tuple[int, ...]:
    """Features of every layer that has them, but of the last one, whose are the logits."""
    found: list[int] = []

    def noted(features: int) -> int:
        found.append(features)
        return features

    _with_features(architecture.layers, noted)
    return tuple(found[:-1])


def narrowest(architecture: Architecture) -> tuple[Architecture, int]:
    """The architecture with hidden features divided by their greatest common divisor, and that divisor.

    Two architectures with the same first part are the same network at two widths: in the NTK parametrization their
    kernels at infinite width are the same.
    """
    divisor, count = math.gcd(*hidden_features(architecture)) or 1, len(hidden_features(architecture))
    places = iter(range(count + 1))

    def divided(features: int) -> int:
        return features // divisor if next(places) < count else features

    return replace(architecture, layers=_with_features(architecture.layers, divided)), divisor


def _with_features(spec: Any, change: Callable[[int], int]) -> Any:
    """The spec with `change(features)` in all layers that have features, in their order."""
    if isinstance(spec, tuple):
        return tuple(_with_features(each, change) for each in spec)
    if not is_dataclass(spec) or isinstance(spec, type):
        return spec
    changed = {
        field.name: change(getattr(spec, field.name))
        if field.name == "features"
        else _with_features(getattr(spec, field.name), change)
        for field in fields(spec)
        if field.init
    }
    return replace(cast(Any, spec), **changed)
