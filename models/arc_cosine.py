"""arccos by a polynomial: the one transcendental function of the kernels of piecewise linear activations."""

from functools import lru_cache

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

DEGREES = {4: 8, 8: 18}  # by bytes a number: the polynomials' error, 3e-9 and 2e-15, is below rounding


def arccos(cosine: Float[Array, "..."]) -> Float[Array, "..."]:
    """arccos c for c in [−1, 1]: √(1−|c|) p(|c|), and π minus that for c < 0 (Abramowitz & Stegun 4.4.46).

    As exact as the platform's own, to rounding, and vectorised where that is a call for every number.
    """
    size = jnp.abs(cosine)
    coefficients = _coefficients(DEGREES[cosine.dtype.itemsize])
    value = jnp.full_like(size, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        value = value * (2 * size - 1) + jnp.asarray(coefficient, size.dtype)
    angle = jnp.sqrt(1 - size) * value
    return jnp.where(cosine < 0, jnp.pi - angle, angle)


@lru_cache
def _coefficients(degree: int) -> Float[np.ndarray, " power"]:
    """Of p in powers of 2|c| − 1, through Chebyshev's nodes of arccos|c|/√(1−|c|), which is smooth on [0, 1]."""
    nodes = np.polynomial.chebyshev.chebpts1(degree + 1)
    smooth = np.arccos((1 + nodes) / 2) / np.sqrt((1 - nodes) / 2)
    return np.polynomial.chebyshev.cheb2poly(np.polynomial.chebyshev.chebfit(nodes, smooth, degree))
