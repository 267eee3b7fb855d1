"""Empirical NTKs of any differentiable network, by Jacobian contraction and NTK-vector products (arXiv:2206.08720)."""

from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.analysis.empirical.factors import Params
from widesym.analysis.empirical.structured import Output, Values

Batch = Float[Array, "sample *point channel"]
Apply = Callable[[Params, Batch], Float[Array, "sample logit"]]

BLOCK = 2**22  # weights whose gradients are held together, one logit's for all samples, if the logits allow that


def jacobian_ntk(apply: Apply, params: Params, x1: Batch, x2: Batch | None, output: Output) -> Values:
    """Σ_θ ∂f_k ∂f_l' from gradients of each sample, a block of arrays of weights at a time.

    Without `full`, one logit after the other.
    """
    leaves, tree = jax.tree.flatten(params)
    total: Any = 0
    for block in _blocks(leaves):

        def logits_of(part: list[Array], x: Array, block: list[int] = block) -> Float[Array, " logit"]:
            replaced = dict(zip(block, part, strict=True))
            merged = [replaced.get(index, leaf) for index, leaf in enumerate(leaves)]
            return apply(jax.tree.unflatten(tree, merged), x[None])[0]

        part = [leaves[index] for index in block]
        total += _contracted(logits_of, part, x1, x2, output)
    return total


def _blocks(leaves: list[Array]) -> Iterator[list[int]]:
    """Indices of the leaves, in runs of `BLOCK` weights; a larger leaf is alone."""
    block, size = [], 0
    for index, leaf in enumerate(leaves):
        if block and size + leaf.size > BLOCK:
            yield block
            block, size = [], 0
        block.append(index)
        size += leaf.size
    if block:
        yield block


def _contracted(
    logits_of: Callable[[list[Array], Array], Array], part: list[Array], x1: Batch, x2: Batch | None, output: Output
) -> Values:
    count = jax.eval_shape(logits_of, part, x1[0]).shape[0]
    sides = [x1] if x2 is None else [x1, x2]
    pulls = [jax.vmap(lambda x: jax.vjp(lambda part: logits_of(part, x), part)[1])(x) for x in sides]
    units = jnp.eye(count, dtype=x1.dtype)

    def gradients(unit: Array) -> list[list[Float[Array, "n weight"]]]:
        """Of one logit, for all samples of both sides."""
        pulled = [jax.vmap(lambda pull: pull(unit)[0])(side) for side in pulls]
        return [[leaf.reshape(len(leaf), -1) for leaf in leaves] for leaves in pulled]

    def product(unit: Array) -> Values:
        found = gradients(unit)
        return sum(a @ b.T for a, b in zip(found[0], found[-1], strict=True))  # pyright: ignore[reportReturnType]

    match output:
        case "trace":
            zero = jnp.zeros((len(x1), len(sides[-1])), x1.dtype)
            return jax.lax.scan(lambda total, unit: (total + product(unit), None), zero, units)[0] / count
        case "diagonal":
            return jnp.moveaxis(jax.lax.map(product, units), 0, -1)
        case "full":
            found = jax.vmap(gradients)(units)
            pairs = zip(found[0], found[-1], strict=True)
            return sum(jnp.einsum("knp,lmp->nmkl", a, b) for a, b in pairs)  # pyright: ignore[reportReturnType]


def vector_product_ntk(apply: Apply, params: Params, x1: Batch, x2: Batch | None, output: Output) -> Values:
    """Column by column: the gradient of one logit of one sample, pushed forward to all logits of all others.

    It holds one gradient at a time.
    """
    logits, push = jax.linearize(lambda params: apply(params, x1), params)
    units = jnp.eye(logits.shape[1], dtype=logits.dtype)

    def columns(x: Array) -> Array:
        _, pull = jax.vjp(lambda params: apply(params, x[None])[0], params)

        def column(unit: Array) -> Array:
            pushed = push(pull(unit)[0])
            return pushed if output == "full" else pushed @ unit

        found = jax.lax.map(column, units)
        return found.mean(0) if output == "trace" else found

    found = jax.lax.map(columns, x1 if x2 is None else x2)
    return jnp.einsum({"trace": "mn->nm", "diagonal": "mkn->nmk", "full": "mlnk->nmkl"}[output], found)
