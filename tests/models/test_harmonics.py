"""Transforms against s2fft, against functions known in closed form, and against the group law."""

import contextlib
import io
import warnings
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.so3_oracles import BandLimited, dh_so3, dh_sphere, rotation
from widesym.models.spherical.harmonics import (
    rotate_so3,
    rotate_sphere,
    so3_analysis,
    so3_synthesis,
    sphere_analysis,
    sphere_synthesis,
)
from widesym.models.spherical.wigner import (
    gauss_and_pole,
    norms,
    orders,
    real_wigner,
    so3_bandlimit,
    so3_grid,
    so3_weights,
    sphere_grid,
    sphere_weights,
)

# Sums of up to some thousand terms of size one, in float64: errors are some 1e-14, any mistake is of size one.
assert_close = partial(np.testing.assert_allclose, rtol=1e-11, atol=1e-11)
of_s2fft = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # its recursion takes logs of zeros
ANGLES = st.tuples(st.floats(-7, 7), st.floats(0, 3.15), st.floats(-7, 7))


@pytest.fixture(autouse=True)
def double():
    with jax.enable_x64(True):
        yield


@pytest.fixture(scope="module")
def s2fft():
    """The oracle; it prints and warns on import."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return pytest.importorskip("s2fft")


jitted_wigner, jitted_sphere, jitted_so3 = (
    jax.jit(real_wigner, static_argnums=0),
    jax.jit(rotate_sphere),
    jax.jit(rotate_so3),
)


def exists(L, axes):
    """Where |m| (and |n|) do not exceed l."""
    m = np.abs(orders(L)) <= np.arange(L)[:, None]
    return m if axes == 1 else m[:, :, None] & m[:, None, :]


def random_coefficients(L, axes, channels=2, samples=2):
    """White noise [channel, l, m, sample] or [channel, l, m, n, sample]."""
    mask = exists(L, axes)[..., None]
    return np.random.default_rng(L).standard_normal((channels, *mask.shape[:-1], samples)) * mask


def complex_basis(L):
    """U with real Y_l = U complex Y_l (Condon-Shortley), for any l: √2 (−1)^m Re Y_lm, and Im Y_l|m| for m < 0."""
    U = np.zeros((2 * L - 1, 2 * L - 1), complex)
    zero = L - 1
    U[zero, zero] = 1
    for m in range(1, L):
        U[zero + m, [zero + m, zero - m]] = (-1) ** m / np.sqrt(2), 1 / np.sqrt(2)
        U[zero - m, [zero + m, zero - m]] = (-1) ** m / (1j * np.sqrt(2)), -1 / (1j * np.sqrt(2))
    return U


@of_s2fft
@pytest.mark.parametrize("L", [2, 3, 5, 8])
def test_sphere_transforms_are_s2ffts(s2fft, L):
    coefficients = random_coefficients(L, 1, 1, 1)
    flm = coefficients[0, ..., 0] @ complex_basis(L)
    f = sphere_synthesis(jnp.asarray(coefficients))
    assert_close(f[0, ..., 0], s2fft.inverse(flm, L, sampling="dh"))
    assert_close(s2fft.forward(np.asarray(f[0, ..., 0], complex), L, sampling="dh"), flm)
    assert_close(sphere_analysis(f, L), coefficients)


@of_s2fft
@pytest.mark.parametrize("L", [2, 3, 5, 7])  # at 8 s2fft raises, as its recursion loses precision
def test_wigner_transforms_are_s2ffts(s2fft, L):
    """s2fft expands in (2l+1)/8π² conj D^l_mn, with axes [n, l, m]; its points are [γ, β, α]."""
    coefficients, U = random_coefficients(L, 2, 1, 1), complex_basis(L)
    flmn = U.T @ coefficients[0, ..., 0] @ U.conj() / norms(L, 8 * np.pi**2)[:, None, None]
    flmn = np.moveaxis(flmn, 2, 0)
    x = so3_synthesis(jnp.asarray(coefficients))
    on_grid = np.reshape(x, so3_grid(L))
    back = s2fft.wigner.forward(on_grid.astype(complex), L, L, sampling="dh")
    # s2fft's recursion loses digits as L grows: its own imaginary part is 5e-11 at L = 7
    np.testing.assert_allclose(on_grid, s2fft.wigner.inverse(flmn, L, L, sampling="dh"), atol=1e-9)
    np.testing.assert_allclose(back, flmn, atol=1e-9)
    assert_close(so3_analysis(x, L), coefficients)


@pytest.mark.parametrize(("L", "grid", "low"), [(1, 1, 1), (2, 2, 2), (2, 3, 1), (5, 5, 4), (5, 10, 2), (8, 8, 8)])
def test_white_noise_survives_any_grid(L, grid, low):
    """Analysis inverts synthesis on the own and on a finer grid, and a lower bandlimit is the truncation."""
    f, x = random_coefficients(L, 1), random_coefficients(L, 2)
    on_sphere = jax.jit(sphere_synthesis, static_argnums=1)(f, grid)
    on_so3 = jax.jit(so3_synthesis, static_argnums=1)(x, grid)
    assert on_sphere.shape == (2, *sphere_grid(grid), 2)
    assert on_so3.shape == (2, so3_weights(grid).size, 2)
    inner = slice(L - low, L + low - 1)
    assert_close(jax.jit(sphere_analysis, static_argnums=1)(on_sphere, low), f[:, :low, inner])
    assert_close(jax.jit(so3_analysis, static_argnums=1)(on_so3, low), x[:, :low, inner, inner])


@pytest.mark.parametrize(("L", "grid"), [(1, 1), (2, 2), (3, 5), (5, 5)])
def test_half_as_many_rings_are_exact_and_start_at_the_identity(L, grid):
    """On Gauss's rings, analysis inverts synthesis; the first point is e, with weight zero."""
    x = random_coefficients(L, 2)
    on_so3 = so3_synthesis(x, grid, gauss_and_pole)
    assert on_so3.shape[1] == (2 * grid - 1) ** 2 * (grid + 1) == so3_weights(grid, gauss_and_pole).size
    assert so3_bandlimit(on_so3.shape[1], gauss_and_pole) == grid
    assert_close(so3_analysis(on_so3, L, gauss_and_pole), x)
    assert_close(on_so3[:, 0], np.einsum("clmms,l->cs", x, norms(L, 8 * np.pi**2)))  # x(e) = Σ_l √((2l+1)/8π²) tr x_l
    assert so3_weights(grid, gauss_and_pole)[0] == 0
    assert_close(so3_weights(grid, gauss_and_pole).sum(), 8 * np.pi**2)


