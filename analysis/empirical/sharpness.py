"""The largest eigenvalue of one network's NTK, which bounds the learning rates that it can be trained with."""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse.linalg
from jaxtyping import Array, Float

from widesym.analysis.empirical.checks import Inputs, Network, Params, applied, checked_arguments

Logits = Float[np.ndarray, " sample_and_logit"]

KRYLOV = 12  # vectors that the Lanczos method holds; ARPACK starts again from the best of them


def largest_ntk_eigenvalue(network: Network, params: Params, x: Inputs, *, tolerance: float = 1e-3) -> float:
    """λ_max of Θ = J Jᵀ, [N·logits, N·logits], of one member on N inputs (theory.md §2), to this relative tolerance.

    By Lanczos (ARPACK) on v ↦ J (Jᵀ v): a backward and a forward derivative for each product, as much memory as for one
    gradient of all inputs, and no Jacobian. JᵀJ/N, which has the same largest eigenvalue over N, is the Gauss-Newton
    part of the Hessian of L = 1/(2N) Σ ‖f − y‖². Raises ValueError for parameters that do not fit the network or are
    of several members, and where parameters, inputs or products are not finite.
    """
    given = checked_arguments(network, params, x, None)
    if given.members is not None:
        raise ValueError(f"the parameters are those of {given.members} members; give one member's")
    rows = len(given.x1) * given.logits

    def product(v: Logits) -> Logits:
        pushed = _product(network, given.params, given.x1, jnp.asarray(v.reshape(-1, given.logits), given.x1.dtype))
        found = np.asarray(pushed, np.float64).ravel()
        if not np.isfinite(found).all():
            raise ValueError("the kernel is not finite, as gradients overflow; take smaller inputs, or float64")
        return found

    return _largest(product, rows, tolerance)


@partial(jax.jit, static_argnums=0)
def _product(
    network: Network, params: Params, x: Inputs, v: Float[Array, "sample logit"]
) -> Float[Array, "sample logit"]:
    """J Jᵀ v."""
    with jax.default_matmul_precision("float32"):
        _, push = jax.linearize(lambda params: applied(network)(params, x), params)
        (pulled,) = jax.linear_transpose(push, params)(v)
        return push(pulled)


def _largest(product: Callable[[Logits], Logits], rows: int, tolerance: float) -> float:
    """λ_max of a positive matrix by its products with vectors."""
    start = np.random.default_rng(0).standard_normal(rows)  # the same at every call
    once = product(start / np.linalg.norm(start))
    if rows == 1 or not once.any():  # ARPACK wants two rows, and a start that is not mapped to zero
        return float(np.linalg.norm(once))
    linalg: Any = scipy.sparse.linalg  # without types of its own
    operator = linalg.LinearOperator((rows, rows), matvec=product, dtype=np.float64)
    (found,) = linalg.eigsh(
        operator, 1, which="LA", v0=once, ncv=min(KRYLOV, rows), tol=tolerance, return_eigenvectors=False
    )
    return float(found)
