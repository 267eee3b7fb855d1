"""Small angles by a polynomial: the one transcendental function of the kernels of piecewise linear activations."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widesym.models.smooth_roots import root

DEGREES = {4: 8, 8: 18}  # by bytes a number: the polynomials' error, 3e-9 and 2e-15, is below rounding


def angle_and_sine(gap: Float[Array, "..."]) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """θ in [0, π/2] and sin θ, with cos θ = 1 − gap: √gap p(1 − gap) (Abramowitz & Stegun 4.4.46) and √gap √(2 − gap).

    To a few units in the last place, however small the gap, and vectorised where arccos is a call for every number.
    """
    coefficients = _coefficients(DEGREES[gap.dtype.itemsize])
    value = jnp.full_like(gap, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * (1 - 2 * gap) + jnp.asarray(coefficient, gap.dtype)
    size = root(gap)
    return size * value, size * jnp.sqrt(2 - gap)


@lru_cache
def _coefficients(degree: int) -> Float[np.ndarray, " power"]:
    """Of p in powers of 2c − 1, through Chebyshev's nodes of arccos c/√(1 − c), which is smooth on [0, 1]."""
    nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
    smooth = np.arccos((1 + nodes) / 2) / np.sqrt((1 - nodes) / 2)
    return np.polynomial.chebyshev.cheb2poly(np.polynomial.chebyshev.chebfit(nodes, smooth, degree))
