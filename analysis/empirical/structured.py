"""The NTK of one layer's weights from its gradient factors, in whichever order is cheaper (arXiv:2206.08720).

With the cotangents g_k(t) and the inputs x(t) of a layer at its places t,

    Θ_kl(x, x') = Σ_tt' (g_k(t)·g'_l(t')) (x(t)·x'(t'))                         from covariances over places, or
                = Σ_fi (Σ_t g_kf(t) x_i(t)) (Σ_t' g'_lf(t') x'_i(t'))    from gradients, a few features f at a time.

The first costs (places · samples)² and suits layers with few places, the second as much as one more step backward, and
a product of matrices for each feature. Both hold some `WORKSPACE` bytes beside the factors, however many weights.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.analysis.empirical.factors import Factors, each

Output = Literal["trace", "diagonal", "full"]
Values = Float[Array, "n1 n2 *logits"]

WORKSPACE = 32 * 2**20  # bytes that a contraction may hold at once, beside factors and result

# How products of cotangents, and of gradients, are summed over logits; and the result's axes beside samples.
OVER_PLACES = {
    "trace": ("nkbft,mkbfu->bnmtu", ""),
    "diagonal": ("nkbft,mkbfu->kbnmtu", "k"),
    "full": ("nkbft,mlbfu->klbnmtu", "kl"),
}
OVER_GRADIENTS = {"diagonal": "nkg,mkg->nmk", "full": "nkg,mlg->nmkl"}


def layer_ntk(first: Factors, second: Factors, output: Output) -> Values:
    """Σ_θ ∂f_k(x) ∂f_l(x') over the layer's weights; for "trace" the mean over logits k = l."""
    by_gradients = gradient_cost(first, second, output) < covariance_cost(first, second, output)
    total = (_from_gradients if by_gradients else _from_covariances)(first, second, output)
    return total / first.outputs.shape[1] if output == "trace" else total


def gradient_cost(first: Factors, second: Factors, output: Output) -> float:
    """Floating-point operations of the product from gradients."""
    n1, logits, blocks, features, inputs, places = first.sizes
    n2, pairs = len(second.outputs), logits**2 if output == "full" else logits
    made = n1 if first is second else n1 + n2
    return 2.0 * blocks * features * inputs * (made * logits * places + n1 * n2 * pairs)


def covariance_cost(first: Factors, second: Factors, output: Output) -> float:
    """Floating-point operations of the product from covariances."""
    n1, logits, blocks, features, inputs, places = first.sizes
    n2, pairs = len(second.outputs), logits**2 if output == "full" else logits
    return 2.0 * blocks * n1 * n2 * places**2 * (pairs * (features + (output != "trace")) + inputs)


def _from_covariances(first: Factors, second: Factors, output: Output) -> Values:
    """A few of the first signal's places at a time."""
    over_logits, axes = OVER_PLACES[output]
    sides = [first] if first is second else [first, second]
    inputs = [jax.vmap(side.inputs)(side.x) for side in sides]
    (n1, logits, blocks, _, places), n2 = first.outputs.shape, len(second.outputs)
    a_place = (logits ** len(axes) + 1) * blocks * n1 * n2 * places * first.x.dtype.itemsize

    def some(x1: Float[Array, "n b i t"], g1: Float[Array, "n k b f t"]) -> Values:
        covariance = jnp.einsum("nbit,mbiu->bnmtu", x1, inputs[-1])
        return jnp.einsum(f"{axes}bnmtu,bnmtu->nm{axes}", jnp.einsum(over_logits, g1, second.outputs), covariance)

    return _summed(some, (inputs[0], first.outputs), (3, 4), places, a_place)


def _from_gradients(first: Factors, second: Factors, output: Output) -> Values:
    """A few features at a time, each with its weights' gradients for all samples."""
    sides = [first] if first is second else [first, second]
    _, logits, blocks, features, inputs, _ = first.sizes
    a_feature = logits * blocks * inputs * sum(len(side.x) for side in sides) * first.x.dtype.itemsize

    def some(*outputs: Float[Array, "n k b f t"]) -> Values:
        gradients = [_gradients(side, g) for side, g in zip(sides, outputs, strict=True)]
        if output == "trace":
            return gradients[0].reshape(len(first.x), -1) @ gradients[-1].reshape(len(second.x), -1).T
        return jnp.einsum(OVER_GRADIENTS[output], gradients[0], gradients[-1])

    return _summed(some, tuple(side.outputs for side in sides), (3,) * len(sides), features, a_feature)


def _gradients(side: Factors, outputs: Float[Array, "n k b f t"]) -> Float[Array, "n k weight"]:
    """Σ_t g x of every sample; on CPUs one after the other, as products of matrices there use all that there is."""

    def of_sample(one: tuple[Array, Array]) -> Float[Array, "k weight"]:
        x, g = one
        return jnp.einsum("kbft,bit->kbfi", g, side.inputs(x)).reshape(len(g), -1)

    return each(of_sample, (side.x, outputs))


def _summed(
    function: Callable[..., Values], arrays: tuple[Array, ...], axes: tuple[int, ...], length: int, bytes_each: int
) -> Values:
    """Σ of the function over equal slices of the arrays along these axes, as long as the workspace allows."""
    divisors = [number for number in range(1, length + 1) if length % number == 0]
    size = max(number for number in divisors if number == 1 or number * bytes_each <= WORKSPACE)

    def part(index: int | Array) -> Values:
        sliced = zip(arrays, axes, strict=True)
        return function(*(jax.lax.dynamic_slice_in_dim(x, index * size, size, axis) for x, axis in sliced))

    if size == length:
        return function(*arrays)
    zero = jnp.zeros_like(jax.eval_shape(part, 0))
    return jax.lax.scan(lambda total, index: (total + part(index), None), zero, jnp.arange(length // size))[0]
