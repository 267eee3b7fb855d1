"""The derivatives of a network's logits by its weights, as products that are left unmultiplied (arXiv:2206.08720).

In every layer with weights, z = Σ_i W_i x_i at each of its places (pixels, group elements, orders of harmonics), so
∂f_k/∂W = Σ_place g_k xᵀ with the cotangent g_k = ∂f_k/∂z. The two factors are found by one pass forward and one
backward for each logit, and are far smaller than their product.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from models.architecture import Architecture
from models.layer import AffineModule
from models.network import Around, Network
from models.parts import PartSumModule
from models.signal import to_layout


class Factors(NamedTuple):
    """∂f_k/∂W = outputs_k · inputsᵀ in each of a layer's blocks of weights; the bias is one of the inputs."""

    inputs: Float[Array, "block fan_in place sample"]
    outputs: Float[Array, "logit block feature place sample"]

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        """Logits, blocks, features, inputs and places."""
        logits, blocks, features, places, _ = self.outputs.shape
        return logits, blocks, features, self.inputs.shape[1], places


def gradient_factors(
    architecture: Architecture,
    params: PyTree[Float[Array, "..."]],
    x: Float[Array, "sample *point channel"],
    logits: int | None = None,
) -> list[Factors]:
    """Of all layers with weights, in the order in which they act, and of the first so many logits or all."""
    # As in training, a CPU computes transposes faster that are written by hand (models/correlation.py).
    formulation = "reverse" if jax.default_backend() == "cpu" else "patches"
    network, at_input = architecture.network(params, x.shape[1:], formulation), to_layout(x)
    outputs = jax.eval_shape(lambda: recorded(network, at_input, None)[1])
    nothing = [jnp.zeros(z.shape, z.dtype) for _, z in outputs]

    def displaced(shifts: list[Array]) -> tuple[Array, list[Array]]:
        z, passed = recorded(network, at_input, shifts)
        return z, [at_layer for at_layer, _ in passed]

    z, pull, inputs = jax.vjp(displaced, nothing, has_aux=True)
    units = jnp.broadcast_to(jnp.eye(logits or len(z), len(z), dtype=z.dtype)[..., None], (logits or len(z), *z.shape))
    (cotangents,) = jax.vmap(pull)(units)
    return [
        _of_layer(module, stacked, into, out_of, len(x))
        for (module, stacked), into, out_of in zip(modules(network), inputs, cotangents, strict=True)
    ]


def recorded(
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
            x, of_body = layer.around(recorded, x, left and left[:inside])
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


def _of_layer(module: AffineModule, stacked: bool, x: Array, g: Array, samples: int) -> Factors:
    def blocks(function: Callable[[Array], Array], array: Array) -> Float[Array, "block row place sample"]:
        found = jax.vmap(function)(array) if stacked else function(array)[None]
        return _by_sample(found.reshape(-1, *found.shape[2:]), samples)

    return Factors(blocks(module.weight_inputs, x), jax.vmap(lambda g: blocks(module.weight_outputs, g))(g))


def _by_sample(factor: Float[Array, "block row place copy"], samples: int) -> Float[Array, "block row place sample"]:
    """Copies of a sample that went through the same weights, such as its atoms, are places."""
    copies = factor.shape[-1] // samples
    if copies == 1:
        return factor
    split = factor.reshape(*factor.shape[:-1], samples, copies)
    return jnp.swapaxes(split, -1, -2).reshape(*factor.shape[:2], -1, samples)
