"""Harmonic transforms on the sphere and on SO(3), and exact rotations by any angle, in real arithmetic.

With the real orthonormal bases Y_lm of the sphere and √((2l+1)/8π²) R^l_mn of SO(3) (models/spherical/wigner.py):

    f(x) = Σ_lm f_lm Y_lm(x),                    f_lm  = ∫ dx f(x) Y_lm(x)
    x(g) = Σ_lmn √((2l+1)/8π²) x_lmn R^l_mn(g),  x_lmn = √((2l+1)/8π²) ∫ dg x(g) R^l_mn(g)

Layout: signals are [channel, theta, phi, sample] on the sphere and [channel, group, sample] on SO(3), the points in the
order γ, β, α; coefficients are [channel, l, m, sample] and [channel, l, m, n, sample]. Those are dense, zero where |m|
or |n| exceeds l: products per l are then one batched matrix product. Tables are made once per bandlimit.
"""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from widesym.models.spherical.wigner import (
    RingRule,
    Table,
    delta,
    driscoll_healy,
    fourier,
    legendre,
    norms,
    real_wigner,
    ring_weights,
    so3_bandlimit,
    so3_grid,
    sphere_grid,
)

SphereSignal = Float[Array, "channel theta phi sample"]
SphereCoefficients = Float[Array, "channel l m sample"]
SO3Signal = Float[Array, "channel group sample"]
SO3Coefficients = Float[Array, "channel l m n sample"]
Angles = tuple[float, float, float]


def sphere_analysis(f: SphereSignal, L: int) -> SphereCoefficients:
    """f_lm for l < L, by quadrature: exact for f of bandlimit B and L ≤ B, on the grid of bandlimit B."""
    grid = f.shape[1] // 2
    if f.shape[1:3] != sphere_grid(grid) or grid < L:
        raise ValueError(
            f"f has shape {f.shape}; analysis at bandlimit L={L} needs [channel, theta, phi, sample] with a grid of "
            f"{sphere_grid(L)}, or (2B, 2B−1) for some B above L"
        )
    weights = ring_weights(grid) * 2 * np.pi / (2 * grid - 1)
    modes = jnp.einsum("ctps,mp->cmts", f, _like(f, fourier(L, grid)))
    return jnp.einsum("cmts,lmt->clms", modes, _like(f, legendre(L, grid) * weights))


def sphere_synthesis(f: SphereCoefficients, grid: int | None = None) -> SphereSignal:
    """f on the grid of its own bandlimit, or of bandlimit `grid`."""
    L = f.shape[1]
    modes = jnp.einsum("clms,lmt->cmts", f, _like(f, legendre(L, grid or L)))
    return jnp.einsum("cmts,mp->ctps", modes, _like(f, fourier(L, grid or L)))


def so3_analysis(x: SO3Signal, L: int, rings: RingRule = driscoll_healy) -> SO3Coefficients:
    """x_lmn for l < L, by quadrature: exact for x of bandlimit B and L ≤ B, on the grid of bandlimit B."""
    grid = so3_bandlimit(x.shape[1], rings)
    if grid < L:
        raise ValueError(f"x lives on the SO(3) grid of bandlimit {grid}, which does not resolve bandlimit L={L}")
    e = _like(x, fourier(L, grid))
    x = x.reshape(x.shape[0], *so3_grid(grid, rings), x.shape[-1])
    modes = jnp.einsum("cgbas,ng->cnbas", x, e)  # of the outer angle first: all others are columns of one product
    modes = _folded(jnp.einsum("cnbas,ma->cbmns", modes, e))
    modes = jnp.stack([_signed(modes, 1, (1, -1)), _signed(modes[::-1, ::-1], 0, (-1, 1))])
    weights = rings(grid).weights * (2 * np.pi / (2 * grid - 1)) ** 2
    basis = norms(L, 8 * np.pi**2)[:, None, None, None] * delta(L, grid, rings) * weights
    return _unfolded(jnp.einsum("tlmnb,tpqcbmns->pqclmns", _like(x, basis), modes))


