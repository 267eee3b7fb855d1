"""Mean and variance of infinitely wide ensembles under gradient descent, at all times at once (theory.md §4)."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Float, Shaped

from analysis.kernels import GroupCirculant, Kernel, OrbitKernel
from analysis.kernels.irreps import irreps, to_sectors

Matrix = Shaped[np.ndarray, "entry entry"]


class Prediction(NamedTuple):
    """Of every input at every recorded step: mean over initialisations, and variance of each logit about it."""

    mean: Float[np.ndarray, "time sample logit"]
    variance: Float[np.ndarray, "time sample"]


class Sector(NamedTuple):
    """A subspace that K and Θ of the training set map to itself, `copies` times, and inputs and targets in it.

    `cross_ntk` and `cross_nngp` are conjugated: their products with vectors are sums, without a conjugate.
    """

    ntk: Matrix
    nngp: Matrix
    cross_ntk: Shaped[np.ndarray, "copy sample entry"]
    cross_nngp: Shaped[np.ndarray, "copy sample entry"]
    targets: Shaped[np.ndarray, "copy entry logit"]
    weight: int  # 2 for one that stands for its complex conjugate, too


def predict(
    train: Kernel | OrbitKernel,
    cross: Kernel,
    own: Float[np.ndarray, " sample"],
    targets: Float[np.ndarray, "train logit"],
    learning_rate: float,
    steps: Sequence[int],
) -> Prediction:
    """μ_s and the diagonal of Σ_s after s steps of full-batch descent on L = 1/(2N) Σ ‖f − y‖² (theory.md §4).

    `train` holds K, Θ of the training set [train, train] (augmented, if the ensemble's was; by blocks, which are far
    cheaper to decompose, if it is a full orbit), `cross` those between the inputs and it [sample, train], `own`
    K(x, x). Lee et al. 2019 (arXiv:1902.06720), eqs. 14-16, with steps for the flow. In float64 throughout. Raises
    ValueError where descent with this learning rate does not converge.
    """
    count, sectors = len(targets), list(_sectors(train, cross, targets))
    decomposed = [np.linalg.eigh(sector.ntk) for sector in sectors]
    limit = 2 * count / max(eigenvalues[-1] for eigenvalues, _ in decomposed)
    if not 0 < learning_rate < limit:
        raise ValueError(f"learning rate is {learning_rate}; descent converges between 0 and 2N/λ_max = {limit:.4g}")
    logits = np.asarray(targets).shape[1]
    means = np.zeros((len(steps), len(own), logits))
    variances = np.tile(np.asarray(own, np.float64), (len(steps), 1))
    for sector, (eigenvalues, vectors) in zip(sectors, decomposed, strict=True):
        inside = _rotated(sector, vectors)
        for index, step in enumerate(steps):
            # Θ(x,X) E_s in the eigenbasis
            weights = inside.cross_ntk * _descent(eigenvalues, learning_rate / count, step)
            means[index] += sector.weight * (weights @ inside.targets).sum(0).real
            explained = (weights @ inside.nngp - 2 * inside.cross_nngp) * weights.conj()
            variances[index] += sector.weight * explained.sum((0, 2)).real
    return Prediction(means, variances)


def largest_eigenvalue(ntk: Float[ArrayLike, "train train"] | GroupCirculant) -> float:
    """λ_max(Θ): descent is stable for learning rates below 2N/λ_max (theory.md §4)."""
    if isinstance(ntk, GroupCirculant):
        return max(float(np.linalg.eigvalsh(block)[-1]) for block in ntk.sectors())
    return float(np.linalg.eigvalsh(np.asarray(ntk, np.float64))[-1])


def _sectors(train: Kernel | OrbitKernel, cross: Kernel, targets: Float[np.ndarray, "train logit"]) -> Iterator[Sector]:
    """All of the training set at once, or the group's irreps one by one."""
    nngp, ntk, y = (np.asarray(values, np.float64) for values in (*cross, targets))
    if not isinstance(train, OrbitKernel):
        yield Sector(
            np.asarray(train.ntk, np.float64), np.asarray(train.nngp, np.float64), ntk[None], nngp[None], y[None], 1
        )
        return
    group = train.ntk.group
    blocks = zip(irreps(group), train.ntk.sectors(), train.nngp.sectors(), strict=True)
    columns = zip(*(to_sectors(group, values) for values in (ntk.T, nngp.T, y)), strict=True)
    for (irrep, ntk_block, nngp_block), (of_ntk, of_nngp, of_targets) in zip(blocks, columns, strict=True):
        cross_ntk, cross_nngp = (of.conj().swapaxes(1, 2) for of in (of_ntk, of_nngp))
        yield Sector(ntk_block, nngp_block, cross_ntk, cross_nngp, of_targets, irrep.conjugates)


def _rotated(sector: Sector, vectors: Matrix) -> Sector:
    """The sector in the eigenbasis of its Θ."""
    return sector._replace(
        nngp=vectors.conj().T @ sector.nngp @ vectors,
        cross_ntk=sector.cross_ntk @ vectors,
        cross_nngp=sector.cross_nngp @ vectors,
        targets=vectors.conj().T @ sector.targets,
    )


def _descent(eigenvalues: Float[np.ndarray, " train"], rate: float, step: int) -> Float[np.ndarray, " train"]:
    """(1 − (1 − rate·λ)^step)/λ, whose limit at λ = 0 is rate·step."""
    progress = 1 - (1 - rate * eigenvalues) ** step
    small = np.abs(rate * step * eigenvalues) < 1e-12
    return np.where(small, rate * step, progress / np.where(small, 1, eigenvalues))
