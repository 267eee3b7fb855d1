"""The derivatives of a network's logits by its weights, as products that are left unmultiplied (arXiv:2206.08720).

In every layer with weights, z = Σ_i W_i x_i at each of its places (pixels, group elements, orders of harmonics), so
∂f_k/∂W = Σ_place g_k xᵀ with the cotangent g_k = ∂f_k/∂z. The two factors are found by one pass forward and one
backward for each logit, and are far smaller than their product.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from widesym.models.architecture import Architecture
from widesym.models.layer import AffineModule
from widesym.models.layers.parts import PartSumModule
from widesym.models.network import Around, Network
from widesym.models.signal import to_layout

Params = PyTree[Float[Array, "..."]]
Tree = Any  # of arrays

CACHED = 8  # samples whose signals a CPU holds in its caches together


@dataclass(frozen=True, eq=False)
class Factors:
    """∂f_k/∂W = Σ_place outputs_k inputsᵀ in each of a layer's blocks of weights; the bias is one of the inputs.

    The inputs, patches of a convolution for example, are many times larger than the layer's input `x`, and made from
    it sample by sample.
    """

    module: AffineModule
    stacked: bool  # whether there are weights for each part of the input, over the first axis of a sample
    x: Float[Array, "sample *point copy"]
    outputs: Float[Array, "sample logit block feature place"]

    @property
    def sizes(self) -> tuple[int, int, int, int, int, int]:
        """Samples, logits, blocks, features, inputs and places."""
        inputs = jax.eval_shape(self.inputs, jax.ShapeDtypeStruct(self.x.shape[1:], self.x.dtype)).shape[1]
        samples, logits, blocks, features, places = self.outputs.shape
        return samples, logits, blocks, features, inputs, places

    def inputs(self, x: Float[Array, "*point copy"]) -> Float[Array, "block fan_in place"]:
        """Of one sample. Its copies that went through the same weights, such as its atoms, are places."""
        return _in_blocks(self.module.weight_inputs, self.stacked, x)


def gradient_factors(
    architecture: Architecture, params: Params, x: Float[Array, "sample *point channel"], logits: int | None = None
) -> list[Factors]:
    """Of all layers with weights, in the order in which they act, and of the first so many logits or all."""
    on_cpu = jax.default_backend() == "cpu"
    network = architecture.network(params, x.shape[1:], "reverse" if on_cpu else "patches")
    places = list(modules(network))

    def of(x: Float[Array, "sample *point channel"]) -> list[tuple[Array, Array]]:
        inputs, cotangents = signals(network, to_layout(x), logits)
        parts = zip(places, inputs, cotangents, strict=True)
        return [_by_layer(module, stacked, into, g, len(x)) for (module, stacked), into, g in parts]

    together = max(n for n in range(1, CACHED + 1) if len(x) % n == 0) if on_cpu else len(x)
    if together == len(x):
        found = of(x)
    else:
        chunks = jax.lax.map(of, x.reshape(-1, together, *x.shape[1:]))
        found = jax.tree.map(lambda leaf: leaf.reshape(len(x), *leaf.shape[2:]), chunks)
    return [Factors(*place, into, outputs) for place, (into, outputs) in zip(places, found, strict=True)]


def signals(
    network: Network, x: Float[Array, "channel *point sample"], logits: int | None
) -> tuple[list[Array], list[Array]]:
    """What goes into each layer with weights, and the first logits' cotangents [logit, …] of what comes out."""
    outputs = jax.eval_shape(lambda: recorded_layers(network, x, None)[1])
    nothing = [jnp.zeros(z.shape, z.dtype) for _, z in outputs]

    def displaced(shifts: list[Array]) -> tuple[Array, list[Array]]:
        z, passed = recorded_layers(network, x, shifts)
        return z, [at_layer for at_layer, _ in passed]

    z, pull, inputs = jax.vjp(displaced, nothing, has_aux=True)
    units = jnp.eye(logits or len(z), len(z), dtype=z.dtype)

    def backward(unit: Float[Array, " logit"]) -> list[Array]:
        return pull(jnp.broadcast_to(unit[:, None], z.shape))[0]

    return inputs, each(backward, units)


def each(function: Callable[[Tree], Tree], over: Tree) -> Tree:
    """The function along the arrays' first axis: all at once, but on CPUs, for their caches, one after the other."""
    return jax.lax.map(function, over) if jax.default_backend() == "cpu" else jax.vmap(function)(over)


def recorded_layers(
    network: Network, x: Float[Array, "channel *point sample"], shifts: list[Array] | None
) -> tuple[Array, list[tuple[Array, Array]]]:
    """The network's output, each layer's z moved by one of `shifts`, and what went into the layers and came out."""
    passed, left = [], shifts
    for layer in network.layers:
        if isinstance(layer, AffineModule):
            z = layer(x) if left is None else layer(x) + left[0]
            passed.append((x, z))
            x, left = z, left and left[1:]
        elif isinstance(layer, Around) and layer.body is not None:
            inside = len(list(layer.body.affine_modules()))
            x, of_body = layer.around(recorded_layers, x, left and left[:inside])
            passed, left = passed + of_body, left and left[inside:]
        else:
            x = layer(x)
    return x, passed


def modules(network: Network, stacked: bool = False) -> Iterator[tuple[AffineModule, bool]]:
    """All layers with weights in order, and whether there is one set of these for each part of the input."""
    for layer in network.layers:
        if isinstance(layer, AffineModule):
            yield layer, stacked
        elif isinstance(layer, Around) and layer.body is not None:
            by_part = isinstance(layer, PartSumModule) and not layer.layer.is_shared
            yield from modules(layer.body, stacked or by_part)


def _by_layer(module: AffineModule, stacked: bool, x: Array, g: Array, samples: int) -> tuple[Array, Array]:
    """A layer's input and its cotangents, sample by sample, the latter as its weights meet them."""

    def output(g: Float[Array, "*point copy"]) -> Float[Array, "block feature place"]:
        return _in_blocks(module.weight_outputs, stacked, g)

    return _by_sample(x, samples), jax.vmap(jax.vmap(output))(_by_sample(g, samples))


def _in_blocks(function: Callable[[Array], Array], stacked: bool, x: Array) -> Float[Array, "block row place"]:
    found = jax.vmap(function)(x) if stacked else function(x)[None]
    return found.reshape(-1, found.shape[2], found.shape[3] * found.shape[4])


def _by_sample(x: Float[Array, "*point sample*copy"], samples: int) -> Float[Array, "sample *point copy"]:
    return jnp.moveaxis(x.reshape(*x.shape[:-1], samples, -1), -2, 0)
