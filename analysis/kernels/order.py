"""Flatten and what acts value by value commute: the same network with Flatten as late as that allows.

Flattened pixels differ in variance, which the recursion keeps apart as long as they stand on their grid.
"""

from collections.abc import Sequence

from widesym.models.layer import Layer
from widesym.models.layers.activations import Activation
from widesym.models.layers.pooling import Flatten
from widesym.models.layers.residual import Identity


def flattening_late(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    """The layers with each Flatten after the activations that follow it."""
    return tuple(layers[index] for index in late_order(layers))


def late_order(layers: Sequence[Layer]) -> list[int]:
    """Their order, by their places in `layers`."""
    order: list[int] = []
    for index, layer in enumerate(layers):
        flat = len(order)
        while isinstance(layer, Activation | Identity) and flat and isinstance(layers[order[flat - 1]], Flatten):
            flat -= 1
        order.insert(flat, index)
    return order
