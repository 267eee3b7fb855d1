"""The NTK of one layer's weights from its gradient factors, in whichever order is cheaper (arXiv:2206.08720).

With the cotangents g_k(t) and the inputs x(t) of a layer at its places t,

    Θ_kl(x, x') = Σ_tt' (g_k(t)·g'_l(t')) (x(t)·x'(t'))         from covariances over places, or
                = Σ_fi (Σ_t g_kf(t) x_i(t)) (Σ_t' g'_lf(t') x'_i(t'))    from gradients, a few features f at a time.

The first costs (places · samples)² and suits layers with few places, the second as much as one more step backward, and
a product of matrices for each feature. Both hold some `WORKSPACE` bytes beside the factors, however many weights.
"""

from collections.abc import Callable
from typing import Literal

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from analysis.empirical.factors import Factors

Output = Literal["trace", "diagonal", "full"]
Inputs = Float[Array, "fan_in place sample"]
Cotangents = Float[Array, "logit feature place sample"]
Block = tuple[Inputs, Cotangents]
Values = Float[Array, "n1 n2 *logits"]

WORKSPACE = 32 * 2**20  # bytes that a contraction may hold at once, beside factors and result

# How the products of cotangents, and of gradients, are summed over logits; and the result's axes.
OVER_PLACES = {
    "trace": ("kftn,kfum->tnum", ""),
    "diagonal": ("kftn,kfum->ktnum", "k"),
    "full": ("kftn,lfum->kltnum", "kl"),
}
OVER_GRADIENTS = {"diagonal": "nfki,mfki->nmk", "full": "nfki,mfli->nmkl"}


def layer_ntk(first: Factors, second: Factors, output: Output) -> Values:
    """Σ_θ ∂f_k(x) ∂f_l(x') over the layer's weights; for "trace" the mean over logits k = l."""
    by_gradients = gradient_cost(first, second, output) < covariance_cost(first, second, output)
    contract = _from_gradients if by_gradients else _from_covariances

    def of_block(carry: Values, block: int | Array) -> tuple[Values, None]:
        one = first.inputs[block], first.outputs[:, block]
        other = one if first is second else (second.inputs[block], second.outputs[:, block])
        return carry + contract(one, other, output), None

    logits, blocks, *_ = first.sizes
    total = jnp.zeros(_shape(first, second, output), first.inputs.dtype)
    if blocks == 1:
        total, _ = of_block(total, 0)
    else:
        total, _ = jax.lax.scan(of_block, total, jnp.arange(blocks))
    return total / logits if output == "trace" else total


def gradient_cost(first: Factors, second: Factors, output: Output) -> float:
    """Floating-point operations of the product from gradients."""
    logits, blocks, features, inputs, places = first.sizes
    n1, n2 = first.inputs.shape[-1], second.inputs.shape[-1]
    alone = 0 if first is second else n2
    pairs = logits**2 if output == "full" else logits
    return 2.0 * blocks * features * inputs * ((n1 + alone) * logits * places + n1 * n2 * pairs)


def covariance_cost(first: Factors, second: Factors, output: Output) -> float:
    """Floating-point operations of the product from covariances."""
    logits, blocks, features, inputs, places = first.sizes
    n1, n2 = first.inputs.shape[-1], second.inputs.shape[-1]
    pairs = logits**2 if output == "full" else logits
    return 2.0 * blocks * n1 * n2 * places**2 * (pairs * (features + (output != "trace")) + inputs)


def _shape(first: Factors, second: Factors, output: Output) -> tuple[int, ...]:
    axes = {"trace": 0, "diagonal": 1, "full": 2}[output]
    return (first.inputs.shape[-1], second.inputs.shape[-1], *[len(first.outputs)] * axes)


def _from_covariances(first: Block, second: Block, output: Output) -> Values:
    """A few of the first signal's places at a time."""
    (x1, g1), (x2, g2) = first, second
    over_logits, axes = OVER_PLACES[output]
    (_, places, n1), (_, _, n2) = x1.shape, x2.shape
    a_place = (len(g1) ** len(axes) + 1) * n1 * n2 * x2.shape[1] * x1.dtype.itemsize

    def some(x1: Array, g1: Array) -> Values:
        covariance = jnp.einsum("itn,ium->tnum", x1, x2)
        return jnp.einsum(f"{axes}tnum,tnum->nm{axes}", jnp.einsum(over_logits, g1, g2), covariance)

    return _summed(some, (x1, g1), (1, 2), places, a_place)


def _from_gradients(first: Block, second: Block, output: Output) -> Values:
    """A few features at a time, each with its weights' gradients for all samples."""
    sides = [first] if first is second else [first, second]
    inputs = [jnp.transpose(x) for x, _ in sides]
    cotangents = [jnp.transpose(g, (3, 1, 0, 2)) for _, g in sides]
    samples, features, logits, _ = cotangents[0].shape
    a_feature = sum(x.shape[0] * x.shape[2] for x in inputs) * logits * inputs[0].dtype.itemsize

    def some(*cotangents: Array) -> Values:
        gradients = [_gradients(g, x) for g, x in zip(cotangents, inputs, strict=True)]
        if output == "trace":
            return gradients[0].reshape(samples, -1) @ gradients[-1].reshape(len(gradients[-1]), -1).T
        return jnp.einsum(OVER_GRADIENTS[output], gradients[0], gradients[-1])

    return _summed(some, tuple(cotangents), (1,) * len(sides), features, a_feature)


def _gradients(g: Float[Array, "n f k t"], x: Float[Array, "n t i"]) -> Float[Array, "n f k i"]:
    """Σ_t g x of every sample; on CPUs one after the other, as products of matrices there use all that there is."""
    rows, one_by_one = g.reshape(len(g), -1, g.shape[-1]), jax.default_backend() == "cpu"
    product = jax.lax.map(lambda each: each[0] @ each[1], (rows, x)) if one_by_one else rows @ x
    return product.reshape(*g.shape[:-1], -1)


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
