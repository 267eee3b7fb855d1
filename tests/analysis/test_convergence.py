"""Bias, spread and exponents of sampled kernels, from simulated kernels whose bias and spread are known."""

from functools import reduce

import matplotlib.image
import numpy as np
import pytest

from widesym.analysis.estimators.convergence import (
    add_member,
    bias_law,
    bootstrap_weights,
    convergence,
    drawn_apart,
    fit_squares,
    no_moments,
    relative_errors,
)
from widesym.analysis.figures.convergence import convergence_figure
from widesym.analysis.figures.drawing import save_figure

EXACT = np.array([[1.0, 0.5], [0.5, -2.0]])  # relative errors have the sign and the size taken out
WIDTHS = (4, 8, 16, 32)
DRAWS = 200


def moments_of(kernels, seed=0, width=4, draws=DRAWS):
    """Of kernels [member, …], added one after the other."""
    start = no_moments(kernels.shape[1:], draws)
    weighed = ((kernel, bootstrap_weights(seed, width, i, draws)) for i, kernel in enumerate(kernels))
    return reduce(lambda moments, pair: add_member(moments, *pair), weighed, start)


def simulated(seed, members=100, bias=1.0, spread=0.5, widths=WIDTHS, draws=DRAWS):
    """Moments by width of kernels K·(1 + bias/w + spread/√w·N(0, 1)), entries independent."""
    rng = np.random.default_rng(seed)

    def kernels(width):
        noise = rng.standard_normal((members, *EXACT.shape))
        return EXACT * (1 + bias / width + spread / np.sqrt(width) * noise)

    return {width: moments_of(kernels(width), seed, width, draws) for width in widths}


@pytest.fixture(scope="module")
def repeated():
    """The same experiment 40 times."""
    return [convergence(simulated(seed), EXACT) for seed in range(40)]


def test_moments_are_numpys():
    kernels = 1e3 + np.random.default_rng(0).standard_normal((30, 2, 3))  # far from 0, where naive sums of squares fail
    found = moments_of(kernels, seed=5, width=8, draws=20)
    weights = np.stack([bootstrap_weights(5, 8, member, 20) for member in range(30)])
    assert found.members == 30
    np.testing.assert_array_equal(found.weight, weights.sum(0))
    for row, weight in enumerate(weights.T):
        repeated = np.repeat(kernels, weight.astype(int), axis=0)
        np.testing.assert_allclose(found.mean[row], repeated.mean(0), rtol=1e-13)  # float64
        np.testing.assert_allclose(found.squares[row], ((repeated - repeated.mean(0)) ** 2).sum(0), rtol=1e-9)


def test_weights_are_poisson_and_depend_on_seed_width_and_member_alone():
    weights = np.stack([bootstrap_weights(0, 4, member, 1000) for member in range(100)])
    np.testing.assert_array_equal(weights[:, 0], 1)
    drawn = weights[:, 1:]
    # 10⁵ numbers of mean and variance 1: standard errors 0.003 and 0.005.
    assert abs(drawn.mean() - 1) < 0.015
    assert abs(drawn.var() - 1) < 0.03
    np.testing.assert_array_equal(bootstrap_weights(0, 4, 7, 1000), weights[7])
    for other in ((1, 4, 7), (0, 8, 7), (0, 4, 8)):
        assert (bootstrap_weights(*other, 1000) != weights[7]).any()


def test_draws_scatter_by_the_standard_error_of_the_mean():
    """200 members, 1000 draws: the bootstrap's deviation is that of the members to 5 %, and of its own to 2 %."""
    kernels = np.random.default_rng(1).standard_normal((200, 2, 2))
    found = moments_of(kernels, draws=1000)
    expected = kernels.std(0, ddof=1) / np.sqrt(200)
    np.testing.assert_allclose(found.mean[1:].std(0), expected, rtol=0.1)


def test_relative_error_is_the_mean_over_entries_of_relative_deviations():
    moments = moments_of(np.stack([2 * EXACT, 2 * EXACT, [[1.0, 0.5], [0.5, 1.0]]]))
    expected = (2 / 3 + 2 / 3 + 2 / 3 + abs((-4 - 4 + 1) / 3 / -2 - 1)) / 4
    np.testing.assert_allclose(relative_errors(moments, EXACT)[0], expected, rtol=1e-12)


