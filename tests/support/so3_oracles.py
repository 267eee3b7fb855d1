"""Band-limited functions on the sphere and on SO(3) as closed forms of points and rotation matrices.

Written without harmonics: Legendre polynomials of v·x and of v·gu span degree l of S² and of SO(3), and the covariance
of white noise is a Legendre polynomial of the angle between two points or a character of the rotation between two.
"""

import numpy as np
from numpy.polynomial.legendre import Legendre, leggauss


def rotation(alpha, beta, gamma):
    """R_z(α) R_y(β) R_z(γ), for angles that broadcast."""
    alpha, beta, gamma = np.broadcast_arrays(*(np.asarray(angle, float) for angle in (alpha, beta, gamma)))
    zero, one = np.zeros_like(beta), np.ones_like(beta)

    def matrix(*rows):
        return np.moveaxis(np.array(rows), (0, 1), (-2, -1))

    def z(t):
        return matrix((np.cos(t), -np.sin(t), zero), (np.sin(t), np.cos(t), zero), (zero, zero, one))

    y = matrix((np.cos(beta), zero, np.sin(beta)), (zero, one, zero), (-np.sin(beta), zero, np.cos(beta)))
    return z(alpha) @ y @ z(gamma)


def point(theta, phi):
    """Unit vectors [..., xyz]."""
    theta, phi = np.broadcast_arrays(theta, phi)
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)


def dh_sphere(L):
    """The points [theta, phi, xyz] of the network's grid."""
    theta, phi = (2 * np.arange(2 * L) + 1) * np.pi / (4 * L), 2 * np.pi * np.arange(2 * L - 1) / (2 * L - 1)
    return point(theta[:, None], phi)


def dh_so3(L):
    """The rotations [group, 3, 3] of the network's grid, γ outermost and α innermost."""
    beta, alpha = (2 * np.arange(2 * L) + 1) * np.pi / (4 * L), 2 * np.pi * np.arange(2 * L - 1) / (2 * L - 1)
    return rotation(alpha, beta[:, None], alpha[:, None, None]).reshape(-1, 3, 3)


def gauss_sphere(L):
    """Points and weights that integrate products of two functions of bandlimit L; other points than the network's."""
    cosine, weights = leggauss(L)
    phi = 2 * np.pi * (np.arange(2 * L) + 0.3) / (2 * L)
    weights = np.repeat(weights[:, None], 2 * L, axis=1) * np.pi / L
    return point(np.arccos(cosine)[:, None], phi).reshape(-1, 3), weights.ravel()


def gauss_so3(L):
    """Rotations and weights that integrate products of two functions of bandlimit L."""
    cosine, weights = leggauss(L)
    angle = 2 * np.pi * (np.arange(2 * L) + 0.3) / (2 * L)
    points = rotation(angle[:, None, None], np.arccos(cosine)[:, None], angle)
    weights = np.broadcast_to(weights[:, None] * (np.pi / L) ** 2, points.shape[:-2])
    return points.reshape(-1, 3, 3), weights.ravel()


class BandLimited:
    """Channels of random functions Σ_j a_j P_l(j)(v_j·x) and Σ_j a_j P_l(j)(v_j·g u_j) with all degrees l < L."""

    def __init__(self, L, channels, seed, terms=12):
        rng = np.random.default_rng(seed)
        self.degrees = np.arange(terms) % L
        self.a = rng.standard_normal((channels, terms))
        self.u, self.v = (w / np.linalg.norm(w, axis=-1, keepdims=True) for w in rng.standard_normal((2, terms, 3)))

    def on_sphere(self, x):
        """[channel, ...] at points [..., xyz]."""
        return self._sum(np.einsum("ji,...i->...j", self.v, x))

    def on_so3(self, g):
        """[channel, ...] at rotations [..., 3, 3]."""
        return self._sum(np.einsum("ji,...ik,jk->...j", self.v, g, self.u))

    def _sum(self, cosines):
        terms = [Legendre.basis(degree)(cosines[..., j]) for j, degree in enumerate(self.degrees)]
        return np.einsum("cj,j...->c...", self.a, np.array(terms))


def noise_on_sphere(L, x):
    """E[W(x)W(y)] = Σ_{l<L} (2l+1)/4π P_l(x·y), at all pairs of points."""
    return sum((2 * degree + 1) / (4 * np.pi) * Legendre.basis(degree)(x @ x.T) for degree in range(L))


def noise_on_so3(L, h):
    """E[W(g)W(h)] = Σ_{l<L} (2l+1)/8π² χ_l(ω) with χ_l = 1 + 2 Σ_{k≤l} cos kω and ω the angle of g⁻¹h, at all pairs."""
    angle = np.arccos(np.clip((np.einsum("gij,hij->gh", h, h) - 1) / 2, -1, 1))
    character = [np.ones_like(angle) + 2 * sum(np.cos(k * angle) for k in range(1, degree + 1)) for degree in range(L)]
    return sum((2 * degree + 1) / (8 * np.pi**2) * character[degree] for degree in range(L))
