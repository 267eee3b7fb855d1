"""Layers in sequence: the signals between them, and the finite network."""

from collections.abc import Iterable, Iterator, Sequence

from flax import nnx
from jaxtyping import Array, Float

from models.layer import AffineModule, Layer
from models.signal import Signal


def checked_layers(name: str, layers: Iterable[Layer]) -> tuple[Layer, ...]:
    """The layers as a tuple; raises ValueError where there is none, or something that is not a layer."""
    if isinstance(layers, Layer) or not isinstance(layers, Iterable):
        raise ValueError(f"{name} takes a sequence of layers or an architecture, not {layers!r}")
    if getattr(layers, "parametrization", "ntk") != "ntk":
        raise ValueError(f"{name} takes layers alone; give the parametrization to the architecture around it")
    layers = tuple(layers)
    if not layers:
        raise ValueError(f"{name} needs at least one layer, such as Dense(10)")
    for index, layer in enumerate(layers):
        if not isinstance(layer, Layer):
            raise ValueError(f"layer {index} is {layer!r}; it must be a layer spec such as Dense(10)")
    return layers


def signals_through(layers: Sequence[Layer], signal: Signal) -> tuple[Signal, ...]:
    """The signal before each layer and after the last; raises ValueError naming the layer that does not fit."""
    signals = [signal]
    for index, layer in enumerate(layers):
        try:
            signals.append(layer.output(signals[-1]))
        except ValueError as error:
            raise ValueError(f"layer {index}: {error}") from None
    return tuple(signals)


def signal_after_body(name: str, body: Sequence[Layer], signal: Signal) -> Signal:
    """The signal after the layers inside the layer `name`; raises ValueError naming both where one does not fit."""
    try:
        return signals_through(body, signal)[-1]
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class Network(nnx.Module):
    """Finite-width layers one after the other, in the internal layout (models/signal.py)."""

    def __init__(self, layers: Sequence[Layer], signal: Signal, rngs: nnx.Rngs):
        signals = signals_through(layers, signal)
        self.layers = nnx.List([layer.module(before, rngs) for layer, before in zip(layers, signals, strict=False)])

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "feature *new_point sample"]:
        for layer in self.layers:
            x = layer(x)
        return x

    def affine_modules(self) -> Iterator[AffineModule]:
        """All layers with weights in the order in which they act, those inside others included."""
        for layer in self.layers:
            if isinstance(layer, AffineModule):
                yield layer
                continue
            body = getattr(layer, "body", None)
            if isinstance(body, Network):
                yield from body.affine_modules()