def so3_synthesis(x: SO3Coefficients, grid: int | None = None, rings: RingRule = driscoll_healy) -> SO3Signal:
    """x on the grid of its own bandlimit, or of bandlimit `grid`.

    With e_m of α and e_n of γ multiplied out, R^l = Z(α) Δ^l(β) Z(γ) contributes to the mode e_m(α) e_n(γ) of x
    ±Δ_cos x_lmn ± Δ_sin x_l,−m,−n, with minus signs for n < 0 and for m < 0.
    """
    L = x.shape[1]
    e = _like(x, fourier(L, grid or L))
    folded = _folded(x)
    folded = jnp.stack([_signed(folded, 1, (1, -1)), _signed(folded[::-1, ::-1], 0, (1, -1))])
    basis = norms(L, 8 * np.pi**2)[:, None, None, None] * delta(L, grid or L, rings)
    modes = _unfolded(jnp.einsum("tlmnb,tpqclmns->pqcbmns", _like(x, basis), folded))
    modes = jnp.einsum("cbmns,ma->cnbas", modes, e)
    return jnp.einsum("cnbas,ng->cgbas", modes, e).reshape(x.shape[0], -1, x.shape[-1])


def rotate_sphere(f: SphereSignal, angles: Angles) -> SphereSignal:
    """(ρ_g f)(x) = f(g⁻¹x) for g = R_z(α) R_y(β) R_z(γ), exact for band-limited f: f_l ↦ R^l(g) f_l."""
    L = f.shape[1] // 2
    turned = jnp.einsum("lmk,clks->clms", _rotation(f, L, angles), sphere_analysis(f, L))
    return sphere_synthesis(turned)


def rotate_so3(x: SO3Signal, angles: Angles) -> SO3Signal:
    """(ρ_g x)(h) = x(g⁻¹h) for g = R_z(α) R_y(β) R_z(γ), exact for band-limited x: x_l ↦ R^l(g) x_l."""
    L = so3_bandlimit(x.shape[1])
    turned = jnp.einsum("lmk,clkns->clmns", _rotation(x, L, angles), so3_analysis(x, L))
    return so3_synthesis(turned)


def _like(x: Float[Array, "..."], table: Table) -> Float[Array, "..."]:
    return jnp.asarray(table, x.dtype)


def _rotation(x: Float[Array, "..."], L: int, angles: Angles) -> Float[Array, "l m n"]:
    return real_wigner(L, *(jnp.asarray(angle, x.dtype) for angle in angles))


def _folded(x: Float[Array, "channel l m n sample"]) -> Float[Array, "m_type n_type channel l abs_m abs_n sample"]:
    """The signed orders m, n as type (cosine, sine) and frequency.

    The sine of frequency zero does not exist: its place holds order zero, which no later step reads, as Δ_sin is zero
    there and `_unfolded` drops it.
    """
    L = x.shape[-2] // 2 + 1
    x = jnp.stack([x[..., L - 1 :, :], x[..., L - 1 :: -1, :]])
    return jnp.stack([x[..., L - 1 :, :, :], x[..., L - 1 :: -1, :, :]])


def _unfolded(x: Float[Array, "m_type n_type channel l abs_m abs_n sample"]) -> Float[Array, "channel l m n sample"]:
    """The inverse of `_folded`."""
    x = jnp.concatenate([x[1][..., :0:-1, :, :], x[0]], axis=-3)
    return jnp.concatenate([x[1][..., :0:-1, :], x[0]], axis=-2)


def _signed(x: Float[Array, "m_type n_type *rest"], axis: int, signs: tuple[int, int]) -> Float[Array, "..."]:
    """x times a sign for each type along one of the two first axes."""
    return x * np.array(signs, x.dtype).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
