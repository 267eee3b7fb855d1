"""An architecture: a tuple of layer specs, from which come the finite network and the infinite-width kernel."""

import math
import typing
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Key, PyTree

from widesym.models.correlation import Formulation
from widesym.models.layer import Layer
from widesym.models.network import Network, checked_layers, signals_through
from widesym.models.parametrization import Parametrization, place_scales
from widesym.models.signal import Signal, to_layout


@dataclass(frozen=True)
class Architecture:
    """Layers applied one after the other; declared once, used at any width (docs/design.md).

    Raises ValueError at construction for anything that is not a layer, and at `init` where a layer cannot act on what
    the layers before it hand over, naming the layer.
    """

    layers: tuple[Layer, ...]
    parametrization: Parametrization = "ntk"

    def __init__(self, layers: Iterable[Layer], parametrization: Parametrization = "ntk"):
        object.__setattr__(self, "layers", checked_layers("an architecture", layers))
        object.__setattr__(self, "parametrization", parametrization)
        if parametrization not in typing.get_args(Parametrization):
            allowed = ", ".join(typing.get_args(Parametrization))
            raise ValueError(f"parametrization is {parametrization!r}; it must be one of {allowed}")

    def __iter__(self) -> Iterator[Layer]:
        return iter(self.layers)

    def signals(self, input_shape: Sequence[int]) -> tuple[Signal, ...]:
        """The signal before each layer and after the last; raises ValueError naming the layer that does not fit."""
        signals = signals_through(self.layers, Signal.of_input(input_shape))
        if not signals[-1].is_vector:
            raise ValueError(
                f"the network ends in {signals[-1]}, not in a vector of logits; add Flatten() or a global pool"
            )
        return signals

    def init(self, key: Key[Array, ""], input_shape: Sequence[int]) -> PyTree[Float[Array, "..."]]:
        """Parameters of one network for inputs of this shape (`Signal.of_input`).

        All i.i.d. N(0, 1) in the NTK parametrization (theory.md §1), else scaled (models/parametrization.py).
        """
        return nnx.to_pure_dict(nnx.state(_network(self, input_shape, nnx.Rngs(key)), nnx.Param))

    def count_parameters(self, input_shape: Sequence[int]) -> int:
        """Number of weights and biases, found without making them."""
        shapes = jax.eval_shape(lambda: self.init(jax.random.key(0), input_shape))
        return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes))

    def convolves(self, input_shape: Sequence[int]) -> bool:
        """Whether there are planar convolutions, so that `apply`'s formulation makes a difference."""
        network = nnx.eval_shape(lambda: _network(self, input_shape, nnx.Rngs(0)))
        return any(module.formulation for module in network.affine_modules())

    def apply(
        self,
        params: PyTree[Float[Array, "..."]],
        x: Float[Array, "sample *point channel"],
        formulation: Formulation | None = "patches",
    ) -> Float[Array, "sample logit"]:
        """The network's logits on a batch of inputs. Pure; jit, vmap and differentiate it.

        `formulation` says how planar convolutions are computed, which changes rounding and speed.
        """
        if not 2 <= x.ndim <= 5:
            raise ValueError(
                f"x has shape {x.shape}; it must be [sample, H, W, C] or [sample, C], or a batch of sets of these, "
                "[sample, A, …]"
            )
        x = x if jnp.issubdtype(x.dtype, jnp.floating) else x.astype(float)
        return self.network(params, x.shape[1:], formulation)(to_layout(x)).T

    def network(
        self,
        params: PyTree[Float[Array, "..."]],
        input_shape: Sequence[int],
        formulation: Formulation | None = "patches",
    ) -> Network:
        """The finite network with these parameters, which acts in the layout of models/signal.py."""
        graph, shapes = _skeleton(self, tuple(input_shape), formulation)
        found = jax.tree.map(jnp.shape, params)
        if found != shapes:
            raise ValueError(
                f"the parameters are not of this architecture and inputs of shape {tuple(input_shape)}: "
                f"they have shapes {found}, and {shapes} is needed"
            )
        return nnx.merge(graph, params)


def _network(architecture: Architecture, input_shape: Sequence[int], rngs: nnx.Rngs) -> Network:
    network = Network(architecture.layers, architecture.signals(input_shape)[0], rngs)
    place_scales(network, architecture.parametrization)
    return network


@lru_cache(maxsize=256)
def _skeleton(
    architecture: Architecture, input_shape: tuple[int, ...], formulation: Formulation | None
) -> tuple[Any, Any]:
    """The network's static half, and the shapes of its parameters, found once without computing a weight."""
    network = nnx.eval_shape(lambda: _network(architecture, input_shape, nnx.Rngs(0)))
    for module in network.affine_modules():
        if module.formulation:
            module.formulation = formulation
    graph, state = nnx.split(network)
    return graph, jax.tree.map(jnp.shape, nnx.to_pure_dict(state))
