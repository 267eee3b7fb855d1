"""Kernels of finite networks: of one draw of the weights, and sampled over many."""

from functools import partial

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from analysis.kernels import Kernel
from models.architecture import Architecture


@partial(jax.jit, static_argnums=0)
def empirical_kernel(
    architecture: Architecture, params: PyTree[Float[Array, "..."]], x: Float[Array, "n *point channel"]
) -> Kernel:
    """Σ_θ ∂f ∂f' of the first logit between all inputs: over all weights (`.ntk`), and over the last layer's (`.nngp`).

    Where the logits are linear in the last layer's weights the latter is E[f f'] over these, so that its mean over
    initialisations is the NNGP, with far less scatter than f f' itself.
    """
    jacobian = jax.jacrev(lambda params: architecture.apply(params, x)[:, 0])(params)
    nngp, ntk = (sum(map(_gram, jax.tree.leaves(part))) for part in (_last_weights(jacobian), jacobian))
    return Kernel(jnp.asarray(nngp), jnp.asarray(ntk))


def sampled_kernel(
    architecture: Architecture, key: Key[Array, ""], x: Float[Array, "n *point channel"], members: int
) -> Kernel:
    """Empirical kernels of networks initialised by keys of their own, [member, n, n], one network after the other."""

    @jax.jit
    def one(key: Key[Array, ""]) -> Kernel:
        return empirical_kernel(architecture, architecture.init(key, x.shape[1:]), x)

    each = [one(jax.random.fold_in(key, member)) for member in range(members)]
    return Kernel(*(jnp.stack(of) for of in zip(*each, strict=True)))


def _last_weights(tree: dict) -> dict:
    """The parameters of the layer with weights that acts last, in layers inside layers, too."""
    while "weight" not in tree:
        layers = tree["body"]["layers"] if "body" in tree else tree["layers"]
        tree = next(layers[index] for index in sorted(layers, reverse=True) if jax.tree.leaves(layers[index]))
    return tree


def _gram(leaf: Float[Array, "n *weight"]) -> Float[Array, "n n"]:
    flat = leaf.reshape(len(leaf), -1)
    return flat @ flat.T
