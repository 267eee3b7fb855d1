"""The published networks from Flax's own layers: convolutions by lax.conv, pools by reduce_window."""

import jax
import jax.numpy as jnp
from flax import nnx

from benchmarks.published import CONVOLUTIONS, GROUP_ORDER, POOL


class Cnn(nnx.Module):
    """The CNN of nnx.Conv."""

    def __init__(self, rngs: nnx.Rngs):
        self.layers = nnx.List(
            [
                nnx.Conv(layer.inputs, layer.features, (layer.size,) * 2, padding="VALID", use_bias=False, rngs=rngs)
                for layer in CONVOLUTIONS
            ]
        )

    def __call__(self, x):
        for layer, spec in zip(self.layers, CONVOLUTIONS, strict=True):
            x = activated(layer(x), spec)
        return x.reshape(len(x), -1)


class GroupCnn(nnx.Module):
    """The C4 GCNN: plain convolutions with a bank of four times as many, rotated filters."""

    def __init__(self, rngs: nnx.Rngs):
        self.weights = nnx.List([])
        for depth, spec in enumerate(CONVOLUTIONS):
            order = GROUP_ORDER if depth else 1
            shape = (spec.size, spec.size, spec.inputs, order, spec.features)
            self.weights.append(nnx.Param(jax.random.normal(rngs(), shape) * (2 / spec.fan_in / order) ** 0.5))

    def __call__(self, x):
        for weight, spec in zip(self.weights, CONVOLUTIONS, strict=True):
            bank = rotated_bank(weight[...])
            x = jax.lax.conv_general_dilated(x, bank, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = activated(x, spec)
        return x.reshape(len(x), -1, GROUP_ORDER).mean(-1)


def activated(x, spec):
    """What follows a convolution."""
    window = (POOL, POOL)
    x = nnx.max_pool(x, window, strides=window) if spec.pool else x
    return nnx.relu(x) if spec.relu else x


def rotated_bank(weight):
    """From [row, column, channel, q, feature] to [row, column, channel·p, feature·r]: W(ρ_r⁻¹y, r⁻¹p)."""
    size, _, channels, order, features = weight.shape
    turned = [
        jnp.rot90(weight[..., [(p - r) % order for p in range(order)], :], r, axes=(0, 1)) for r in range(GROUP_ORDER)
    ]
    return jnp.stack(turned, axis=-1).reshape(size, size, channels * order, features * GROUP_ORDER)


def network_of(network: str):
    """init(key) → parameters, and apply(parameters, x) → logits."""
    kind = {"cnn": Cnn, "gcnn": GroupCnn}[network]
    graph = nnx.split(kind(nnx.Rngs(0)))[0]
    return lambda key: nnx.split(kind(nnx.Rngs(key)))[1], lambda params, x: nnx.merge(graph, params)(x)