def test_bias_and_spread_are_those_simulated(repeated):
    """Means of 40 experiments against their standard errors: 4 of these, 16 comparisons in all."""
    widths = np.array(WIDTHS)
    for name, expected in (("bias_squared", 1 / widths**2), ("spread", 0.5 / np.sqrt(widths))):
        values = np.stack([getattr(one, name) for one in repeated])
        errors = values.std(0, ddof=1) / np.sqrt(len(values))
        np.testing.assert_array_less(np.abs(values.mean(0) - expected), 4 * errors)
        assert (errors < 0.05 * expected).all()  # so that a wrong factor would be seen


def test_exponents_are_found_and_covered(repeated):
    """Intervals of 95 %: of 40 about 38 hold the truth; under 33 has a probability below 0.1 %."""
    for name, expected, factor in (("bias_fit", -1.0, 1.0), ("spread_fit", -0.5, 0.5)):
        fits = [getattr(one, name) for one in repeated]
        exponents = np.array([fit.exponent for fit in fits])
        assert abs(np.mean(exponents) - expected) < 0.04  # four standard errors of the bias's, more of the spread's
        assert abs(np.median([fit.factor for fit in fits]) / factor - 1) < 0.08
        assert sum(fit.interval[0] <= expected <= fit.interval[1] for fit in fits) >= 33
        lengths = np.array([np.diff(fit.interval)[0] for fit in fits])
        assert 0.6 < np.mean(lengths) / (2 * 1.96 * exponents.std()) < 1.6  # nor is that because they are long


def test_error_intervals_hold_what_many_members_give(repeated):
    """E|K̂/K − 1| at each width is 1/w, as the bias is above noise."""
    held = [
        (one.error_interval[:, 0] <= 1 / one.widths) & (1 / one.widths <= one.error_interval[:, 1]) for one in repeated
    ]
    assert np.mean(held) > 0.85  # of 160 intervals of 95 %
    assert np.mean([np.diff(one.error_interval).mean() for one in repeated]) < 0.1


def test_without_bias_its_square_is_zero_on_average_and_said_to_be_noise():
    found = [convergence(simulated(seed, 20, bias=0.0, draws=100), EXACT) for seed in range(120)]
    squares = np.stack([one.bias_squared for one in found])
    errors = squares.std(0, ddof=1) / np.sqrt(len(squares))
    np.testing.assert_array_less(np.abs(squares.mean(0)), 4 * errors)
    noise = 0.25 / np.array(WIDTHS) / 20  # what is subtracted; a tenth of it left in would be seen
    np.testing.assert_array_less(errors, 0.1 * noise)
    draws = np.stack([one.bias_squared_interval.mean(1) for one in found])
    assert (np.abs(draws.mean(0)) < noise).all()  # draws scatter about zero, too, not about the noise of resampling
    assert np.mean([one.resolved for one in found]) < 0.05  # on the safe side of 2.5 %
    assert sum(one.bias_fit is not None for one in found) <= 6
    # The error is then the noise floor: E|N(0, σ²)|.
    ratio = np.mean([one.error / one.noise_floor for one in found])
    assert abs(ratio - 1) < 0.05  # 480 ratios that scatter by 0.4


@pytest.mark.parametrize(("kind", "members"), [("product", 20), ("square", 50), ("lognormal", 100)])
def test_spreads_of_heavy_tailed_kernels_are_held(kind, members):
    """All entries move together, by heavy-tailed numbers of variance 1: draws' own quantiles hold 75, 79 and 69 %.

    60 experiments of four widths: rates of 90 % scatter by 2 % (widths apart), so 80 % is five of that below.
    """
    rng, held, lengths = np.random.default_rng(0), [], []
    scale = np.sqrt((np.e - 1) * np.e)
    for seed in range(60):

        def kernels(width):
            z, other = rng.standard_normal((2, members, 1, 1))
            values = {"product": z * other, "square": (z**2 - 1) / 2**0.5, "lognormal": (np.exp(z) - np.e**0.5) / scale}
            return EXACT * (1 + values[kind] / np.sqrt(width) / 2)

        found = convergence({width: moments_of(kernels(width), seed, width) for width in WIDTHS}, EXACT)
        truth = 0.5 / np.sqrt(WIDTHS)
        held.append((found.spread_interval[:, 0] <= truth) & (truth <= found.spread_interval[:, 1]))
        lengths.append(found.spread_interval[:, 1] / found.spread)
    assert np.mean(held) > 0.8
    assert np.median(lengths) < 6  # nor because they hold everything: with sd 0.25 and t = 2.1, e^1.3 and more


def test_a_strong_bias_has_its_exponent_whatever_the_sign():
    found = convergence(simulated(0, 50, bias=-2.0, spread=0.05), EXACT)
    assert found.resolved.all()
    assert abs(found.bias_fit.exponent + 1) < 0.02
    assert abs(found.bias_fit.factor - 2) < 0.1


