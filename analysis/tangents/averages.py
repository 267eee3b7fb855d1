"""σ_w² A(K) of layers with weights, for one pair of inputs and all pairs of their points (theory.md §2).

Written from the equations of A, and so independent of both the lag engine and the finite layers.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from widesym.analysis.kernels.full import PointByPoint, scaled_average
from widesym.models.layer import Affine
from widesym.models.layers.group_conv import GroupConv, LiftingConv
from widesym.models.signal import Signal
from widesym.models.spherical.conv import SO3Conv, SphereLifting
from widesym.models.spherical.harmonics import so3_analysis, so3_synthesis, sphere_analysis
from widesym.models.spherical.wigner import norms


def averaged(layer: Affine, signal: Signal, covariance: PointByPoint) -> PointByPoint:
    """σ_w² A(K), from the points of `signal` to those after the layer."""
    match layer:
        case SphereLifting() | SO3Conv():
            return _spherical(layer, signal, covariance)
        case LiftingConv() | GroupConv() if layer.group.is_exact:
            return _planar(layer, signal, covariance)
    return scaled_average(layer, signal, covariance)  # filters between the pixels: weight by weight


def _planar(layer: LiftingConv | GroupConv, signal: Signal, covariance: PointByPoint) -> PointByPoint:
    """σ_w²/|S||R| Σ_{y,q} K[(t+ρ_r y, rq), (t'+ρ_r' y, r'q)]; of images, which have no group axis, no mean over q."""
    taps = points_read(layer, signal)
    padded = jnp.pad(covariance, ((0, 1), (0, 1)))  # what lies outside the grid is zero

    def add_tap(total: PointByPoint, read: Int[Array, " new_point"]) -> tuple[PointByPoint, None]:
        return total + padded[read[:, None], read], None

    new = layer.output(signal).points
    total, _ = jax.lax.scan(add_tap, jnp.zeros((new, new), covariance.dtype), taps)
    return layer.w_std**2 / len(taps) * total


def points_read(layer: LiftingConv | GroupConv, signal: Signal) -> Int[Array, "tap new_point"]:
    """For each (y, q) the points (t+ρ_r y, rq) that all (r, t) read: past the last where that is off the grid."""
    group, size = layer.group, layer.size
    pixels = jnp.arange(size**2).reshape(size, size)
    views = layer.window.views(jnp.arange(1, signal.points + 1).reshape(*signal.axes, 1))  # 0 is off the grid
    views = views.reshape(size**2, group.order if signal.group else 1, -1)
    taps = []
    for r in group.elements:
        turned = group.rotate(pixels, group.inverse(r), axes=(0, 1)).ravel()  # y ↦ ρ_r y
        products = [group.product(r, q) for q in group.elements] if signal.group else [0]
        taps.append(views[turned][:, np.array(products, np.int32)])
    read = jnp.stack(taps, axis=2).reshape(-1, group.order * views.shape[-1])
    return jnp.where(read > 0, read - 1, signal.points).astype(np.int32)


def _spherical(layer: SphereLifting | SO3Conv, signal: Signal, covariance: PointByPoint) -> PointByPoint:
    """Σ_l Σ_mm'p Y^l_mp(g) Y^l_m'p(g') D^l_mm', as per degree z^l_mp = σ_w s_l Σ_n x^l_mn W^l_pn with s_l from §1.

    D^l_mm' = σ_w² s_l² Σ_n C^l_mn,m'n, where C holds the coefficients of K. On the sphere x^l has no n.
    """
    L, points = layer.bandlimit_out, jnp.eye(signal.points, dtype=covariance.dtype)
    if isinstance(layer, SphereLifting):
        analysis, volume = sphere_analysis(points.reshape(1, *signal.axes, -1), L)[0, :, :, None], 4 * np.pi
    else:
        analysis, volume = so3_analysis(points[None], L)[0], 8 * np.pi**2
    scales = jnp.asarray(layer.w_std**2 / volume / norms(L, 8 * np.pi**2) ** 2, covariance.dtype)
    degrees = jnp.einsum("lmna,ab,lpnb,l->lmp", analysis, covariance, analysis, scales, optimize=True)
    modes = (L, 2 * L - 1, 2 * L - 1)
    basis = jnp.eye(L * (2 * L - 1) ** 2, dtype=covariance.dtype).reshape(1, *modes, -1)
    synthesis = so3_synthesis(basis, L * layer.oversampling)[0].reshape(-1, *modes)
    return jnp.einsum("almn,lmp,blpn->ab", synthesis, degrees, synthesis, optimize=True)
