"""NTK and NNGP of networks as they are initialised: of one draw of the weights, and sampled over many."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int, Key, PyTree

from widesym.analysis.empirical.factors import gradient_factors
from widesym.analysis.empirical.structured import layer_ntk
from widesym.analysis.kernels import Kernel
from widesym.models.architecture import Architecture
from widesym.models.layer import Affine, Reduction
from widesym.models.layers.invariants import Canonicalize
from widesym.models.layers.parts import PartSum
from widesym.models.numerics import fixed_numerics


@partial(jax.jit, static_argnums=0)
def empirical_kernel(
    architecture: Architecture, params: PyTree[Float[Array, "..."]], x: Float[Array, "n *point channel"]
) -> Kernel:
    """Σ_θ ∂f ∂f' of the first logit between all inputs: over all weights (`.ntk`), and over the last layer's (`.nngp`).

    As the logits are linear in the last layer's weights, N(0, 1), the latter is E[f f'] over these: its mean over
    initialisations is the NNGP, with far less scatter than f f' itself. Raises ValueError where that does not hold: for
    other parametrizations than `ntk`, and for networks that do not end in a layer with weights, or averages after it.
    """
    check_linear_head(architecture)
    with jax.default_matmul_precision("float32"):
        factors = gradient_factors(architecture, params, x, 1)
        each = [layer_ntk(of_layer, of_layer, "full")[..., 0, 0] for of_layer in factors]
    return Kernel(each[-1], sum(each))  # pyright: ignore[reportArgumentType]


def sampled_kernel(
    architecture: Architecture, key: Key[Array, ""], x: Float[Array, "n *point channel"], members: int
) -> Kernel:
    """Empirical kernels of networks initialised by keys of their own, [member, n, n], one network after the other.

    In the precision of x, whatever JAX is set to.
    """
    each = [kernels_of_members(architecture, key, np.array([member]), x) for member in range(members)]
    return Kernel(*(jnp.concatenate(of) for of in zip(*each, strict=True)))


def kernels_of_members(
    architecture: Architecture,
    key: Key[Array, ""],
    members: Int[ArrayLike, " member"],
    x: Float[ArrayLike, "n *point channel"],
) -> Kernel:
    """Empirical kernels [member, n, n] of the networks of these numbers, in one program: one after the other.

    In the precision of x, whatever JAX is set to.
    """
    x = jnp.asarray(x)
    with fixed_numerics(x.dtype == jnp.float64):
        return _kernels_of_members(architecture, key, members, x)


@partial(jax.jit, static_argnums=0)
def _kernels_of_members(
    architecture: Architecture,
    key: Key[Array, ""],
    members: Int[Array, " member"],
    x: Float[Array, "n *point channel"],
) -> Kernel:
    def one(member: Int[Array, ""]) -> Kernel:
        params = architecture.init(jax.random.fold_in(key, member), x.shape[1:])
        return empirical_kernel(architecture, params, x)

    return jax.lax.map(one, members)


def check_linear_head(architecture: Architecture) -> None:
    """Raise ValueError where the logits are not linear in the last layer's weights, all N(0, 1)."""
    if architecture.parametrization != "ntk":
        raise ValueError(f"kernels are compared in the 'ntk' parametrization, not in {architecture.parametrization!r}")
    layers = architecture.layers
    while True:
        last = next((layer for layer in reversed(layers) if not isinstance(layer, Reduction)), None)
        if isinstance(last, Affine):
            return
        if not isinstance(last, PartSum | Canonicalize):
            raise ValueError(
                f"the network ends in {type(last).__name__}; its last layer must be one with weights, such as Dense, "
                "with nothing but averages after it"
            )
        layers = last.body
