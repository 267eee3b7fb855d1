"""Kernels of augmented sets: on full orbits they depend on the relative group element alone (theory.md §4)."""

import jax.numpy as jnp
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from analysis.kernels.analytic import AnalyticKernel, Kernel
from models.conv import Conv
from models.group_conv import GroupConv, LiftingConv, check_group_filter
from models.groups import Group


def orbit_kernel(kernel: AnalyticKernel, group: Group, x: Float[ArrayLike, "n row column channel"]) -> Kernel:
    """K and Θ of the full orbit of x with itself, [group·n, group·n], in the order of `Group.orbit`.

    From one block row, as K(ρ_p x, ρ_q x') = K(x, ρ_{p⁻¹q} x') (theory.md §4): |G| kernels of n × n, not |G|².
    Raises ValueError for a filter that the group does not map to itself, where that does not hold.
    """
    for index, layer in enumerate(kernel.architecture.layers):
        if isinstance(layer, Conv | LiftingConv | GroupConv):
            check_group_filter(f"layer {index}: {type(layer).__name__}", group, layer.size, layer.padding)
    blocks = [kernel(x, group.rotate_images(x, q)) for q in group.elements]

    def assemble(field: str) -> Float[Array, "orbit orbit"]:
        rows = [
            [getattr(blocks[group.product(group.inverse(p), q)], field) for q in group.elements] for p in group.elements
        ]
        return jnp.block(rows)

    return Kernel(assemble("nngp"), assemble("ntk"))
