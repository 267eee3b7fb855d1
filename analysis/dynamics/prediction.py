"""Mean, variance and covariance of infinitely wide ensembles in training, at all times at once (theory.md §4)."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Shaped

from widesym.analysis.dynamics.eigenbasis import Eigenbasis, Sector, decompose
from widesym.analysis.dynamics.progress import Progress, stable_below
from widesym.analysis.kernels import Kernel, OrbitKernel
from widesym.analysis.kernels.accuracy import entry_error, warn_if_unresolved

Train = Kernel | OrbitKernel | Eigenbasis
Coefficients = Shaped[np.ndarray, "copy entry column"]


class Prediction(NamedTuple):
    """Of every input at every recorded time: mean over initialisations, and variance of each logit about it."""

    mean: Float[np.ndarray, "time sample logit"]
    variance: Float[np.ndarray, "time sample"]


def predict(
    train: Train,
    cross: Kernel,
    own: Float[np.ndarray, " sample"],
    targets: Float[np.ndarray, "train logit"],
    progress: Progress,
) -> Prediction:
    """μ_t and the diagonal of Σ_t under full-batch training on L = 1/(2N) Σ ‖f − y‖² (theory.md §4).

    `train` holds K, Θ of the training set [train, train] (augmented, if the ensemble's was; by blocks, which are far
    cheaper to decompose, if it is a full orbit; or once decomposed by `decompose`), `cross` those between the inputs
    and it [sample, train], `own` K(x, x); `progress` is a `Descent` or a `Flow`. Lee et al. 2019 (arXiv:1902.06720),
    eqs. 14-16. In float64 throughout, and variances that rounding would make negative are zero. Warns of means that the
    kernel's precision does not resolve. Raises ValueError where training does not converge, for shapes that do not
    fit, and for kernels that give a negative variance.
    """
    basis = _checked(train, progress)
    own = np.asarray(own, np.float64)
    _check_shapes(basis, cross, own, 1)
    if np.ndim(targets) != 2 or len(targets) != basis.samples:
        raise ValueError(f"targets have shape {np.shape(targets)}; it must be ({basis.samples}, logits)")
    mean = np.zeros((len(progress.times), len(own), np.shape(targets)[1]))
    variance, squares = np.tile(own, (len(progress.times), 1)), np.zeros((len(progress.times), len(own)))
    errors = np.zeros((len(progress.times), np.shape(targets)[1]))
    for (sector, ntk, nngp), y in zip(_columns(basis, cross), basis.coefficients(targets), strict=True):
        for time in range(len(mean)):
            factor = _factor(sector, basis, progress, time)
            trained = factor * ntk  # E Θ(X, x)
            mean[time] += sector.weight * np.einsum("ces,cel->sl", trained.conj(), y, optimize=True).real
            explained = trained.conj() * (sector.nngp @ trained - 2 * nngp)
            variance[time] += sector.weight * explained.sum((0, 1)).real
            squares[time] += sector.weight * (np.abs(trained) ** 2).sum((0, 1))
            errors[time] += sector.weight * (np.abs(factor * y) ** 2).sum((0, 1))
    # Of Θ(x, X) E Y with errors of Θ(x, X), independent of each other.
    errors = basis.error * basis.traces[1] / basis.samples * np.sqrt(errors)
    warn_if_unresolved(errors, targets, "the predicted mean of the trained ensemble")
    return Prediction(mean, _no_negative(variance, _variance_error(basis, cross, own, squares)))


def _variance_error(
    basis: Eigenbasis,
    cross: Kernel,
    own: Float[np.ndarray, " sample"],
    squares: Float[np.ndarray, "time sample"],
) -> Float[np.ndarray, "time sample"]:
    """How far entries' errors may move Σ_t(x, x), the variance of f₀(x) − w·f₀(X), with these ‖w‖².

    It is at most e (√K(x,x) + Σ_j |w_j| √K(x_j,x_j))², and the sum at most ‖w‖ √tr K.
    """
    error = max(basis.error, entry_error(cross.nngp))
    return error * (np.sqrt(np.maximum(own, 0)) + np.sqrt(squares * max(basis.traces[0], 0))) ** 2


def _no_negative(
    variance: Float[np.ndarray, "time sample"], error: Float[np.ndarray, "time sample"]
) -> Float[np.ndarray, "time sample"]:
    """Zero where rounding has left less; raises ValueError where more than that is missing."""
    time, sample = np.unravel_index(np.argmin(variance + error), variance.shape)
    if variance[time, sample] < -error[time, sample]:
        raise ValueError(
            f"the variance of input {sample} at time {time} comes out as {variance[time, sample]:.3g}, and rounding "
            f"explains {error[time, sample]:.2g} of that: K of the training set, of the inputs with it and of the "
            "inputs themselves must be one kernel's, K(x, x) of the same inputs in the same order"
        )
    return np.maximum(variance, 0)


def covariance(
    train: Train, cross: Kernel, own: Float[np.ndarray, "sample sample"], progress: Progress
) -> Float[np.ndarray, "time sample other_sample"]:
    """Σ_t(x, x') = K(x,x') + Θ(x,X) E K E Θ(X,x') − [Θ(x,X) E K(X,x') + transpose], of each logit (theory.md §4).

    Arguments are those of `predict`, but for `own`, all of K(x, x'); targets make no difference. Logits are independent
    of each other. Variances that rounding would make negative are zero. Raises ValueError as `predict`.
    """
    basis = _checked(train, progress)
    own = np.asarray(own, np.float64)
    _check_shapes(basis, cross, own, 2)
    found, squares = np.tile(own, (len(progress.times), 1, 1)), np.zeros((len(progress.times), len(own)))
    for sector, ntk, nngp in _columns(basis, cross):
        for time in range(len(found)):
            trained = _factor(sector, basis, progress, time) * ntk  # E Θ(X, x)
            half = np.einsum("ces,cer->sr", trained.conj(), sector.nngp @ trained / 2 - nngp, optimize=True).real
            found[time] += sector.weight * (half + half.T)
            squares[time] += sector.weight * (np.abs(trained) ** 2).sum((0, 1))
    diagonal = np.einsum("tss->ts", found)  # a view
    diagonal[:] = _no_negative(diagonal, _variance_error(basis, cross, np.diag(own), squares))
    return found


def largest_learning_rate(train: Train, ridge: float = 0.0) -> float:
    """2N/(λ_max(Θ) + β): descent on the training set converges for learning rates below (theory.md §4)."""
    basis = decompose(train)
    return stable_below(basis.largest + ridge, basis.samples)


def _checked(train: Train, progress: Progress) -> Eigenbasis:
    basis = decompose(train)
    progress.check(basis.largest + progress.ridge, basis.samples)
    return basis


def _columns(basis: Eigenbasis, cross: Kernel) -> Iterator[tuple[Sector, Coefficients, Coefficients]]:
    """Each sector with Θ(X, x) and K(X, x) in it."""
    ntk, nngp = (basis.coefficients(np.asarray(values).T) for values in (cross.ntk, cross.nngp))
    yield from zip(basis.sectors, ntk, nngp, strict=True)


def _factor(sector: Sector, basis: Eigenbasis, progress: Progress, time: int) -> Float[np.ndarray, "entry 1"]:
    """E at this time, as a column."""
    eigenvalues = sector.eigenvalues + progress.ridge
    return progress.factor(eigenvalues, basis.samples, time, basis.null)[:, None]


def _check_shapes(basis: Eigenbasis, cross: Kernel, own: Float[np.ndarray, "sample *sample"], dimensions: int) -> None:
    """Raise ValueError for kernels that do not fit each other, or are not finite."""
    expected = (*own.shape[:1], basis.samples)
    if own.ndim != dimensions or own.shape[:1] * dimensions != own.shape:
        wanted = "K(x, x), (samples,)" if dimensions == 1 else "K(x, x'), (samples, samples)"
        raise ValueError(f"own has shape {own.shape}; it must be {wanted}")
    for name, values in (("K", cross.nngp), ("Θ", cross.ntk)):
        if np.shape(values) != expected:
            raise ValueError(f"{name} between inputs and training set has shape {np.shape(values)}, not {expected}")
    if not all(np.isfinite(np.asarray(values)).all() for values in (own, *cross)):
        raise ValueError("kernels of the inputs have values that are not finite; take smaller inputs, or float64")
