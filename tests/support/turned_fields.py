"""How far a planar layer is from equivariance under turns that no pixel grid allows, for any library's filters.

An element g = r + n·f of C_n or D_n is the turn by 2πr/n after f flips of the columns
(models/layers/circular_harmonics.py). Inputs are sums of round bumps, known at every point of the plane, so that turned
inputs are exact; feature maps are turned by quintic splines. NumPy and SciPy only: make_arrays.py runs this beside
escnn, in an environment without JAX.
"""

import numpy as np
from scipy.ndimage import map_coordinates

GRID = 33  # pixels along each axis
DISC = 9  # compared within so many pixels of the centre: neither padding nor the splines' ends are seen there
BUMPS = 8  # in each map
REACH = 6  # pixels from the centre to the farthest bump's
WIDTHS = (1.5, 2.5)  # standard deviations of the bumps, in pixels: fine detail, but free of aliasing


def random_bumps(seed, images, maps):
    """Heights, centres (complex, as `pixels`) and widths of bumps, each [image, map, bump]."""
    rng = np.random.default_rng(seed)
    shape = (images, maps, BUMPS)
    centres = REACH * np.sqrt(rng.uniform(size=shape)) * np.exp(2j * np.pi * rng.uniform(size=shape))
    return rng.standard_normal(shape), centres, rng.uniform(*WIDTHS, size=shape)


def pixels():
    """The pixels' places, column − i·row from the image's centre: turns to the left are multiplications by e^{iα}."""
    row, column = np.mgrid[:GRID, :GRID] - (GRID - 1) / 2
    return column - 1j * row


def product(g, h, rotations):
    """Index of gh: a flip turns later rotations around."""
    f, k = g // rotations, h // rotations
    return (g + (-1) ** f * h) % rotations + rotations * (f ^ k)


def moved(point, g, rotations):
    """The point g·z."""
    return np.exp(2j * np.pi * g / rotations) * (-np.conj(point) if g // rotations else point)


def moved_back(point, g, rotations):
    """The point g⁻¹·z."""
    unturned = np.exp(-2j * np.pi * g / rotations) * point
    return -np.conj(unturned) if g // rotations else unturned


def sampled(bumps, g=0, rotations=1):
    """ρ_g of each map of one image on the pixels, [map, row, column]; round bumps move with their centres."""
    heights, centres, widths = (values[..., None, None] for values in bumps)
    return np.sum(heights * np.exp(-((np.abs(pixels() - moved(centres, g, rotations)) / widths) ** 2) / 2), axis=1)


def inside():
    """The pixels at which maps are compared."""
    return np.abs(pixels()) <= DISC


def turned(maps, g, rotations):
    """ρ_g of sampled maps [map, row, column], f(g⁻¹·t), at the pixels inside; between pixels by quintic splines."""
    source = moved_back(pixels()[inside()], g, rotations)
    places = np.stack([-source.imag, source.real]) + (GRID - 1) / 2
    return np.stack([map_coordinates(f, places, order=5) for f in maps])


def convolved(bank, maps):
    """Σ_p Σ_y bank(y, p) maps(t + y, p) of a bank [output, input, row, column]; zeros beyond the border."""
    size = bank.shape[-1]
    padded = np.pad(maps, [(0, 0), *[(size // 2, size // 2)] * 2])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2))
    return np.tensordot(bank, windows, axes=([1, 2, 3], [0, 3, 4]))


def layer_error(banks, rotations, g, bumps):
    """‖z(ρ_g x) − ρ_g z(x)‖ / ‖z(x)‖ in the disc, over draws of filters [draw, element, element or 1, row, column].

    The draws take the images in turn. A lifting reads an image's first map; a group convolution one map per element,
    of which ρ_g moves the h-th to the place of the gh-th.
    """
    elements, inputs = banks.shape[1:3]
    origin = np.argsort([product(g, h, rotations) for h in range(elements)])  # of each moved map: g⁻¹h
    gap = norm = 0.0
    for draw, bank in enumerate(banks):
        image = [values[draw % len(values), :inputs] for values in bumps]
        x, moved_x = sampled(image), sampled(image, g, rotations)
        z_of_moved = convolved(bank, moved_x[origin] if inputs > 1 else moved_x)
        moved_z = turned(convolved(bank, x)[origin], g, rotations)
        gap += np.sum((z_of_moved[:, inside()] - moved_z) ** 2)
        norm += np.sum(moved_z**2)
    return float(np.sqrt(gap / norm))


def spline_error(rotations, g, bumps):
    """What `turned` alone misses, in the same norm: of the first image, whose turned maps are known."""
    image = [values[0] for values in bumps]
    exact = sampled(image, g, rotations)[:, inside()]
    return float(np.linalg.norm(turned(sampled(image), g, rotations) - exact) / np.linalg.norm(exact))