@pytest.mark.parametrize("L", [1, 2, 3, 8, 33])
def test_quadrature(L):
    """Weights are positive and sum to the volumes; the mean of cos²θ is 1/3 from bandlimit 2 on."""
    for weights, volume in ((sphere_weights(L), 4 * np.pi), (so3_weights(L), 8 * np.pi**2)):
        assert weights.min() > 0
        assert_close(weights.sum(), volume)
    if L > 1:
        assert_close((sphere_weights(L) * dh_sphere(L)[..., 2] ** 2).sum(), 4 * np.pi / 3)


@given(ANGLES, ANGLES)
def test_real_wigner_is_an_orthogonal_representation(first, second):
    """R(gh) = R(g) R(h) with gh from rotation matrices; R Rᵀ = 1; and R¹ is the rotation of (y, z, x)."""
    L = 4
    g, h = rotation(*first), rotation(*second)
    product = g @ h
    angles = (
        np.arctan2(product[1, 2], product[0, 2]),
        np.arctan2(np.hypot(product[0, 2], product[1, 2]), product[2, 2]),
        np.arctan2(product[2, 1], -product[2, 0]),
    )
    R, S = jitted_wigner(L, *first), jitted_wigner(L, *second)
    # Near β = 0 or π only α ± γ is determined, and arctan2 of numbers near zero loses digits of the split.
    if np.sin(angles[1]) > 1e-3:
        np.testing.assert_allclose(R @ S, jitted_wigner(L, *angles), atol=1e-10)
    assert_close(R @ R.transpose(0, 2, 1), np.eye(2 * L - 1) * exists(L, 1)[:, None, :])
    yzx = np.array([1, 2, 0])
    assert_close(R[1][L - 2 : L + 1, L - 2 : L + 1], g[np.ix_(yzx, yzx)])


