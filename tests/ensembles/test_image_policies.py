"""Images moved by any angle and by whole pixels: against SciPy, NumPy loops, and the group's own rotations."""

import math
from functools import partial
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import map_coordinates

from widesym.ensembles.augmentation import (
    FixedElements,
    FixedRotations,
    FullOrbit,
    GivenRotations,
    Images,
    RandomElement,
    RandomElements,
    RandomRotation,
    RandomTranslation,
    Vectors,
)
from widesym.models import cyclic, dihedral

KEY = jax.random.key(0)
METHODS = ("nearest", "bilinear", "bicubic")
GRIDS = [(6, 6), (5, 5), (4, 7)]  # the centre between pixels, on one, and both
ANGLES = st.floats(-math.pi, math.pi)
FLOAT32 = 1e-5  # places are some pixels, rounded to 1e-6, in images whose neighbours differ by about one


def images(grid, seed=0):
    return np.random.default_rng(seed).standard_normal((2, *grid, 3)).astype("f")


def rotation(angle):
    return np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])


def source_places(grid, R):
    """Row and column of R⁻¹t for each pixel t = (x, y), x to the right and y up from the centre, in float64."""
    middle = (np.array(grid) - 1) / 2
    places = np.zeros((2, *grid))
    for row, column in product(*map(range, grid)):
        x, y = np.linalg.inv(R) @ (column - middle[1], middle[0] - row)
        places[:, row, column] = middle[0] - y, x + middle[1]
    return places


@partial(jax.jit, static_argnums=0)
def by_every_method(outside, x, R):
    return {method: Images(method, outside).turned(x, R.astype(jnp.float32)) for method in METHODS}


def by_scipy(x, R, order, mode):
    places = source_places(x.shape[1:3], R)
    planes = [[map_coordinates(x[s, ..., c], places, order=order, mode=mode) for c in range(3)] for s in range(len(x))]
    return np.moveaxis(np.array(planes), 1, -1)


def catmull_rom(p, t):
    """Between p[1] and p[2], in the form of Keys' interpolation that is known by this name."""
    return (
        2 * p[1] + (p[2] - p[0]) * t + (2 * p[0] - 5 * p[1] + 4 * p[2] - p[3]) * t**2
        + (3 * p[1] - p[0] - 3 * p[2] + p[3]) * t**3
    ) / 2  # fmt: skip


def by_catmull_rom(x, R, pad):
    """First along columns, then along rows, pixel by pixel, in an image with a wide margin."""
    margin = 12
    wide = np.pad(np.float64(x), [(0, 0), (margin, margin), (margin, margin), (0, 0)], mode=pad)
    places, out = source_places(x.shape[1:3], R), np.zeros(x.shape)
    for row, column in product(*map(range, x.shape[1:3])):
        (i, j), (s, t) = np.divmod(places[:, row, column], 1)
        window = wide[:, int(i) + margin - 1 :, int(j) + margin - 1 :][:, :4, :4]
        lines = catmull_rom(np.moveaxis(window, 2, 0), t)  # [sample, row, channel]
        out[:, row, column] = catmull_rom(np.moveaxis(lines, 1, 0), s)
    return out


@pytest.mark.parametrize("grid", GRIDS, ids=str)
@pytest.mark.parametrize(
    ("outside", "mode", "pad"), [("zeros", "grid-constant", "constant"), ("edge", "nearest", "edge")]
)
@given(angle=ANGLES, mirrored=st.booleans())
def test_images_turn_as_scipys(grid, outside, mode, pad, angle, mirrored):
    x, R = images(grid), rotation(angle) @ np.diag([-1 if mirrored else 1, 1])
    moved = by_every_method(outside, x, R)
    np.testing.assert_allclose(moved["bilinear"], by_scipy(x, R, 1, mode), atol=FLOAT32)
    np.testing.assert_allclose(moved["bicubic"], by_catmull_rom(x, R, pad), atol=2 * FLOAT32)  # steeper
    rest = source_places(grid, R) % 1
    certain = np.all(abs(rest - 0.5) > 1e-5, axis=0)  # the nearest of two at the same distance is rounding's
    np.testing.assert_array_equal(moved["nearest"][:, certain], np.float32(by_scipy(x, R, 0, mode))[:, certain])


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("grid", [(6, 6), (5, 5)], ids=str)
def test_right_angles_are_the_groups_rotations(method, grid):
    """To rounding from an angle in float32, which at a right angle leaves cosines of 4e-8."""
    x = images(grid)
    turns = GivenRotations([rotation(k * math.pi / 2) for k in range(4)])
    copies = FixedRotations(turns, Images(method)).copies(x)
    np.testing.assert_allclose(copies.reshape(-1, *x.shape[1:]), cyclic(4).orbit(x), atol=FLOAT32)


