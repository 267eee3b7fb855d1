"""Layers in sequence: the signals between them, and the finite network."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

from flax import nnx
from jaxtyping import Array, Float

from widesym.models.layer import AffineModule, Layer
from widesym.models.signal import Signal


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
            elif isinstance(layer, Around) and layer.body is not None:
                yield from layer.body.affine_modules()


Through = Callable[[Network, Array, Any], tuple[Array, Any]]


Body = TypeVar("Body", bound=Network | None)


class Around(nnx.Module, Generic[Body]):
    """A layer around a network, `body`, or around none."""

    body: Body

    def __call__(self, x: Float[Array, "channel *point sample"]) -> Float[Array, "feature *new_point sample"]:
        return self.around(lambda body, x, _: (body(x), None), x, None)[0]

    def around(
        self, through: Through, x: Float[Array, "channel *point sample"], extra: Any
    ) -> tuple[Float[Array, "feature *new_point sample"], Any]:
        """The layer, with `through(body, x, extra)` in place of `body(x)`; and what that returns beside its output.

        Where the body's weights have a leading axis, so have `extra` and what is returned.
        """
        raise NotImplementedError
