"""Grids on the sphere and on SO(3), and real Wigner matrices: the tables behind models/spherical/harmonics.py, in
float64 NumPy.

Grids are Driscoll and Healy's, laid out as s2fft lays them out. At bandlimit L the sphere has 2L rings at
θ_j = (2j+1)π/4L of 2L−1 points φ_k = 2πk/(2L−1); SO(3) has Euler angles g = R_z(α) R_y(β) R_z(γ), stored [γ, β, α],
with β on the rings and α, γ on the rings' points. Products of two functions of bandlimit L are integrated exactly.
Functions on SO(3) that no other library reads may have half as many rings (`gauss_and_pole`).

The order m = −(L−1) … L−1 of a real harmonic is its type and frequency, as in the real Fourier basis
e_m(φ) = cos mφ for m ≥ 0 and sin |m|φ for m < 0:  Y_lm(θ, φ) = √((2l+1)/4π) Δ^l_|m|0(θ) e_m(φ), orthonormal on S²,
without the Condon-Shortley sign, so √(4π/3) Y_1 = (y, z, x). The orthogonal matrices with Y_l(gx) = R^l(g) Y_l(x) are
R^l(g) = Z(α) Δ^l(β) Z(γ). Z turns (cos m, sin m) into one another; Δ^l(β) maps cosines to cosines and sines to sines,
as the rotation about y commutes with the reflection y ↦ −y.
"""

from collections.abc import Callable
from functools import lru_cache
from itertools import count
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax.typing import ArrayLike
from jaxtyping import Array, Float, Int

Table = Float[np.ndarray, "..."]


def sphere_grid(L: int) -> tuple[int, int]:
    """Rings and points per ring."""
    return 2 * L, 2 * L - 1


class Rings(NamedTuple):
    """Σ_j w_j p(cos θ_j) = ∫ p(cos θ) sin θ dθ for polynomials of degree below 2L."""

    colatitudes: Float[np.ndarray, " ring"]
    weights: Float[np.ndarray, " ring"]


RingRule = Callable[[int], Rings]  # by bandlimit


@lru_cache
def driscoll_healy(L: int) -> Rings:
    """2L rings at equal distances."""
    return Rings(colatitudes(L), ring_weights(L))


@lru_cache
def gauss_and_pole(L: int) -> Rings:
    """Gauss and Legendre's L rings, after one of weight zero at θ = 0: the grid's first rotation is the identity."""
    cosines, weights = np.polynomial.legendre.leggauss(L)
    return Rings(np.append(0, np.arccos(cosines[::-1])), np.append(0, weights[::-1]))


def so3_grid(L: int, rings: RingRule = driscoll_healy) -> tuple[int, int, int]:
    """Number of angles γ, β, α."""
    return 2 * L - 1, len(rings(L).weights), 2 * L - 1


def so3_bandlimit(points: int, rings: RingRule = driscoll_healy) -> int:
    """The L whose SO(3) grid has this many points; raises ValueError where there is none."""
    L = next(L for L in count(1) if np.prod(so3_grid(L, rings)) >= points)
    if np.prod(so3_grid(L, rings)) != points:
        raise ValueError(f"no grid on SO(3) has {points} points; bandlimit L has (2L−1)·2L·(2L−1), such as 150 for L=3")
    return L


@lru_cache
def azimuths(L: int) -> Table:
    """φ_k = 2πk/(2L−1), also the angles α and γ."""
    return 2 * np.pi * np.arange(2 * L - 1) / (2 * L - 1)


@lru_cache
def colatitudes(L: int) -> Table:
    """θ_j = (2j+1)π/4L, also the angles β."""
    return (2 * np.arange(2 * L) + 1) * np.pi / (4 * L)


@lru_cache
def ring_weights(L: int) -> Table:
    """w_j with Σ_j w_j p(cos θ_j) = ∫ p(cos θ) sin θ dθ for polynomials of degree below 2L.

    w_j = (2/L) sin θ_j Σ_{k<L} sin((2k+1)θ_j)/(2k+1) (Driscoll & Healy 1994, doi:10.1006/aama.1994.1008).
    """
    theta, odd = colatitudes(L)[:, None], 2 * np.arange(L) + 1
    return 2 / L * np.sin(theta[:, 0]) * (np.sin(theta * odd) / odd).sum(-1)


@lru_cache
def sphere_weights(L: int) -> Float[np.ndarray, "theta phi"]:
    """Quadrature weights on the sphere; their sum is 4π."""
    return np.repeat(ring_weights(L)[:, None], 2 * L - 1, axis=1) * 2 * np.pi / (2 * L - 1)


@lru_cache
def so3_weights(L: int, rings: RingRule = driscoll_healy) -> Float[np.ndarray, " group"]:
    """Quadrature weights on SO(3), for the points in the order [γ, β, α]; their sum is 8π²."""
    shape = so3_grid(L, rings)
    return np.broadcast_to(rings(L).weights[:, None], shape).ravel() * (2 * np.pi / (2 * L - 1)) ** 2


