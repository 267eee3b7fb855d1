"""How wide an architecture is: the features of its hidden layers, and the same network with others, or other logits."""

import math
from dataclasses import replace

from widesym.models.architecture import Architecture
from widesym.models.substitution import substituted


def hidden_features(architecture: Architecture) -> tuple[int, ...]:
    """Features of every layer that has them, but of the last one, whose are the logits."""
    found: list[int] = []

    def noted(features: int) -> int:
        found.append(features)
        return features

    substituted(architecture.layers, "features", noted)
    return tuple(found[:-1])


def narrowest(architecture: Architecture) -> tuple[Architecture, int]:
    """The architecture with hidden features divided by their greatest common divisor, and that divisor.

    Two architectures with the same first part are the same network at two widths: in the NTK parametrization their
    kernels at infinite width are the same.
    """
    hidden = hidden_features(architecture)
    divisor = math.gcd(*hidden) or 1
    return _with_features(architecture, [features // divisor for features in hidden]), divisor


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
    return _with_features(architecture, [features // divisor * (width // first) for features in hidden])


def with_logits(architecture: Architecture, logits: int) -> Architecture:
    """The architecture with so many features in its last layer that has some, which are the logits of every network of
    the zoo. Raises ValueError for a number below 1.
    """
    return _with_features(architecture, [*hidden_features(architecture), logits])


def _with_features(architecture: Architecture, features: list[int]) -> Architecture:
    """The architecture with these features in its first layers that have some, in all of them or all but the last."""
    left = iter(features)
    return replace(architecture, layers=substituted(architecture.layers, "features", lambda last: next(left, last)))