def test_an_uncertain_bias_has_open_ends_instead_of_the_grids():
    """Squares at two widths with errors of a third: draws reach the grid's ends, and intervals hold −1 all the same.

    Draws scatter about what was measured as that does about the truth. Of 200 intervals of 95 % some 190 hold it;
    ends that are taken for data would be at −4 or 1.
    """
    rng, widths, truth = np.random.default_rng(0), np.array([4, 8, 16]), np.array([4.0, 8.0, 16.0]) ** -2
    laws = []
    for _ in range(200):
        measured = truth * (1 + np.array([0.35, 0.5, 1.0]) * rng.standard_normal(3))
        draws = measured + truth * np.array([0.35, 0.5, 1.0]) * rng.standard_normal((400, 3))
        laws.append(bias_law(widths, np.concatenate([measured[None], draws])))
    ends = np.array([law.interval for law in laws if law], float)  # None becomes NaN
    assert len(ends) > 190
    assert np.isnan(ends).any(1).sum() > 20
    low, high = np.nan_to_num(ends[:, 0], nan=-np.inf), np.nan_to_num(ends[:, 1], nan=np.inf)
    assert 0.9 < np.mean((low <= -1) & (high >= -1)) < 0.99
    assert np.nanmin(ends) > -4
    assert np.nanmax(ends) < 1


def test_draws_without_a_positive_square_are_left_out_if_they_are_few():
    widths, rng = np.array([4, 8, 16]), np.random.default_rng(0)
    draws = np.array([4.0, 8.0, 16.0]) ** -2 * (1 + 0.1 * rng.standard_normal((1000, 3)))
    draws[10:20] *= -1
    exponents = fit_squares(widths, draws)[1]
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(exponents)), np.arange(10, 20))
    low, high = bias_law(widths, draws).interval
    np.testing.assert_array_equal((low, high), np.nanquantile(exponents[1:], [0.025, 0.975]))
    assert -1.2 < low < -1 < high < -0.8
    draws[20:40] *= -1
    assert bias_law(widths, draws).interval == (None, None)
    assert bias_law(widths, -draws) is None  # as is row 0


def test_draws_of_one_member_are_left_out():
    """With ten members some of a thousand draws may hold none, or one many times: they have no variance."""
    kernels = EXACT * (1 + np.random.default_rng(0).standard_normal((2, 2, 2)))
    usable = drawn_apart(moments_of(kernels, draws=1000))
    weights = np.stack([bootstrap_weights(0, 4, member, 1000) for member in (0, 1)])
    np.testing.assert_array_equal(usable, (weights > 0).all(0))
    assert 0 < usable.sum() < 1000
    assert np.isfinite(convergence(simulated(0, 10, draws=2000), EXACT).spread_interval).all()


@pytest.mark.parametrize(
    ("moments", "exact", "message"),
    [
        (lambda: simulated(0, 10, widths=(4,)), EXACT, "kernels of 1 widths; an exponent needs two"),
        (lambda: simulated(0, 9), EXACT, "members by width are {4: 9, 8: 9, 16: 9, 32: 9}; .* ten or more"),
        (lambda: simulated(0, 10) | simulated(0, 11, widths=(4,)), EXACT, "they must be as many at each"),
        (lambda: simulated(0, 10), EXACT * np.eye(2), "2 entries of the analytic kernel are zero"),
        (lambda: simulated(0, 10, spread=0.0), EXACT, "kernels of width 4 are the same for all members"),
    ],
    ids=["width", "few", "unequal", "zero", "alike"],
)
def test_what_cannot_be_used_is_refused(moments, exact, message):
    with pytest.raises(ValueError, match=message):
        convergence(moments(), exact)


def test_figure_shows_resolved_and_unresolved_bias(tmp_path):
    found = {
        "NTK": convergence(simulated(0), EXACT),
        "NNGP": convergence(simulated(0, bias=0.0), EXACT),
    }
    figure = convergence_figure(found, "simulated")
    labels = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in figure.axes]
    assert any(text.startswith("bias, noise subtracted ∝ width$^{-") for text in labels[0])
    assert any("not above noise" in text for text in labels[1])
    save_figure(figure, tmp_path / "figure")
    ink = (matplotlib.image.imread(tmp_path / "figure.png")[..., :3] < 0.9).any(-1)
    assert all(part.mean() > 0.01 for half in np.array_split(ink, 2, axis=1) for part in np.array_split(half, 3))
