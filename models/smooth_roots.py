"""Roots and quotients whose slopes are finite where the values are: at zero, where √x has none, it counts as zero.

Between two signals √ has an argument of zero where they coincide or vanish. A kernel has a cusp there, as |x| at zero,
and zero is the mean of its slopes to both sides, which is what central differences give.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float


def root(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """√x; zero, with slope zero, for x ≤ 0.

    The root is taken of a number that is not zero even where it is not used: 0 · ∞ would else reach the slopes.
    """
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def inverse(x: Float[Array, "..."]) -> Float[Array, "..."]:
    """1/x; zero, with slope zero, for x = 0."""
    used = x != 0
    return jnp.where(used, 1 / jnp.where(used, x, 1), 0)
