"""Expectations E[φ(u)φ(v)] over two centred Gaussians by numerical integration, for smooth φ and any variances.

With u = √q x and v = √q' (c x + √(1 − c²) y), x and y ~ N(0, 1), that is an integral over x, and for each x one over y.
Both are trapezoidal sums over t, where x = asinh(ε sinh t): equal steps at the Gaussian's own scale, 1, which below it
become small in proportion to x, down to ε. About u = 0, and about the y for which v = 0, ε makes steps what they are at
unit variance, however large the variance: a function that changes over a length of 1 is seen as sharply as the
Gaussian, by nodes whose number grows with log q alone. Integrands are analytic about real t, so the error falls
exponentially with the number of nodes (Trefethen & Weideman 2014, doi:10.1137/130932132).
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.models.layers.activations import Field, norm_and_cosine, sine_of

REACH = 7.0  # standard deviations to which nodes reach: 3e-12 lies outside

Function = Callable[[Field], Field]
Orders = tuple[tuple[int, int], ...]


@partial(jax.custom_jvp, nondiff_argnums=(0, 1, 2))
def gaussian_means(
    phi: Function, orders: Orders, nodes: int, nngp: Field, variance1: Field, variance2: Field
) -> tuple[Field, ...]:
    """E[φ⁽ⁱ⁾(u) φ⁽ʲ⁾(v)] for each (i, j) of `orders`, by `integrated`.

    They are differentiated as expectations, not as sums: ∂/∂k E[f(u)g(v)] = E[f'(u)g'(v)] and ∂/∂q E[f(u)g(v)] =
    E[f''(u)g(v)]/2 (Price 1958, doi:10.1109/TIT.1958.1057444), which hold for c = ±1 and for zero variances, too.
    """
    return integrated(phi, orders, nodes, nngp, variance1, variance2)


@gaussian_means.defjvp
def _gaussian_means_jvp(
    phi: Function, orders: Orders, nodes: int, primals: tuple[Field, ...], tangents: tuple[Field, ...]
) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
    needed = tuple(pair for i, j in orders for pair in ((i + 1, j + 1), (i + 2, j), (i, j + 2)))
    found = gaussian_means(phi, needed, nodes, *primals)
    by_covariance, by_variance1, by_variance2 = tangents
    changes = tuple(
        found[n] * by_covariance + found[n + 1] / 2 * by_variance1 + found[n + 2] / 2 * by_variance2
        for n in range(0, len(needed), 3)
    )
    return gaussian_means(phi, orders, nodes, *primals), changes


def integrated(
    phi: Function, orders: Orders, nodes: int | Array, nngp: Field, variance1: Field, variance2: Field
) -> tuple[Field, ...]:
    """The same by sums over nodes × nodes points at variance 1, more at larger ones; all arrays have one shape."""
    _, cosine = norm_and_cosine(nngp, variance1, variance2)
    pair = _Pair(jnp.sqrt(variance1), jnp.sqrt(variance2), cosine, sine_of(cosine))
    derivatives = _derivatives(phi, 1 + max(map(max, orders)))

    def given_x(x: Field) -> tuple[Field, ...]:
        at_u = [derivative(pair.deviation1 * x) for derivative in derivatives]
        of_v = _mean(nodes, *_around_zero(pair, x), lambda y: _at(derivatives, orders, pair, x, y))
        return tuple(at_u[i] * mean for (i, _), mean in zip(orders, of_v, strict=True))

    finest = _finest(jnp.maximum(pair.deviation1, pair.deviation2))
    return _mean(nodes, jnp.zeros_like(cosine), finest, given_x)


class _Pair(NamedTuple):
    """√q, √q', c and √(1 − c²)."""

    deviation1: Field
    deviation2: Field
    cosine: Field
    sine: Field


def _derivatives(phi: Function, number: int) -> list[Function]:
    """φ, φ', φ'', …, each on arrays."""
    found: list[Callable] = [phi]
    for _ in range(number - 1):
        found.append(jax.grad(found[-1]))
    return [jnp.vectorize(derivative) for derivative in found]


def _at(derivatives: list[Function], orders: Orders, pair: _Pair, x: Field, y: Field) -> tuple[Field, ...]:
    """φ⁽ʲ⁾(v) for each (i, j)."""
    v = pair.deviation2 * (pair.cosine * x + pair.sine * y)
    values = {j: derivatives[j](v) for j in {j for _, j in orders}}
    return tuple(values[j] for _, j in orders)


def _around_zero(pair: _Pair, x: Field) -> tuple[Field, Field]:
    """Where on the axis of y nodes are close, v = 0 or the end that is nearer to it, and ε there."""
    zero = -pair.cosine * x / jnp.maximum(pair.sine, jnp.finfo(x.dtype).tiny)
    return jnp.clip(zero, -REACH, REACH), _finest(pair.deviation2 * pair.sine)


def _finest(deviation: Field) -> Field:
    """ε, so that steps of a variable of this deviation are no longer near zero than at unit deviation."""
    return 1 / jnp.maximum(deviation, 1)


def _mean(
    nodes: int | Array, centre: Field, finest: Field, f: Callable[[Field], tuple[Field, ...]]
) -> tuple[Float[Array, "..."], ...]:
    """E[f(x)], x ~ N(0, 1), by nodes that lie closer towards `centre`: point after point, so that memory is spared."""
    low, high = (_unstretched(end - centre, finest) for end in (-REACH, REACH))
    number = jnp.ceil((nodes - 1) * jnp.max(high - low) / (2 * REACH))  # of steps, as long as at unit variance
    step = (high - low) / number

    def add(index: Array, sums: list[Field]) -> list[Field]:
        power = jnp.exp(low + step * index)
        scaled, slope = finest * (power - 1 / power) / 2, finest * (power + 1 / power) / 2
        root = jnp.sqrt(1 + scaled**2)
        x = centre + jnp.sign(scaled) * jnp.log1p(jnp.abs(scaled) + scaled**2 / (1 + root))
        weight = jnp.exp(-(x**2) / 2) * slope / root
        return [total + weight * value for total, value in zip(sums, (*f(x), 1.0), strict=True)]

    sums = [jnp.zeros_like(centre)] * (len(jax.eval_shape(f, centre)) + 1)
    sums = jax.lax.fori_loop(0, number.astype(int) + 1, add, sums)
    return tuple(total / sums[-1] for total in sums[:-1])


def _unstretched(x: Field, finest: Field) -> Field:
    """The t of x = asinh(ε sinh t), asinh((sinh x)/ε), without powers of e that overflow."""
    size = jnp.abs(x)
    half = -jnp.expm1(-2 * size) / (2 * finest)  # (sinh|x|)/ε e^{−|x|}
    return jnp.sign(x) * (size + jnp.log(half + jnp.sqrt(half**2 + jnp.exp(-2 * size))))