@lru_cache
def orders(L: int) -> Int[np.ndarray, " m"]:
    """m = −(L−1) … L−1."""
    return np.arange(1 - L, L)


@lru_cache
def fourier(L: int, grid: int) -> Float[np.ndarray, "m phi"]:
    """e_m(φ_k) for the orders of bandlimit L on the rings of bandlimit `grid`."""
    m = orders(L)[:, None]
    return np.where(m >= 0, np.cos(m * azimuths(grid)), np.sin(-m * azimuths(grid)))


@lru_cache
def delta_series(L: int) -> Float[np.ndarray, "type l m n k"]:
    """Fourier coefficients of Δ^l_mn(β) for type cosine and sine and m, n ≥ 0: of cos kβ for even m+n, sin kβ for odd.

    Δ^l(β) = exp(βB) with the generator B_{m+1,m} = −B_{m,m+1} = ½√((l−m)(l+m+1)), times √2 if m = 0. iB is Hermitian
    with eigenvectors v and integer eigenvalues λ, hence Δ^l(β) = Σ_λ e^{−iλβ} v v†. This needs no recursion and is
    accurate to rounding at any l.
    """
    series = np.zeros((2, L, L, L, L))
    for l in range(L):  # noqa: E741
        m = np.arange(l)
        coupling = np.sqrt((l - m) * (l + m + 1)) / 2 * np.where(m == 0, np.sqrt(2), 1)
        generator = np.diag(coupling, -1) - np.diag(coupling, 1)
        for kind in range(2):  # sines start at m = 1
            eigenvalues, v = np.linalg.eigh(1j * generator[kind:, kind:])
            for eigenvalue, vector in zip(np.rint(eigenvalues).astype(int), v.T, strict=True):
                projector = np.outer(vector, vector.conj())
                projector = np.real(projector) + np.sign(eigenvalue) * np.imag(projector)  # one of the two is zero
                series[kind, l, kind : l + 1, kind : l + 1, abs(eigenvalue)] += projector
    return series


@lru_cache
def delta(L: int, grid: int, rings: RingRule = driscoll_healy) -> Float[np.ndarray, "type l m n beta"]:
    """Δ^l_mn(β_j) for the degrees of bandlimit L on the rings of bandlimit `grid`; zero for m, n > l."""
    return np.asarray(_sum_series(delta_series(L), rings(grid).colatitudes))


@lru_cache
def legendre(L: int, grid: int) -> Float[np.ndarray, "l m theta"]:
    """√((2l+1)/4π) Δ^l_|m|0(θ_j): the harmonic Y_lm without its Fourier factor."""
    return norms(L, 4 * np.pi)[:, None, None] * delta(L, grid)[0][:, np.abs(orders(L)), 0]


def norms(L: int, volume: float) -> Float[np.ndarray, " l"]:
    """√((2l+1)/volume): of Y_lm with volume 4π, of R^l_mn with 8π²."""
    return np.sqrt((2 * np.arange(L) + 1) / volume)


def real_wigner(L: int, alpha: ArrayLike, beta: ArrayLike, gamma: ArrayLike) -> Float[Array, "l m n"]:
    """R^l(g) for g = R_z(α) R_y(β) R_z(γ) and all l < L, with R^l(gh) = R^l(g) R^l(h); zero where |m| or |n| exceeds l.

    The angles may be traced; the precision is theirs.
    """
    alpha, beta, gamma = (jnp.asarray(angle, jnp.result_type(float, angle)) for angle in (alpha, beta, gamma))
    kinds = _sum_series(jnp.asarray(delta_series(L), beta.dtype), beta[None])[..., 0]
    m = orders(L)
    same_type = (m[:, None] < 0) == (m[None, :] < 0)
    signed = kinds[(m < 0).astype(int)[:, None], :, np.abs(m)[:, None], np.abs(m)]  # [m, n, l]
    middle = jnp.where(same_type, jnp.moveaxis(signed, -1, 0), 0)
    return _about_z(L, alpha) @ middle @ _about_z(L, gamma)


def _about_z(L: int, angle: Float[Array, ""]) -> Float[Array, "m n"]:
    """Z(α), with e_m(φ+α) = Σ_n Z_mn e_n(φ): cos mα on the diagonal, ∓ sin |m|α on the antidiagonal."""
    m = jnp.asarray(orders(L), angle.dtype)  # 64-bit integers would be mixed up where x64 is switched on and off
    return jnp.diag(jnp.cos(m * angle)) - jnp.fliplr(jnp.diag(jnp.sin(m * angle)))


def _sum_series(series, beta):
    """Δ(β) of its Fourier coefficients; NumPy or JAX, as they are."""
    xp = jnp if isinstance(series, jnp.ndarray) else np
    k = np.arange(series.shape[-1])[:, None]
    even = (k + k.T)[:, :, None] % 2 == 0
    return xp.where(even, series @ xp.cos(k * beta), series @ xp.sin(k * beta))
