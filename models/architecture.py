"""An architecture: a tuple of layer specs, from which come the finite network and the infinite-width kernel."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Key, PyTree

from models.layer import Layer
from models.signal import Signal, to_layout


@dataclass(frozen=True)
class Architecture:
    """Layers applied one after the other; declared once, used at any width (docs/design.md).

    Raises ValueError at construction for anything that is not a layer, and at `init` where a layer cannot act on what
    the layers before it hand over, naming the layer.
    """

    layers: tuple[Layer, ...]

    def __init__(self, layers: Iterable[Layer]):
        object.__setattr__(self, "layers", tuple(layers))
        if not self.layers:
            raise ValueError("an architecture needs at least one layer, such as Dense(10)")
        for index, layer in enumerate(self.layers):
            if not isinstance(layer, Layer):
                raise ValueError(f"layer {index} is {layer!r}; it must be a layer spec such as Dense(10)")

    def signals(self, input_shape: Sequence[int]) -> tuple[Signal, ...]:
        """The signal before each layer and after the last; raises ValueError naming the layer that does not fit."""
        signals = [Signal.of_input(input_shape)]
        for index, layer in enumerate(self.layers):
            try:
                signals.append(layer.output(signals[-1]))
            except ValueError as error:
                raise ValueError(f"layer {index}: {error}") from None
        if not signals[-1].is_vector:
            raise ValueError(
                f"the network ends in {signals[-1]}, not in a vector of logits; add Flatten() or a global pool"
            )
        return tuple(signals)

    def init(self, key: Key[Array, ""], input_shape: Sequence[int]) -> PyTree[Float[Array, "..."]]:
        """Parameters of one network, all i.i.d. N(0, 1) (theory.md §1), for inputs (H, W, C) or (C,)."""
        network = Network(self, self.signals(input_shape), nnx.Rngs(key))
        return nnx.to_pure_dict(nnx.state(network, nnx.Param))

    def apply(
        self, params: PyTree[Float[Array, "..."]], x: Float[Array, "sample *pixel channel"]
    ) -> Float[Array, "sample logit"]:
        """The network's logits on a batch of images (H, W, C) or vectors (C,). Pure; jit, vmap and differentiate it."""
        if x.ndim not in (2, 4):
            raise ValueError(f"x has shape {x.shape}; it must be [sample, H, W, C] or [sample, C]")
        network = nnx.merge(_graph(self, tuple(x.shape[1:])), params)
        return network(to_layout(x)).T


class Network(nnx.Module):
    """The finite-width network of an architecture, in the internal layout (models/signal.py)."""

    def __init__(self, architecture: Architecture, signals: Sequence[Signal], rngs: nnx.Rngs):
        self.layers = nnx.List(
            [layer.module(signal, rngs) for layer, signal in zip(architecture.layers, signals[:-1], strict=True)]
        )

    def __call__(self, x: Float[Array, "channel *pixel sample"]) -> Float[Array, "logit sample"]:
        for layer in self.layers:
            x = layer(x)
        return x


@lru_cache(maxsize=256)
def _graph(architecture: Architecture, input_shape: tuple[int, ...]) -> Any:
    """The network's static half, found once without computing a weight."""
    signals = architecture.signals(input_shape)
    return nnx.split(nnx.eval_shape(lambda: Network(architecture, signals, nnx.Rngs(0))))[0]
