"""The finite half of the bridge: our networks' initialisation and forward pass, as neural-tangents calls them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from flax import nnx
from jaxtyping import Array, Float, Key, PyTree

from widesym.models.architecture import Architecture
from widesym.models.layer import Layer
from widesym.models.network import Network, signals_through
from widesym.models.signal import Domain, Signal, to_layout


@dataclass(frozen=True)
class NetworkPart:
    """Consecutive layers of a network, whose input lives on `group`: None of images, spheres and vectors."""

    layers: tuple[Layer, ...]
    group: Domain | None = None

    def signals(self, input_shape: Sequence[int]) -> tuple[Signal, ...]:
        """The signal before each layer and after the last; raises ValueError naming the layer that does not fit."""
        return signals_through(self.layers, signal_on(self.group, input_shape))

    def init(self, key: Key[Array, ""], input_shape: Sequence[int]) -> PyTree[Float[Array, "..."]]:
        """Parameters for inputs of this shape, the modules' own, all i.i.d. N(0, 1)."""
        network = Network(self.layers, signal_on(self.group, input_shape), nnx.Rngs(key))
        return nnx.to_pure_dict(nnx.state(network, nnx.Param))

    def apply(
        self, params: PyTree[Float[Array, "..."]], x: Float[Array, "sample *point channel"]
    ) -> Float[Array, "sample *new_point feature"]:
        """The layers on a batch of inputs."""
        signal = signal_on(self.group, x.shape[1:])
        graph, _ = nnx.split(nnx.eval_shape(lambda: Network(self.layers, signal, nnx.Rngs(0))))
        return to_layout(nnx.merge(graph, params)(to_layout(x)))  # its own inverse


def signal_on(group: Domain | None, shape: Sequence[int]) -> Signal:
    """Of an input shape: (g, H, W, C) or (g, C) on a group, else `Signal.of_input`; raises ValueError for any other."""
    if group is None:
        return Signal.of_input(shape)
    if len(shape) not in (2, 4) or shape[0] != group.order:
        raise ValueError(
            f"input shape is {tuple(shape)}; on {group} it must be ({group.order}, H, W, C) or ({group.order}, C)"
        )
    return Signal(shape[-1], (shape[1], shape[2]) if len(shape) == 4 else None, group)


def finite_functions(network: Architecture | NetworkPart) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """(init_fn, apply_fn): shapes lead with the batch, and keywords that are for other layers are ignored."""

    def init_fn(rng: Key[Array, ""], input_shape: Sequence[int]) -> tuple[tuple[int, ...], PyTree]:
        try:
            after = network.signals(input_shape[1:])[-1]
        except ValueError as error:
            raise ValueError(f"input_shape is {tuple(input_shape)}, of which the first is the batch: {error}") from None
        return (input_shape[0], *after.axes, after.channels), network.init(rng, input_shape[1:])

    def apply_fn(params: PyTree, x: Array, *, mask_constant: float | None = None, **_: Any) -> Array:
        check_unmasked(mask_constant, getattr(x, "mask", None))
        return network.apply(params, x)

    return init_fn, apply_fn


def check_unmasked(*masks: Any) -> None:
    """Raise NotImplementedError where a mask is not None."""
    if any(mask is not None for mask in masks):
        raise NotImplementedError("networks from to_stax do not support masks; leave out mask_constant")
