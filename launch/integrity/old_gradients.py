"""Which stored runs were trained with a wrong gradient, and are to be trained again.

Before schema 3, the gradient through MaxPool compared pixels with the maximum, which XLA's compiler for CPUs had
computed another time and rounded differently (models/layers/pooling.py): where windows stand side by side and leave
pixels over, the gradient of some was lost.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from widesym.models.architecture import Architecture
from widesym.models.layer import Layer
from widesym.models.layers.parts import PartSum
from widesym.models.layers.pooling import MaxPool
from widesym.models.network import signals_through
from widesym.models.signal import Signal

RIGHT_SINCE = 3  # schema of config.json


def wrong_gradient(description: Mapping[str, Any], architecture: Architecture, shape: Sequence[int] | None) -> str:
    """What is wrong with the gradient that a run was trained with; empty if nothing is.

    `description` is all of its config.json, `shape` that of an input. Where the shape or the device is not known, the
    gradient is taken to be wrong.
    """
    platform = (description.get("device") or {}).get("platform", "cpu")
    if description.get("schema", 1) >= RIGHT_SINCE or platform != "cpu":
        return ""
    signal = None if shape is None else Signal.of_input(shape)
    pools = list(dict.fromkeys(_leaving_pixels(architecture.layers, signal)))
    if not pools:
        return ""
    return (
        f"was trained with a wrong gradient: {', '.join(pools)}, whose windows leave pixels over; versions before this "
        f"schema ({RIGHT_SINCE}) lost parts of it on CPUs, wherever the layer before adds a bias or ends a residual"
    )


def _leaving_pixels(layers: Sequence[Layer], signal: Signal | None) -> Iterator[str]:
    """Every MaxPool, those inside other layers included, whose windows stand side by side and do not fill its input."""
    signals = [None] * len(layers) if signal is None else signals_through(layers, signal)
    for layer, before in zip(layers, signals, strict=False):
        if isinstance(layer, MaxPool) and layer.window.stride == layer.size > 1:
            grid = before.grid if before else None
            if grid is None or any(pixels % layer.size for pixels in grid):
                yield f"MaxPool({layer.size})" + (f" on {grid[0]}×{grid[1]}" if grid else "")
        part = layer.part(before) if before and isinstance(layer, PartSum) else before
        yield from _leaving_pixels(getattr(layer, "body", ()), part)
