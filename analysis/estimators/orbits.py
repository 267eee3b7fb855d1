"""How invariant, or equivariant, a function is: statistics over orbits (theory.md §5; arXiv:2403.03103, sec. 5).

Logits f(gx) are [..., element, sample, logit], element 0 the identity. Statistics are in float64.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from widesym.ensembles.augmentation import FixedCopies

Orbit = Float[np.ndarray, "*leading element sample logit"]
Matrices = Float[np.ndarray, "element logit logit"]
ORTHOGONAL = 1e-5  # largest entry of ρᵀρ − 1: what `GivenRotations` allows
CANCELLED = 1e-13  # what float64 leaves, relative to its terms, of a sum that is zero


class OrbitStatistics(NamedTuple):
    """Averages over the samples of a set.

    `osp`: orbit-same-prediction, 1 … |G|, NaN of a single logit. `orbit_deviation`: std over the orbit, relative to the
    size of its mean. `equivariance_error`: ‖f(gx) − ρ_g f(x)‖, relative to ‖f(x)‖. Of equivariant functions |G|, 0, 0.
    """

    osp: Float[np.ndarray, "*leading"]
    orbit_deviation: Float[np.ndarray, "*leading"]
    equivariance_error: Float[np.ndarray, "*leading"]


def target_matrices(policy: FixedCopies, logits: int) -> Matrices:
    """ρ_g of the targets, for each copy that the policy makes: the columns are what becomes of unit vectors.

    Raises ValueError if the first is not the identity, or one is not orthogonal: norms would change along an orbit.
    """
    with jax.enable_x64(True):
        rho = np.swapaxes(np.asarray(policy.target_copies(jnp.eye(logits)), np.float64), 1, 2)
    if np.abs(rho[0] - np.eye(logits)).max() > ORTHOGONAL:
        raise ValueError(f"{policy!r} does not begin with the identity; put element 0, or the identity matrix, first")
    gap = np.abs(np.swapaxes(rho, 1, 2) @ rho - np.eye(logits)).max()
    if not gap <= ORTHOGONAL:
        raise ValueError(
            f"targets of {policy!r} are not moved by orthogonal matrices (ρᵀρ differs from 1 by {gap:.2g}); give them "
            "in an orthonormal basis"
        )
    return rho


def pulled_back(logits: Orbit, rho: Matrices | None = None) -> Orbit:
    """ρ_g⁻¹ f(gx): for every g the same where f is equivariant, f(gx) = ρ_g f(x).

    Without `rho`, targets are invariant and logits stay as they are. Raises ValueError for logits that are not finite,
    or of other orbits than `rho`.
    """
    checked = _checked(logits)
    if rho is None:
        return checked
    if logits.ndim < 3 or (logits.shape[-3], *[logits.shape[-1]] * 2) != rho.shape:
        raise ValueError(f"logits [..., element, sample, logit] have shape {logits.shape}, but rho {rho.shape}")
    return np.einsum("gjk,...gsj->...gsk", rho, checked, optimize=True)  # ρ⁻¹ = ρᵀ


def orbit_same_prediction(logits: Orbit) -> Float[np.ndarray, "*leading sample"]:
    """OSP(x) = #{g : argmax f(gx) = argmax f(x)}, 1 … |G| (theory.md §5).

    The first of equal logits is predicted. A single logit predicts no class: NaN. Nor do logits that are values,
    whose number means nothing.
    """
    checked = _checked(logits)
    if checked.shape[-1] == 1:
        return np.full((*checked.shape[:-3], checked.shape[-2]), np.nan)
    predictions = checked.argmax(-1)
    return (predictions == predictions[..., :1, :]).sum(-2).astype(np.float64)


def relative_orbit_deviation(logits: Orbit) -> Float[np.ndarray, "*leading sample logit"]:
    """Std over g of f(gx), with 1/|G|, over |mean over g of f(gx)| (theory.md §5).

    Of invariant functions 0; it explodes where the mean crosses zero, which averages feel: `pooled_orbit_deviation`
    does not. Raises ValueError where a mean is zero to
    rounding.
    """
    logits = _checked(logits)
    return _ratio(logits.std(-3), np.abs(logits.mean(-3)), "a logit's mean over the orbit")


def pooled_orbit_deviation(logits: Orbit) -> Float[np.ndarray, "*leading"]:
    """Mean of the std over g, over the mean of |mean over g|, both means over samples and logits."""
    logits = _checked(logits)
    mean_size = np.abs(logits.mean(-3)).mean((-2, -1))
    return _ratio(logits.std(-3).mean((-2, -1)), mean_size, "every logit's mean over the orbit")


def equivariance_error(logits: Orbit, rho: Matrices | None = None) -> Float[np.ndarray, "*leading sample"]:
    """Mean over g of ‖f(gx) − ρ_g f(x)‖₂, the identity counted, over the mean over samples of ‖f(x)‖₂.

    Without `rho` the invariance error. As ρ is orthogonal, ‖f(gx) − ρ_g f(x)‖ = ‖ρ_g⁻¹ f(gx) − f(x)‖. Raises ValueError
    where all f(x) are zero.
    """
    turned_back = pulled_back(logits, rho)
    gaps = np.linalg.norm(turned_back - turned_back[..., :1, :, :], axis=-1).mean(-2)
    size = np.linalg.norm(turned_back[..., 0, :, :], axis=-1).mean(-1, keepdims=True)
    return _ratio(gaps, np.broadcast_to(size, gaps.shape), "every f(x)")


def orbit_statistics(logits: Orbit, rho: Matrices | None = None) -> OrbitStatistics:
    """Averages over samples: of a function that turns its targets by `rho`, OSP and deviation of ρ_g⁻¹ f(gx)."""
    turned_back = pulled_back(logits, rho)
    return OrbitStatistics(
        orbit_same_prediction(turned_back).mean(-1),
        pooled_orbit_deviation(turned_back),
        equivariance_error(turned_back).mean(-1),
    )


def _checked(logits: Orbit) -> Orbit:
    logits = np.asarray(logits, np.float64)
    if logits.ndim < 3 or 0 in logits.shape[-3:]:
        raise ValueError(f"logits have shape {logits.shape}; [..., element, sample, logit], none of them 0, are needed")
    if not np.isfinite(logits).all():
        raise ValueError(
            f"{int((~np.isfinite(logits)).sum())} of {logits.size} logits are not finite; leave sick members out, and "
            "times that are not recorded"
        )
    return logits


def _ratio(over: Float[np.ndarray, "..."], under: Float[np.ndarray, "..."], what: str) -> Float[np.ndarray, "..."]:
    """over/under; 0/0 is 0, as of the function that is zero everywhere, which is equivariant."""
    zero = np.argwhere((over > 0) & (under <= CANCELLED * over))
    if len(zero):
        where = f" at {tuple(map(int, zero[0]))}" if under.ndim else ""
        raise ValueError(
            f"{what} is zero{where}, and nothing can be relative to it; pool over more samples, and pull targets back "
            "that turn along the orbit"
        )
    return over / np.where(over > 0, under, 1)
