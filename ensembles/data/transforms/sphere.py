"""Images projected on the sphere, on the grid of models/spherical/wigner.py."""

from functools import lru_cache
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from widesym.ensembles.augmentation.rotation_sets import DrawnRotations
from widesym.ensembles.data.transforms.images import Background, Images, check_image_axes, framed
from widesym.models.checks import check_positive
from widesym.models.spherical.wigner import azimuths, colatitudes

Projection = Literal["stereographic", "equal-area"]
Vectors = Float[np.ndarray, "*point xyz"]
Spheres = Float[np.ndarray, "sample theta phi channel"]

AT_ONCE = 256  # images; bounds the memory of their interpolation


def to_sphere(
    images: Images,
    bandlimit: int,
    projection: Projection = "stereographic",
    background: Background = 0.0,
    seed: int | None = None,
) -> Spheres:
    """The images seen from above the north pole, sampled on the sphere's grid of bandlimit L, (2L, 2L−1).

    The point at colatitude θ and azimuth φ shows the image at the polar coordinates (ρ, φ), with x to the right, y up,
    and the image's corners on the unit circle:

        stereographic  ρ = tan θ/2: the image is on the northern hemisphere, angles are kept
        equal-area     ρ = sin θ/2: the corners meet at the south pole, all pixels are equally large

    The first is spherical MNIST's (arXiv:1801.10130, sec. 5.2, whose code lets corners hang over by 6 %). Between
    pixels the image is interpolated bilinearly; outside it is `background`, one number or one for each channel: in
    normalised images 0 is the mean, and `normalisation.of(0)` black.

    With a seed, each image is turned by a rotation R of its own, uniform on SO(3): f(R⁻¹x). It is the points x that are
    turned, before the interpolation: what is sampled is then the rotated picture itself, at any bandlimit.
    `widesym.models.spherical.harmonics.rotate_sphere` would turn its band-limited part instead, with the ringing of the
    cut-off.

    Raises ValueError for what are no images, and for other projections.
    """
    check_image_axes("to_sphere", images)
    check_positive("to_sphere", "bandlimit", bandlimit)
    if projection not in get_args(Projection):
        raise ValueError(
            f"to_sphere: projection is {projection!r}; it must be one of {', '.join(get_args(Projection))}"
        )
    points = np.broadcast_to(grid_points(bandlimit), (len(images), 2 * bandlimit, 2 * bandlimit - 1, 3))
    matrices = None if seed is None else DrawnRotations(len(images), seed).matrices
    parts = []
    for part in (slice(start, start + AT_ONCE) for start in range(0, len(images), AT_ONCE)):
        seen = points[part] if matrices is None else np.einsum("stpi,sij->stpj", points[part], matrices[part])
        parts.append(interpolated(images[part], *places(seen, images.shape[1:3], projection), background))
    return np.concatenate(parts)


@lru_cache
def grid_points(bandlimit: int) -> Float[np.ndarray, "theta phi xyz"]:
    """Unit vectors of the sphere's grid: (sin θ cos φ, sin θ sin φ, cos θ)."""
    theta, phi = np.meshgrid(colatitudes(bandlimit), azimuths(bandlimit), indexing="ij")
    return np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)


def places(
    points: Vectors, grid: tuple[int, int], projection: Projection
) -> tuple[Float[np.ndarray, "*point"], Float[np.ndarray, "*point"]]:
    """Row and column of the image, whole numbers at the centres of pixels, that points of the sphere show."""
    x, y, z = np.moveaxis(points, -1, 0)
    theta, phi = np.arctan2(np.hypot(x, y), z), np.arctan2(y, x)
    radius = np.tan(theta / 2) if projection == "stereographic" else np.sin(theta / 2)
    rows, columns = grid
    pixels = np.hypot(rows, columns) / 2  # from the centre to the corners
    return (rows - 1) / 2 - pixels * radius * np.sin(phi), (columns - 1) / 2 + pixels * radius * np.cos(phi)


def interpolated(
    images: Images,
    row: Float[np.ndarray, "sample *point"],
    column: Float[np.ndarray, "sample *point"],
    background: Background = 0.0,
) -> Float[np.ndarray, "sample *point channel"]:
    """Each image at places of its own, bilinearly, as if pixels of `background` surrounded it."""
    rows, columns = images.shape[1:3]
    padded = framed(images, (1, 1), (1, 1), background)
    row, column = np.clip(row + 1, 0, rows + 1), np.clip(column + 1, 0, columns + 1)
    top, left = np.minimum(row.astype(int), rows), np.minimum(column.astype(int), columns)
    down, right = (row - top)[..., None], (column - left)[..., None]
    sample = np.arange(len(images)).reshape(-1, *[1] * (row.ndim - 1))
    upper = (1 - right) * padded[sample, top, left] + right * padded[sample, top, left + 1]
    lower = (1 - right) * padded[sample, top + 1, left] + right * padded[sample, top + 1, left + 1]
    return ((1 - down) * upper + down * lower).astype(np.float32)
