"""Images resized, recoloured and projected on the sphere."""

import jax.numpy as jnp
import numpy as np
import pytest

from tests.support.so3_oracles import dh_sphere, rotation
from widesym.ensembles.augmentation import DrawnRotations, SphereSignals
from widesym.ensembles.data import Dataset, Quantity
from widesym.ensembles.data.transforms import (
    grayscale,
    pad_or_crop,
    resize,
    rgb,
    standardised,
    to_sphere,
    transformed,
)
from widesym.ensembles.data.transforms.sphere import interpolated

ROUNDING = 2e-6  # of a few float32 operations on numbers of order one


def noise(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def test_resize_in_closed_form():
    row = np.float32([1, 2, 6]).reshape(1, 1, 3, 1)
    np.testing.assert_allclose(resize(row, 1, 1).ravel(), [3], rtol=ROUNDING)
    np.testing.assert_allclose(
        resize(row, 1, 2).ravel(), [4 / 3, 14 / 3], rtol=ROUNDING
    )  # (1 + 2/2)/1.5, (2/2 + 6)/1.5
    np.testing.assert_array_equal(resize(row, 2, 6)[0, :, :, 0], [[1, 1, 2, 2, 6, 6]] * 2)
    images = noise(3, 4, 5, 2)
    np.testing.assert_array_equal(resize(images, 4, 5), images)


@pytest.mark.parametrize("size", [(2, 3), (5, 7), (11, 4)])
def test_resize_averages_over_areas(size):
    """The same as to repeat every pixel until both grids divide the image, and to average blocks; the mean is kept."""
    images = noise(2, 6, 9, 3)
    found = resize(images, *size)
    fine = images.repeat(size[0], 1).repeat(size[1], 2)
    blocks = fine.reshape(2, size[0], 6, size[1], 9, 3).mean((2, 4))
    np.testing.assert_allclose(found, blocks, atol=ROUNDING)
    np.testing.assert_allclose(found.mean((1, 2)), images.mean((1, 2)), atol=ROUNDING)
    assert found.dtype == np.float32


def test_colours():
    images = np.eye(3, dtype=np.float32).reshape(1, 1, 3, 3)
    np.testing.assert_allclose(grayscale(images).ravel(), [0.299, 0.587, 0.114], rtol=ROUNDING)
    grey = noise(2, 3, 4, 1)
    assert rgb(grey).shape == (2, 3, 4, 3)
    np.testing.assert_allclose(grayscale(rgb(grey)), grey, atol=ROUNDING)  # the weights' sum is 1


def test_padding_and_cropping():
    images = noise(2, 4, 5, 1)
    padded = pad_or_crop(images, 7, 6, background=-1)
    np.testing.assert_array_equal(padded[:, 1:5, :5], images)
    assert (padded == -1).sum() == 2 * (42 - 20)
    np.testing.assert_array_equal(pad_or_crop(images, 1, 2), images[:, 1:2, 1:3])
    np.testing.assert_array_equal(pad_or_crop(padded, 4, 5), images)  # what is added is what is cut
    np.testing.assert_array_equal(pad_or_crop(images, 2, 7)[0, :, :, 0], np.pad(images[0, 1:3, :, 0], ((0, 0), (1, 1))))


def test_data_sets_are_transformed_and_say_so():
    values = np.float32([[1], [2]])
    data = Dataset("set", noise(2, 4, 4, 1), np.array([0, 1]), ("a", "b"), "made up", values, (Quantity("q"),))
    small = transformed(data, resize, 2, columns=3)
    assert (small.inputs.shape, small.name, small.provenance) == ((2, 2, 3, 1), "set", "made up; resize(2, columns=3)")
    assert small.labels is data.labels
    assert small.values is data.values
    unit = standardised(data)
    assert unit.provenance == "made up; standardise_each()"
    np.testing.assert_allclose(unit.inputs.mean((1, 2, 3)), 0, atol=ROUNDING)
    np.testing.assert_allclose(unit.inputs.std((1, 2, 3)), 1, rtol=ROUNDING)


def seen(points, rows, columns, projection):
    """Row and column by geometry: stereographic projection is the ray from the south pole through the point to the
    plane of the equator; equal areas, Lambert's: the chord from the north pole, half as long."""
    x, y, z = np.moveaxis(points, -1, 0)
    if projection == "stereographic":
        q = np.stack([x, y]) / (1 + z)
    else:
        chord = np.sqrt(x**2 + y**2 + (z - 1) ** 2)
        q = np.stack([x, y]) / np.sqrt(x**2 + y**2) * chord / 2
    half_diagonal = np.sqrt(rows**2 + columns**2) / 2
    return (rows - 1) / 2 - half_diagonal * q[1], (columns - 1) / 2 + half_diagonal * q[0]


@pytest.mark.parametrize("projection", ["stereographic", "equal-area"])
@pytest.mark.parametrize("seed", [None, 3])
def test_linear_images_are_projected_in_closed_form(projection, seed):
    """Bilinear interpolation is exact for them up to the border's centres; one pixel farther out is the background."""
    rows, columns, L = 7, 10, 8
    slopes = noise(4, 3, 2)[:, None, None]
    row, column = np.indices((rows, columns))[..., None]
    images = slopes[..., 0, :] + slopes[..., 1, :] * row + slopes[..., 2, :] * column
    found = to_sphere(images, L, projection, background=9, seed=seed)
    assert found.shape == (4, 16, 15, 2)
    points = dh_sphere(L) if seed is None else dh_sphere(L) @ DrawnRotations(4, seed).matrices[:, None]  # R⁻¹x
    row, column = seen(np.broadcast_to(points, (4, 16, 15, 3)), rows, columns, projection)
    inside = (row >= 0) & (row <= rows - 1) & (column >= 0) & (column <= columns - 1)
    outside = (row <= -1) | (row >= rows) | (column <= -1) | (column >= columns)
    expected = slopes[..., 0, :] + slopes[..., 1, :] * row[..., None] + slopes[..., 2, :] * column[..., None]
    np.testing.assert_allclose(found[inside], expected[inside], atol=1e-5)  # float32 rounding of numbers up to 20
    assert (found[outside] == 9).all()
    assert inside.sum() > 100
    assert outside.sum() > 100


def test_interpolation_between_pixels_and_at_the_border():
    image = np.float32([[1, 2], [3, 5]]).reshape(1, 2, 2, 1)
    row = np.array([[0, 0.5, 0.25, -0.5, 1.25, 9, -1]])
    column = np.array([[1, 0.5, 0.0, 0.0, 1.5, 0, 0]])
    found = interpolated(image, row, column, background=10)[0, :, 0]
    corner = 0.75 * 0.5 * 5 + (1 - 0.75 * 0.5) * 10
    np.testing.assert_allclose(found, [2, 2.75, 1.5, 5.5, corner, 10, 10], rtol=ROUNDING)


def test_pictures_lie_on_the_north_upright():
    """Seen from above: the corner to the right and top is at azimuth 45°, on the equator; the south shows nothing."""
    L = 36
    image = np.zeros((1, 12, 12, 1), np.float32)
    image[0, 0, -1] = 1
    theta, phi = np.unravel_index(to_sphere(image, L)[0, :, :, 0].argmax(), (2 * L, 2 * L - 1))
    # The corner pixel's centre is at ρ = 11/12: θ = 85°; the grid's points are 2.5° and 5° apart.
    assert abs((2 * theta + 1) * 180 / (4 * L) - np.degrees(2 * np.arctan(11 / 12))) < 2.5
    assert abs(phi * 360 / (2 * L - 1) - 45) < 5
    full = to_sphere(np.ones_like(image), L)
    # One pixel of fading: ρ = 13/12 at the corners.
    assert not full[0, (2 * np.arange(2 * L) + 1) * 180 / (4 * L) > np.degrees(2 * np.arctan(13 / 12))].any()


def test_turned_images_are_turned_signals():
    images = noise(2, 6, 6, 1)
    upright, L = to_sphere(images, 8), 8
    # A quarter turn is no shift of 15 azimuths; but the points turned back are.
    quarter = to_sphere(np.rot90(images, axes=(1, 2)), L)
    row, column = seen(dh_sphere(L) @ rotation(np.pi / 2, 0, 0), 6, 6, "stereographic")
    expected = interpolated(images, *(np.broadcast_to(place, (2, 16, 15)) for place in (row, column)))
    np.testing.assert_allclose(quarter, expected, atol=1e-5)  # rounding near pixel borders, times slopes of order one
    assert np.abs(quarter - upright).max() > 0.1


def test_smooth_images_turn_as_band_limited_signals_do():
    """Turning the points first, and turning f_lm: equal up to what the picture has beyond the bandlimit.

    That is little for a Gaussian of 20°, interpolated with kinks: 1.5 % of its height are found at L = 12.
    """
    row, column = np.indices((32, 32)) - 15.5
    image = np.exp(-((row - 3) ** 2 + (column + 4) ** 2) / 50)[None, ..., None].astype(np.float32)
    turned = to_sphere(image, 12, seed=1)
    R = jnp.asarray(DrawnRotations(1, 1).matrices[0], jnp.float32)
    by_harmonics = np.asarray(SphereSignals().turned(jnp.asarray(to_sphere(image, 12)), R))
    assert np.abs(turned - by_harmonics).max() < 0.02
    assert np.abs(turned - to_sphere(image, 12)).max() > 0.2


def test_each_image_is_turned_on_its_own_by_the_seed():
    images = np.repeat(noise(1, 6, 6, 1), 5, 0)
    first, again, other = (to_sphere(images, 5, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert len(np.unique(np.concatenate([first, other]).reshape(10, -1), axis=0)) == 10


def test_images_in_batches(monkeypatch):
    images = noise(7, 4, 4, 2)
    expected = to_sphere(images, 4, seed=2)
    monkeypatch.setattr("widesym.ensembles.data.transforms.sphere.AT_ONCE", 3)
    np.testing.assert_array_equal(to_sphere(images, 4, seed=2), expected)


IMAGES = np.ones((1, 2, 2, 2), np.float32)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: resize(IMAGES[0], 1, 1), r"resize: inputs have shape \(2, 2, 2\); images \[sample, row"),
        (lambda: resize(IMAGES, 0, 1), "resize: rows is 0; it must be a positive integer"),
        (lambda: resize(IMAGES, 1, 1.5), "resize: columns is 1.5"),
        (lambda: grayscale(IMAGES), "grayscale: images have 2 channels; red, green and blue are needed"),
        (lambda: rgb(IMAGES), "rgb: images have 2 channels; one is needed"),
        (lambda: pad_or_crop(IMAGES, 2, 0), "pad_or_crop: columns is 0"),
        (lambda: to_sphere(IMAGES, 0), "to_sphere: bandlimit is 0"),
        (
            lambda: to_sphere(IMAGES, 3, "mercator"),
            "projection is 'mercator'; it must be one of stereographic, equal-ar",
        ),
        (lambda: to_sphere(IMAGES[0], 3), "to_sphere: inputs have shape"),
        (lambda: standardised(Dataset("v", np.ones((2, 3)), None, (), "")), r"v: inputs have shape \(2, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
