"""The published networks from Flax's own layers: convolutions by lax.conv, pools by reduce_window."""

import math

import jax
import jax.numpy as jnp
import numpy as np
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
            self.weights.append(nnx.Param(jax.random.normal(rngs(), shape)))

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


def ensemble_of(network: str, members: int):
    """Stacked parameters of He's law, and apply(one member's parameters, x) → logits.

    Drawn by NumPy: Flax's own initialisation takes most of a minute to compile.
    """
    kind, rng = {"cnn": Cnn, "gcnn": GroupCnn}[network], np.random.default_rng(0)
    graph, shapes = nnx.split(nnx.eval_shape(lambda: kind(nnx.Rngs(0))), nnx.Param, ...)[:2]

    def drawn(leaf):
        std = (2 / math.prod(leaf.shape[:-1])) ** 0.5
        return jnp.asarray(std * rng.standard_normal((members, *leaf.shape), np.float32))

    return jax.tree.map(drawn, shapes), lambda params, x: nnx.merge(graph, params)(x)
