"""Kernels of augmented sets: on full orbits they depend on the relative group element alone (theory.md §4)."""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float

from widesym.analysis.kernels.analytic import AnalyticKernel, Kernel
from widesym.analysis.kernels.group_circulant import GroupCirculant, OrbitKernel
from widesym.analysis.kernels.lag_plan import with_signals
from widesym.models.architecture import Architecture
from widesym.models.groups import Group
from widesym.models.layer import Layer
from widesym.models.layers.conv import Conv
from widesym.models.layers.group_conv import GroupConv, LiftingConv
from widesym.models.layers.pooling import AvgPool
from widesym.models.signal import Signal


def orbit_kernel(kernel: AnalyticKernel, group: Group, x: Float[ArrayLike, "n row column channel"]) -> Kernel:
    """K and Θ of the full orbit of x with itself, [group·n, group·n], in the order of `Group.orbit`.

    Block by block (`orbit_blocks`) where the group maps all filters to themselves; elsewhere every pair is computed.
    """
    if not is_symmetric(kernel.architecture, group, jnp.shape(x)[1:]):
        return kernel(group.orbit(x))
    return Kernel(*(matrix.dense() for matrix in orbit_blocks(kernel, group, x)))


def orbit_blocks(kernel: AnalyticKernel, group: Group, x: Float[ArrayLike, "n row column channel"]) -> OrbitKernel:
    """The same by its first block row: K(ρ_p x, ρ_q x') = K(x, ρ_{p⁻¹q} x') (theory.md §4).

    Of g and g⁻¹ one block is computed, the other is its transpose. Raises ValueError where the group moves filters.
    """
    if not is_symmetric(kernel.architecture, group, jnp.shape(x)[1:]):
        raise ValueError(
            f"{group} does not map all filters of this architecture to themselves, so the kernel of its orbits has no "
            "blocks that repeat; use `orbit_kernel`, which computes every pair"
        )
    computed = {
        g: Kernel(*map(np.asarray, kernel(x, group.rotate_images(x, g))))
        for g in group.elements
        if g <= group.inverse(g)
    }

    def block(g: int, field: int) -> Float[np.ndarray, "n n"]:
        return np.asarray(computed[g][field] if g in computed else computed[group.inverse(g)][field].T)

    rows = [np.stack([block(g, field) for g in group.elements]) for field in (0, 1)]
    return OrbitKernel(*(GroupCirculant.of_blocks(group, row) for row in rows))


def is_symmetric(architecture: Architecture, group: Group, input_shape: Sequence[int]) -> bool:
    """Whether the group maps all of the architecture's filters to themselves, so that kernels depend on p⁻¹q alone."""
    signals = architecture.signals(input_shape)
    return all(_is_symmetric(layer, group, signal) for layer, signal in with_signals(architecture, signals[0]))


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
    return layer.keeps_lags_apart  # and so acts alike at all pixels


def _normalises(group: Group, lifted: Group) -> bool:
    """Whether p⁻¹Hp = H for all p of the group: the network's own group H contains it, or both are rotations alone."""
    contains = lifted.rotations % group.rotations == 0 and lifted.reflections >= group.reflections
    return lifted.is_exact and (contains or not (group.reflections or lifted.reflections))
