"""How wide an architecture is: the features of its hidden layers, and the same network with others, or other logits."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from numbers import Integral
from typing import Any

from widesym.models.architecture import Architecture
from widesym.models.substitution import substituted


def hidden_features(architecture: Architecture) -> tuple[int, ...]:
    """Features of every layer that has them, but of the last one, whose are the logits."""
    return tuple(_hidden(architecture.layers))


def narrowest(architecture: Architecture) -> tuple[Architecture, int]:
    """The architecture with hidden features divided by their greatest common divisor, and that divisor.

    Two architectures with the same first part are the same network at two widths: in the NTK parametrization their
    kernels at infinite width are the same.
    """
    hidden = hidden_features(architecture)
    divisor = math.gcd(*hidden) or 1
    return _of_features(architecture, [features // divisor for features in hidden]), divisor


def narrowest_described(architecture: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
    """The description of `narrowest` from that of an architecture (`describe`), also with layers that cannot be built
    here, and the most features of a hidden layer, 0 without one.
    """
    hidden = _hidden(architecture["layers"])
    divisor = math.gcd(*hidden) or 1
    left = iter([features // divisor for features in hidden])
    layers = _with_features(architecture["layers"], lambda last: next(left, last))
    return {**architecture, "layers": layers}, max(hidden, default=0)


def at_width(architecture: Architecture, width: int) -> Architecture:
    """The architecture with `width` features in the first hidden layer, and the others in proportion.

    Raises ValueError where these would not be whole, or where there is no hidden layer.
    """
    hidden = hidden_features(architecture)
    if not hidden:
        raise ValueError(f"width is {width}, but the architecture has no hidden layer; leave it out")
    base, divisor = narrowest(architecture)
    first = hidden[0] // divisor
    if width < 1 or width % first:
        ratio = ":".join(map(str, hidden_features(base)))
        raise ValueError(
            f"width is {width}, but it is the features of the first hidden layer, and those of all are as {ratio}; "
            f"take a positive multiple of {first}"
        )
    return _of_features(architecture, [features // divisor * (width // first) for features in hidden])


def with_logits(architecture: Architecture, logits: int) -> Architecture:
    """The architecture with so many features in its last layer that has some, which are the logits of every network of
    the zoo. Raises ValueError for a number below 1.
    """
    return _of_features(architecture, [*hidden_features(architecture), logits])


def _hidden(layers: Any) -> list[int]:
    """Features of all these layers, or descriptions of layers, that have them, but of the last."""
    found: list[int] = []

    def noted(features: int) -> int:
        found.append(features)
        return features

    _with_features(layers, noted)
    return found[:-1]


def _with_features(layers: Any, change: Callable[[int], int]) -> Any:
    """The layers with other features; those that are no number, as of layers of somebody's own, stay."""
    return substituted(layers, "features", lambda value: change(int(value)) if isinstance(value, Integral) else value)


def _of_features(architecture: Architecture, features: list[int]) -> Architecture:
    """The architecture with these features in its first layers that have some, in all of them or all but the last."""
    left = iter(features)
    return replace(architecture, layers=_with_features(architecture.layers, lambda last: next(left, last)))
