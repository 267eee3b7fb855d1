"""Pointwise nonlinearities and their Gaussian duals."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from models.layer import Nonlinearity
from models.signal import Signal


@dataclass(frozen=True)
class Relu(Nonlinearity):
    """φ(z) = max(z, 0)."""

    def module(self, signal: Signal, rngs: nnx.Rngs) -> "ReluModule":
        return ReluModule()

    def dual(
        self, nngp: Float[Array, "..."], variance1: Float[Array, "..."], variance2: Float[Array, "..."]
    ) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
        """The arc-cosine kernels of order one and zero (theory.md §2; Lee et al. 2019, arXiv:1902.06720).

        Where a variance is zero the signal is zero, and so are φ and JAX's φ'(0): both expectations are zero there.
        """
        norm = jnp.sqrt(variance1 * variance2)
        nonzero = norm > 0
        cosine = jnp.clip(nngp / jnp.where(nonzero, norm, 1), -1, 1)
        angle = jnp.pi - jnp.arccos(cosine)
        nngp = norm / (2 * jnp.pi) * (jnp.sqrt(1 - cosine**2) + angle * cosine)
        return nngp, jnp.where(nonzero, angle / (2 * jnp.pi), 0)


class ReluModule(nnx.Module):
    """Finite-width Relu."""

    def __call__(self, x: Float[Array, "..."]) -> Float[Array, "..."]:
        return jax.nn.relu(x)