def test_addition_theorem():
    """Σ_m Y_lm(x) Y_lm(y) = (2l+1)/4π P_l(x·y), Y read off from the transform."""
    L = 4
    mask = exists(L, 1)
    unit = np.zeros((mask.sum(), L, 2 * L - 1, 1))
    unit[np.arange(mask.sum()), *np.nonzero(mask)] = 1
    Y = np.reshape(sphere_synthesis(jnp.asarray(unit)), (mask.sum(), -1))
    degrees, points = np.nonzero(mask)[0], dh_sphere(L).reshape(-1, 3)
    for degree in range(L):
        P = np.polynomial.legendre.Legendre.basis(degree)(points @ points.T)
        found = Y[degrees == degree].T @ Y[degrees == degree]
        assert_close(found, (2 * degree + 1) / (4 * np.pi) * P)


@pytest.mark.parametrize("L", [1, 2, 33])
def test_real_wigner_is_orthogonal_at_high_degree(L):
    R = real_wigner(L, 0.4, 1.3, -2.0)
    assert_close(R @ R.transpose(0, 2, 1), np.eye(2 * L - 1) * exists(L, 1)[:, None, :])
    assert_close(R[0, L - 1, L - 1], 1)


@settings(max_examples=10)
@given(ANGLES)
def test_rotations_move_points(angles):
    """(ρ_g f)(x) = f(g⁻¹x) and (ρ_g x)(h) = x(g⁻¹h), on functions known at every point."""
    L, inverse = 4, rotation(*angles).T
    function, points, elements = BandLimited(L, 2, seed=0), dh_sphere(L), dh_so3(L)
    on_sphere, on_so3 = function.on_sphere(points)[..., None], function.on_so3(elements)[..., None]
    assert_close(jitted_sphere(on_sphere, angles)[..., 0], function.on_sphere(points @ inverse.T))
    assert_close(jitted_so3(on_so3, angles)[..., 0], function.on_so3(inverse @ elements))


def test_value_at_the_identity():
    function = BandLimited(3, 2, seed=0)
    x = so3_analysis(jnp.asarray(function.on_so3(dh_so3(3))[..., None]), 3)
    assert_close(so3_synthesis(x, 3, gauss_and_pole)[:, 0, 0], function.on_so3(np.eye(3)))


def test_float32_at_bandlimit_32():
    """White noise of size one comes back to 5e-7 on the sphere and 2e-6 on SO(3) (measured; maximum over all entries).

    Either sums some 60 terms along each axis with tables rounded to 6e-8; another order of summation may double that.
    """
    with jax.enable_x64(False):
        f, x = (np.float32(random_coefficients(32, axes, 1, 1)) for axes in (1, 2))
        assert np.abs(sphere_analysis(sphere_synthesis(jnp.asarray(f)), 32) - f).max() < 2e-6
        back = jax.jit(lambda x: so3_analysis(so3_synthesis(x), 32))(x)
        assert back.dtype == np.float32
        assert np.abs(back - x).max() < 8e-6


def test_grids_are_told_by_their_size():
    assert [so3_bandlimit(so3_weights(L).size) for L in range(1, 34)] == [*range(1, 34)]
    for points in (0, 1, 149, 151):
        with pytest.raises(ValueError, match=rf"no grid on SO\(3\) has {points} points"):
            so3_bandlimit(points)


def test_errors_name_the_bandlimit():
    with pytest.raises(ValueError, match=r"f has shape \(1, 6, 6, 1\); analysis at bandlimit L=3 needs"):
        sphere_analysis(jnp.ones((1, 6, 6, 1)), 3)
    with pytest.raises(ValueError, match="analysis at bandlimit L=4 needs"):
        sphere_analysis(jnp.ones((1, 6, 5, 1)), 4)
    with pytest.raises(ValueError, match="of bandlimit 3, which does not resolve bandlimit L=4"):
        so3_analysis(jnp.ones((1, 150, 1)), 4)
