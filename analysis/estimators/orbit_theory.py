"""The orbit spread that theory predicts: of the mean m of M Gaussian members, N(μ, Σ/M) on each orbit (theory.md §4).

Of an infinitely wide ensemble trained with the full orbit μ is invariant: the spread is Σ's alone and falls as 1/√M
(arXiv:2403.03103, sec. 4). μ is [element, sample, logit]; Σ, each logit's, is [sample, element, element]. Deviations
are over g, with 1/|G|.
"""

import numpy as np
from jaxtyping import Float
from scipy.special import erf

Mean = Float[np.ndarray, "element sample logit"]
Covariance = Float[np.ndarray, "sample element element"]
PerSample = Float[np.ndarray, "sample logit"]
NODES = 200  # of the quadrature: 1e-11 of the integral, also where some variances are 1e-8 of others


def expected_orbit_deviation(mean: Mean, covariance: Covariance, members: int) -> PerSample:
    """Root of the expected variance of m over g, √(var_g μ + (tr Σ − 1ᵀΣ1/|G|)/(|G| M)).

    Raises ValueError for shapes that do not fit, and for what is no covariance.
    """
    _check(mean, covariance, members)
    elements = len(mean)
    spread = np.trace(covariance, axis1=1, axis2=2) - covariance.sum((1, 2)) / elements
    return np.sqrt(mean.var(0) + np.maximum(spread, 0)[:, None] / (elements * members))


def mean_orbit_deviation(mean: Mean, covariance: Covariance, members: int) -> PerSample:
    """Expected std of m over g, which is less: by 8 % for four independent elements and μ invariant.

    The variance over g is Q = Σ_i (ν_i + √λ_i z_i)², z standard normal, with λ_i the eigenvalues of PΣP/(|G| M), ν of
    Pμ/√|G|, P = 1 − 11ᵀ/|G|, and E√Q = π^{−1/2} ∫_0^∞ (1 − E e^{−u²Q}) u^{−2} du. Raises ValueError as
    `expected_orbit_deviation`.
    """
    scale = expected_orbit_deviation(mean, covariance, members)
    elements = len(mean)
    P = np.eye(elements) - 1 / elements
    lam, vectors = np.linalg.eigh(P @ covariance @ P / (elements * members))
    nu = np.einsum("sgi,sgk->ski", vectors, P @ mean.transpose(1, 0, 2) / np.sqrt(elements), optimize=True)
    size = np.where(scale == 0, 1, scale)[..., None]
    lam, nu = np.maximum(lam, 0)[:, None, :] / size**2, nu / size  # now E Q = 1
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    integral = np.zeros_like(scale)
    for theta, weight in zip(np.pi / 4 * (nodes + 1), np.pi / 4 * weights, strict=True):
        t = np.tan(theta) ** 2
        log_transform = -(0.5 * np.log1p(2 * t * lam) + t * nu**2 / (1 + 2 * t * lam)).sum(-1)
        integral -= weight * np.expm1(log_transform) / np.sin(theta) ** 2
    return scale * integral / np.sqrt(np.pi)


def expected_pooled_deviation(mean: Mean, covariance: Covariance, members: int) -> float:
    """What `pooled_orbit_deviation` of m is to be held against: the mean of E std over g, over that of E|mean over g|.

    A ratio of expectations, as both are means over many samples. The mean over g is N(a, s²), a = mean_g μ and
    s² = 1ᵀΣ1/(|G|² M), with E|·| = a erf(a/√2s) + s √(2/π) e^{−a²/2s²}. Raises ValueError as
    `expected_orbit_deviation`, and where that is zero.
    """
    deviation = mean_orbit_deviation(mean, covariance, members)
    a = mean.mean(0)
    s = np.sqrt(np.maximum(covariance.sum((1, 2)), 0) / members)[:, None] / len(mean)
    scaled = a / np.where(s == 0, 1, s)
    folded = a * erf(scaled / np.sqrt(2)) + s * np.sqrt(2 / np.pi) * np.exp(-0.5 * scaled**2)
    size = np.where(s == 0, np.abs(a), folded)
    if size.mean() == 0:
        raise ValueError("mean and covariance over the orbit are zero; there is nothing that it could be relative to")
    return float(deviation.mean() / size.mean())


def _check(mean: Mean, covariance: Covariance, members: int) -> None:
    if mean.ndim != 3 or covariance.shape != (mean.shape[1], len(mean), len(mean)) or members < 1:
        raise ValueError(
            f"mean has shape {mean.shape}, covariance {covariance.shape}, and members is {members!r}; [element, "
            "sample, logit], [sample, element, element] and at least 1 are needed"
        )
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        raise ValueError("mean or covariance is not finite")
    least = np.linalg.eigvalsh(covariance)[:, 0]
    if not (least >= -1e-4 * np.trace(covariance, axis1=1, axis2=2)).all():  # float32 kernels leave such eigenvalues
        raise ValueError(f"covariance has the eigenvalue {least.min():.2g}; its eigenvalues must not be negative")
