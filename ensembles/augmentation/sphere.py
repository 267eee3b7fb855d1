"""Signals on the sphere under any rotation, exactly."""

from dataclasses import dataclass

import jax.numpy as jnp
from jaxtyping import Array, Float

from widesym.ensembles.augmentation.representations import Matrix
from widesym.models.spherical.harmonics import sphere_analysis, sphere_synthesis
from widesym.models.spherical.wigner import real_wigner, sphere_grid

Angle = Float[Array, ""]


@dataclass(frozen=True)
class SphereSignals:
    """Functions on the sphere, [sample, theta, phi, channel] or [sample, atom, theta, phi, channel], of bandlimit L on
    the grid (2L, 2L−1) of models/spherical/wigner.py, moved by (ρ_R f)(x) = f(R⁻¹x) for R ∈ SO(3).

    Exact for band-limited signals, f_l ↦ R^l f_l; what is not band-limited is projected first. Raises ValueError for
    inputs on other grids.
    """

    @property
    def dimension(self) -> int:
        return 3

    def turned(
        self, values: Float[Array, "sample *atom theta phi channel"], R: Matrix
    ) -> Float[Array, "sample *atom theta phi channel"]:
        if values.ndim not in (4, 5) or values.shape[-3:-1] != sphere_grid(values.shape[-3] // 2):
            raise ValueError(
                f"SphereSignals: each input has shape {values.shape[1:]}; it must be (2L, 2L-1, C), or "
                "(A, 2L, 2L-1, C) for a set of signals, with a bandlimit L"
            )
        L = values.shape[-3] // 2
        signals = jnp.moveaxis(values.reshape(-1, *values.shape[-3:]), (0, -1), (-1, 0))
        f = sphere_analysis(signals, L)
        turned = sphere_synthesis(jnp.einsum("lmk,clks->clms", real_wigner(L, *euler_angles(R)), f))
        return jnp.moveaxis(turned, (0, -1), (-1, 0)).reshape(values.shape)


def euler_angles(R: Matrix) -> tuple[Angle, Angle, Angle]:
    """α, β, γ with R = R_z(α) R_y(β) R_z(γ), also where β is 0 or π and they are not unique."""
    alpha = jnp.arctan2(R[1, 2], R[0, 2])
    cos, sin = jnp.cos(alpha), jnp.sin(alpha)
    # What remains is R_z(−α) R = R_y(β) R_z(γ), whose middle row is (sin γ, cos γ, 0): α's error is not γ's.
    beta = jnp.arctan2(cos * R[0, 2] + sin * R[1, 2], R[2, 2])
    gamma = jnp.arctan2(cos * R[1, 0] - sin * R[0, 0], cos * R[1, 1] - sin * R[0, 1])
    return alpha, beta, gamma
