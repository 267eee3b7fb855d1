"""Filters that turn by any angle: circular harmonics on rings, sampled at the pixels (theory.md §1).

A filter is W(y) = Σ_b w_b B_b(y) with w_b ~ N(0, 1), where the B_b are R_j(|y|) cos(kφ) and R_j(|y|) sin(kφ): Gaussian
rings R_j, and angular frequencies k low enough for the pixels (Weiler & Cesa 2019, arXiv:1911.08251). Its turned copies
are the same functions read at turned points, so that with B functions a lifting to any C_n or D_n is
z(t,g) = σ_w/√(n·B) Σ_b w_b Σ_y B_b(ρ_g⁻¹y) x(t+y).

Element g = r + n·f is the rotation by 2πr/n after f flips of the columns. Rotations by right angles are jnp.rot90 on
(row, column), exactly. All is NumPy in float64; arrays are cached and read-only.
"""

from functools import cache
from numbers import Integral

import numpy as np
from jaxtyping import Complex, Float

RIGHT_ANGLES = (1, 1j, -1, -1j)
# The square grid takes e^{ikφ} for e^{i(k−4)φ}: from k = 4 on, smooth images would see more of the latter.
HIGHEST_FREQUENCY = 3
OUTER_FREQUENCY = 2  # the outermost ring is cut off at the filter's border and has fewer pixels
CENTRE_WIDTH = 0.1  # the central pixel alone
INNER_WIDTH = 0.6  # at one pixel's distance rings so wide overlap: the grid is hardly seen any more
OUTER_WIDTHS = (0.3, 0.5)  # between these lies the width that `outer_width` looks for


@cache
def filter_basis(size: int) -> Float[np.ndarray, "basis row column"]:
    """The B_b on the pixels of a size × size filter."""
    return rotated_basis(1, False, size)[:, 0]


@cache
def rotated_basis(rotations: int, reflections: bool, size: int) -> Float[np.ndarray, "basis element row column"]:
    """B_b(ρ_g⁻¹y) for every element g of C_n, n = `rotations`, or with reflections of D_n.

    Cosine and sine of a ring and frequency share one factor: W's law is then invariant under rotations and reflections.
    The factor is that of Σ_y B_b(ρ_g⁻¹y)² = 1, on average over the two and therefore, unless n divides 2k, over g.
    """
    check_filter(rotations, size)
    y = pixels(size)
    unturned = np.stack([y * np.conj(turn(rotations, r)) for r in range(rotations)])
    points = np.concatenate([unturned, -np.conj(unturned)]) if reflections else unturned
    direction = points / np.where(points == 0, 1, np.abs(points))  # 0 at the centre, where there is none
    basis = []
    for radius, width, highest in rings(size):
        ring = ring_profile(np.abs(points), radius, width)
        basis.append(ring / np.linalg.norm(ring[0]))
        for k in range(1, highest + 1):
            harmonic = ring * direction**k
            harmonic *= np.sqrt(2) / np.linalg.norm(harmonic[0])
            basis += [harmonic.real, harmonic.imag]
    sampled = np.stack(basis)
    sampled.flags.writeable = False
    return sampled


def rings(size: int) -> list[tuple[float, float, int]]:
    """Radius and width, in pixels, and highest angular frequency of each ring, from the centre to the border."""
    outermost = (size - 1) / 2
    radii = np.arange(outermost % 1, outermost + 1)
    found = []
    for radius in radii:
        highest = OUTER_FREQUENCY if radius == outermost else HIGHEST_FREQUENCY
        width = CENTRE_WIDTH if radius == 0 else outer_width(size) if radius == outermost else INNER_WIDTH
        found.append((float(radius), width, min(highest, int(2 * radius))))
    return found


@cache
def outer_width(size: int) -> float:
    """The width at which the outermost ring's second harmonic turns as it should under the smoothest images.

    To these the filter R(|y|) e^{2iφ} is its second moments: Σ_y R(|y|)|y|² from e^{2iφ}, and Σ_y R(|y|)|y|² cos 4φ
    from its alias e^{−2iφ}, which turns the other way. At one width the alias, the largest error, vanishes.
    """
    y = pixels(size)
    outermost = (size - 1) / 2
    narrow, wide = OUTER_WIDTHS
    for _ in range(50):  # bisection to float64's precision; a wider ring has more of the corners, where cos 4φ = −1
        middle = (narrow + wide) / 2
        alias = np.sum(ring_profile(np.abs(y), outermost, middle) * np.abs(y) ** 2 * np.cos(4 * np.angle(y)))
        narrow, wide = (middle, wide) if alias > 0 else (narrow, middle)
    return narrow


def pixels(size: int) -> Complex[np.ndarray, "row column"]:
    """The filter's pixels as complex numbers, column − i·row from its centre: rotations are multiplications."""
    row, column = np.mgrid[:size, :size] - (size - 1) / 2
    return column - 1j * row


def ring_profile(distance: Float[np.ndarray, "..."], radius: float, width: float) -> Float[np.ndarray, "..."]:
    """The radial profile R_j of a ring, not normalised: exp(−(distance − radius)²/(2 width²))."""
    return np.exp(-(((distance - radius) / width) ** 2) / 2)


def turn(rotations: int, r: int) -> complex:
    """e^{2πir/n}; exact for right angles, so that they permute the pixels."""
    right_angles, rest = divmod(4 * r, rotations)
    return complex(RIGHT_ANGLES[right_angles] * np.exp(0.5j * np.pi * rest / rotations))


def check_filter(rotations: int, size: int) -> None:
    """Raise ValueError for a group or a filter that does not exist."""
    for name, number in (("rotations", rotations), ("size", size)):
        if not isinstance(number, Integral) or number < 1:
            raise ValueError(f"rotated_basis: {name} is {number!r}; it must be a positive integer")