def test_angles_are_positive_to_the_left():
    """As jnp.rot90 and `Group.rotate` turn: what is right of the centre moves up."""
    x = jnp.zeros((1, 5, 5, 1)).at[0, 2, 4].set(1)
    moved = FixedRotations(GivenRotations([rotation(math.pi / 2)]), Images()).copies(x)[0, 0, ..., 0]
    assert moved[0, 2] == pytest.approx(1, abs=FLOAT32)
    assert cyclic(4).rotate_images(x, 1)[0, 0, 2, 0] == 1


def test_random_angles_are_uniform_and_differ_between_samples():
    """Moments e^{ikθ} up to k = 8 vanish, and so does their correlation: five standard errors, E|e^{ikθ}|² = 1.

    The angle is read off a vector that turns along.
    """
    policy = RandomRotation(Images(), Vectors())
    y = jnp.tile(jnp.asarray([[1.0, 0.0]]), (2, 1))
    keys = jax.random.split(KEY, 5000)
    found = np.asarray(jax.vmap(lambda key: policy(key, jnp.zeros((2, 2, 2, 1)), y)[1])(keys)) @ [1, 1j]
    np.testing.assert_allclose(abs(found), 1, atol=1e-6)
    powers = found[:, :, None] ** np.arange(1, 9)
    bound = 5 / math.sqrt(len(keys))
    assert np.all(abs(powers.mean(0)) < bound)
    assert abs(np.mean(found[:, 0] * found[:, 1].conj())) < bound
    assert abs(np.mean(found[:, 0] * found[:, 1])) < bound


def centres_of_mass(x):
    """Of each image, to the right and up from its centre."""
    rows, columns = x.shape[1:3]
    row, column = np.mgrid[:rows, :columns]
    mass = np.asarray(x)[..., 0] / np.asarray(x)[..., 0].sum((1, 2), keepdims=True)
    right, up = column - (columns - 1) / 2, (rows - 1) / 2 - row
    return np.stack([(mass * right).sum((1, 2)), (mass * up).sum((1, 2))], -1)


PLANAR = [
    FullOrbit(dihedral(4), targets=Vectors()),
    FullOrbit(dihedral(8), targets=Vectors()),
    FullOrbit(cyclic(3), targets=Vectors()),
    FixedElements(dihedral(2), (1, 2, 3), targets=Vectors()),
    RandomElement(dihedral(4), targets=Vectors()),
    RandomElement(dihedral(16), targets=Vectors()),
    RandomElements(dihedral(4), 5, targets=Vectors()),
    RandomRotation(Images("bilinear"), Vectors()),
    RandomRotation(Images("bicubic"), Vectors()),
    FixedRotations(GivenRotations([rotation(a) for a in (0.3, 2.0, -1.0)]), Images(), Vectors()),
]


