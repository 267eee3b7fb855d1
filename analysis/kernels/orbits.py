"""Kernels of augmented sets: on full orbits they depend on the relative group element alone (theory.md §4)."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from analysis.kernels.analytic import AnalyticKernel, Kernel
from analysis.kernels.lag_plan import with_signals
from models.conv import Conv
from models.dense import Dense
from models.group_conv import GroupConv, LiftingConv
from models.groups import Group
from models.layer import Layer, Nonlinearity
from models.pooling import AvgPool, Flatten, GlobalAvgPool, GroupPool
from models.residual import Identity, Residual
from models.signal import Signal


def orbit_kernel(kernel: AnalyticKernel, group: Group, x: Float[ArrayLike, "n row column channel"]) -> Kernel:
    """K and Θ of the full orbit of x with itself, [group·n, group·n], in the order of `Group.orbit`.

    Where the group maps all filters to themselves K(ρ_p x, ρ_q x') = K(x, ρ_{p⁻¹q} x') (theory.md §4), and one block
    row of n × n kernels gives all; elsewhere every block is computed.
    """
    signals = kernel.architecture.signals(jnp.shape(x)[1:])
    if not all(_is_symmetric(layer, group, signal) for layer, signal in with_signals(kernel.architecture, signals[0])):
        return kernel(group.orbit(x))
    blocks = [kernel(x, group.rotate_images(x, q)) for q in group.elements]

    def assemble(field: str) -> Float[Array, "orbit orbit"]:
        rows = [
            [getattr(blocks[group.product(group.inverse(p), q)], field) for q in group.elements] for p in group.elements
        ]
        return jnp.block(rows)

    return Kernel(assemble("nngp"), assemble("ntk"))


def _is_symmetric(layer: Layer, group: Group, signal: Signal) -> bool:
    """Whether rotating both inputs of the layer's covariance operator rotates its output."""
    if isinstance(layer, LiftingConv | GroupConv) and not _normalises(group, layer.group):
        return False
    if isinstance(layer, Conv | LiftingConv | GroupConv | AvgPool):
        try:
            layer.window.check_symmetry(group, signal)
        except ValueError:
            return False
        return True
    return isinstance(layer, Dense | Nonlinearity | Residual | Identity | Flatten | GlobalAvgPool | GroupPool)


def _normalises(group: Group, lifted: Group) -> bool:
    """Whether p⁻¹Hp = H for all p of the group: the network's own group H contains it, or both are rotations alone."""
    contains = lifted.rotations % group.rotations == 0 and lifted.reflections >= group.reflections
    return lifted.is_exact and (contains or not (group.reflections or lifted.reflections))
