"""Mean and variance of infinitely wide ensembles under gradient descent, at all times at once (theory.md §4)."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from analysis.kernels import Kernel


class Prediction(NamedTuple):
    """Of every input at every recorded step: mean over initialisations, and variance of each logit about it."""

    mean: Float[np.ndarray, "time sample logit"]
    variance: Float[np.ndarray, "time sample"]


def predict(
    train: Kernel,
    cross: Kernel,
    own: Float[np.ndarray, " sample"],
    targets: Float[np.ndarray, "train logit"],
    learning_rate: float,
    steps: Sequence[int],
) -> Prediction:
    """μ_s and the diagonal of Σ_s after s steps of full-batch descent on L = 1/(2N) Σ ‖f − y‖² (theory.md §4).

    `train` holds K, Θ of the training set [train, train] (augmented, if the ensemble's was), `cross` those between the
    inputs and it [sample, train], `own` K(x, x). Lee et al. 2019 (arXiv:1902.06720), eqs. 14-16, with steps for the
    flow. In float64 throughout. Raises ValueError where descent with this learning rate does not converge.
    """
    count = len(targets)
    eigenvalues, vectors = np.linalg.eigh(np.asarray(train.ntk, np.float64))
    limit = 2 * count / eigenvalues[-1]
    if not 0 < learning_rate < limit:
        raise ValueError(f"learning rate is {learning_rate}; descent converges between 0 and 2N/λ_max = {limit:.4g}")
    cross_ntk, cross_nngp = np.asarray(cross.ntk, np.float64) @ vectors, np.asarray(cross.nngp, np.float64) @ vectors
    nngp = vectors.T @ np.asarray(train.nngp, np.float64) @ vectors
    rotated_targets = vectors.T @ np.asarray(targets, np.float64)
    means, variances = [], []
    for step in steps:
        weights = cross_ntk * _descent(eigenvalues, learning_rate / count, step)  # Θ(x,X) E_s in the eigenbasis
        means.append(weights @ rotated_targets)
        explained = np.einsum("xi,ij,xj->x", weights, nngp, weights) - 2 * np.sum(weights * cross_nngp, axis=1)
        variances.append(np.asarray(own, np.float64) + explained)
    return Prediction(np.stack(means), np.stack(variances))


def largest_eigenvalue(ntk: Float[np.ndarray, "train train"]) -> float:
    """λ_max(Θ): descent is stable for learning rates below 2N/λ_max (theory.md §4)."""
    return float(np.linalg.eigvalsh(np.asarray(ntk, np.float64))[-1])


def _descent(eigenvalues: Float[np.ndarray, " train"], rate: float, step: int) -> Float[np.ndarray, " train"]:
    """(1 − (1 − rate·λ)^step)/λ, whose limit at λ = 0 is rate·step."""
    progress = 1 - (1 - rate * eigenvalues) ** step
    small = np.abs(rate * step * eigenvalues) < 1e-12
    return np.where(small, rate * step, progress / np.where(small, 1, eigenvalues))