@pytest.mark.parametrize("policy", PLANAR, ids=str)
def test_vectors_turn_with_the_images(policy):
    """The centre of a bump is a vector: wherever the policy moves the bump, the target says so, under mirroring, too.

    A hundredth of a pixel: interpolation moves the centre of a bump 1.5 pixels wide by less. Bumps differ, so that
    targets of another sample would show.
    """
    row, column = np.mgrid[:17, :17] - 8
    centres = np.array([(4, 1), (-2, 3), (0.5, -4.5)])
    x = np.exp(-((column - centres[:, 0, None, None]) ** 2 + (row + centres[:, 1, None, None]) ** 2) / (2 * 1.5**2))
    x = jnp.asarray(x[..., None], jnp.float32)
    y = jnp.asarray(centres_of_mass(x), jnp.float32)
    moved, targets = policy(jax.random.key(1), x, y)
    np.testing.assert_allclose(targets, centres_of_mass(moved), atol=0.01)
    assert np.abs(targets - np.tile(y, (len(targets) // 3, 1))).max() > 1


@pytest.mark.parametrize("outside", ["zeros", "circular"])
def test_translations_are_uniform_shifts(outside):
    """Each shift shows in a lone bright pixel; what enters is checked on whole images."""
    policy, x = RandomTranslation(2, outside), jnp.asarray(images((5, 7), seed=1))
    marker = jnp.zeros((2, 5, 7, 1)).at[:, 2, 3].set(1)
    both, y = jnp.concatenate([x, marker], axis=-1), jnp.asarray([[4.0], [5.0]])
    keys = jax.random.split(KEY, 3000)
    moved, targets = jax.jit(jax.vmap(lambda key: policy(key, both, y)))(keys)
    np.testing.assert_array_equal(targets, np.broadcast_to(y, (3000, 2, 1)))
    place = np.reshape(moved[..., -1], (3000, 2, 35)).argmax(-1)
    shifts = np.stack(np.divmod(place, 7), -1) - (2, 3)
    for (draw, sample), (down, right) in zip(np.ndindex(100, 2), shifts[:100].reshape(-1, 2), strict=True):
        expected = np.roll(x[sample], (down, right), (0, 1))
        if outside == "zeros":
            expected[slice(0, down) if down >= 0 else slice(down, None)] = 0
            expected[:, slice(0, right) if right >= 0 else slice(right, None)] = 0
        np.testing.assert_array_equal(moved[draw, sample, ..., :-1], expected)
    counts = np.bincount(((shifts + 2) @ [5, 1]).ravel(), minlength=25)
    assert len(counts) == 25
    assert np.all(np.abs(counts - 240) < 5 * math.sqrt(240))  # five standard deviations of 6000 draws
    same = np.mean(np.all(shifts[:, 0] == shifts[:, 1], axis=-1))
    assert abs(same - 1 / 25) < 5 * math.sqrt(1 / 25 / 3000)  # samples draw their own


@pytest.mark.parametrize(("field", "value"), [("method", "cubic"), ("outside", "circular")])
def test_unknown_interpolations_are_refused(field, value):
    with pytest.raises(ValueError, match=f"Images: {field} is '{value}'; it must be one of "):
        Images(**{field: value})


@pytest.mark.parametrize("x", [jnp.zeros((2, 4, 4)), jnp.zeros((2, 4, 4, 1), jnp.int32)], ids=["flat", "integers"])
def test_images_that_cannot_be_interpolated_are_refused(x):
    with pytest.raises(ValueError, match=r"images of floating-point numbers, \(H, W, C\), are needed"):
        Images().turned(x, jnp.eye(2))


@pytest.mark.parametrize("largest", [0, -1, 1.5, True, "2"])
def test_translations_that_are_none_are_refused(largest):
    with pytest.raises(ValueError, match="it must be an integer of at least 1 pixel") as error:
        RandomTranslation(largest)
    assert repr(largest) in str(error.value)


def test_unknown_fills_and_inputs_of_translations_are_refused():
    with pytest.raises(ValueError, match="outside is 'edge'; it must be one of zeros, circular"):
        RandomTranslation(1, "edge")
    for x in (jnp.zeros((2, 4)), jnp.zeros((2, 5, 3, 1))):
        with pytest.raises(ValueError, match="larger than 3 pixels are needed"):
            RandomTranslation(3)(KEY, x, jnp.zeros((2, 1)))
