"""How kernels of finite networks come to the analytic ones: their bias and spread against width, from many members.

A member is one initialisation. Its kernels are added to running sums and forgotten, so memory does not grow with the
number of members. The sums have a row for the members as they are, and one for each *draw* of the Poisson bootstrap,
in which every member counts as often as a Poisson(1) number of its own says: resampling that needs no stored members
(Hanley & MacGibbon 2006, doi:10.1016/j.cmpb.2006.04.006).
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from widesym.analysis.estimators.power_law import LEVEL, PowerLaw, Rows, Widths, fit_logarithms, law_of_rows

UNSEEN_TAIL = 6.0  # how much further than downwards intervals of the spread reach upwards, by sd of the logarithm
EXPONENTS = np.linspace(-4.0, 1.0, 2501)  # among which the bias's is looked for

Intervals = Float[np.ndarray, "width 2"]
Exact = Float[np.ndarray, "n n"]


class Moments(NamedTuple):
    """Sum of weights, weighted mean, and weighted sum of squares about it; row 0 weighs each member once."""

    weight: Rows
    mean: Float[np.ndarray, "row *entry"]
    squares: Float[np.ndarray, "row *entry"]

    @property
    def members(self) -> int:
        """How many have been added."""
        return int(self.weight[0])


class Convergence(NamedTuple):
    """One kernel against its analytic limit, by width; all sizes are relative to the latter's entries."""

    widths: Widths
    members: int
    error: Float[np.ndarray, " width"]
    error_interval: Intervals
    noise_floor: Float[np.ndarray, " width"]
    bias_squared: Float[np.ndarray, " width"]
    bias_squared_interval: Intervals
    spread: Float[np.ndarray, " width"]
    spread_interval: Intervals
    bias_fit: PowerLaw | None
    spread_fit: PowerLaw

    @property
    def resolved(self) -> Bool[np.ndarray, " width"]:
        """Where the bias is above noise: the interval of its square does not reach zero."""
        return self.bias_squared_interval[:, 0] > 0


def no_moments(shape: tuple[int, ...], draws: int) -> Moments:
    """Of no members yet, each with an array of this shape."""
    rows = 1 + draws
    return Moments(np.zeros(rows), np.zeros((rows, *shape)), np.zeros((rows, *shape)))


def bootstrap_weights(seed: int, width: int, member: int, draws: int) -> Rows:
    """A one, and a Poisson(1) number for each draw; they depend on nothing else than is said here."""
    drawn = np.random.default_rng((seed, width, member)).poisson(1.0, draws)
    return np.concatenate([[1.0], drawn])


def add_member(moments: Moments, value: Float[np.ndarray, "*entry"], weights: Rows) -> Moments:
    """With one member more: the update of Welford (1962), with weights as of West (1979, doi:10.1145/359146.359153)."""
    across = (-1, *[1] * np.ndim(value))
    total = moments.weight + weights
    apart = np.asarray(value, np.float64) - moments.mean
    mean = moments.mean + (weights / np.maximum(total, 1)).reshape(across) * apart
    return Moments(total, mean, moments.squares + weights.reshape(across) * apart * (value - mean))


def convergence(moments: Mapping[int, Moments], exact: Exact) -> Convergence:
    """What the moments of kernels [n, n], by width, say about bias and spread (theory.md §5; arXiv:2406.06504, F.1).

    Members of different widths are taken to be independent, as those of `widesym.launch.kernels.sampled` are.

    Raises ValueError for less than two widths, for widths with different numbers of members, or less than ten, for
    members that are all alike, and for entries of `exact` that are zero, to which nothing is relative.
    """
    widths = np.array(sorted(moments))
    check_moments(moments, exact)
    ordered = [moments[width] for width in widths]
    usable = np.all([drawn_apart(each) for each in ordered], axis=0)
    ordered = [Moments(*(rows[usable] for rows in each)) for each in ordered]
    errors = np.stack([relative_errors(each, exact) for each in ordered], axis=1)
    biases = np.stack([squared_biases(each, exact) for each in ordered], axis=1)
    spreads = np.stack([relative_spreads(each, exact) for each in ordered], axis=1)
    found = intervals(biases[1:])
    certainty = 1 / np.log(spreads[1:]).var(axis=0)
    spreads = widened(spreads, ordered[0].members)
    return Convergence(
        widths=widths,
        members=ordered[0].members,
        error=errors[0],
        # Resampled means scatter about K̂ as K̂ does about its expectation, which lifts their errors once more.
        error_interval=np.maximum(intervals(errors[1:] - errors[1:].mean(0) + errors[0]), 0),
        noise_floor=np.array([relative_noise_floor(each, exact) for each in ordered]),
        bias_squared=biases[0],
        bias_squared_interval=found,
        spread=spreads[0],
        spread_interval=intervals(spreads[1:]),
        bias_fit=bias_law(widths, biases) if (found[:, 0] > 0).sum() >= 2 else None,
        spread_fit=law_of_rows(*fit_logarithms(widths, spreads, certainty)),
    )


def check_moments(moments: Mapping[int, Moments], exact: Exact) -> None:
    """Raise ValueError for what `convergence` cannot use."""
    members = {width: each.members for width, each in moments.items()}
    if len(members) < 2:
        raise ValueError(f"there are kernels of {len(members)} widths; an exponent needs two or more")
    if len(set(members.values())) > 1 or min(members.values()) < 10:
        raise ValueError(f"members by width are {members}; they must be as many at each, and ten or more")
    if not np.all(exact):
        raise ValueError(f"{(exact == 0).sum()} entries of the analytic kernel are zero; nothing is relative to them")
    alike = [width for width, each in moments.items() if not each.squares[0].any()]
    if alike:
        raise ValueError(f"kernels of width {alike[0]} are the same for all members; there is no spread to fit")


def drawn_apart(moments: Moments) -> Bool[np.ndarray, " row"]:
    """Which draws hold two different members or more; others, rare with ten members, have no variance."""
    return np.asarray(moments.squares.reshape(len(moments.weight), -1).any(axis=1))


def relative_errors(moments: Moments, exact: Exact) -> Rows:
    """Mean over entries of |K̂ − K|/|K| (theory.md §5)."""
    return np.abs(moments.mean / exact - 1).mean((-2, -1))


def variances(moments: Moments) -> Float[np.ndarray, "row n n"]:
    """Unbiased variance of each entry over members, in every row.

    A draw's own variance is on average that of the M members as a population, (M − 1)/M times too small.
    """
    own = moments.squares / (moments.weight - 1)[:, None, None]
    own[1:] *= moments.members / (moments.members - 1)
    return own


def squared_biases(moments: Moments, exact: Exact) -> Rows:
    """B² = mean over entries of ((K̂ − K)² − var K̂)/K², zero on average where there is no bias; it may be negative.

    The mean of M members has the variance s²/M. That of a draw of weight W has it, too, and about it the variance
    s²(M − 1)/MW of resampling, so that draws scatter about row 0. Without bias they do so more widely than B² itself
    (by √3), with a bias above noise as widely: intervals err on the safe side.
    """
    members, again = moments.members, np.ones_like(moments.weight)
    again[0] = 0
    factors = 1 / members + again * (members - 1) / (members * moments.weight)
    noise = variances(moments) * factors[:, None, None]
    return (((moments.mean - exact) ** 2 - noise) / exact**2).mean((-2, -1))


def relative_spreads(moments: Moments, exact: Exact) -> Rows:
    """S = √(mean over entries of s²/K²): how far one member's kernel lies from their mean."""
    return np.sqrt((variances(moments) / exact**2).mean((-2, -1)))


def widened(spreads: Float[np.ndarray, "row width"], members: int) -> Float[np.ndarray, "row width"]:
    """Row 0, and draws about it that scatter as it does about the expected spread.

    The draws' logarithms, turned about (where they lie below S, the truth lies above), Student's t for the normal, and
    upwards more than downwards by 1 + 6 sd of the logarithms. A heavy tail is rarely seen whole: where it is not, S is
    too small and so is what it seems to scatter by. The factor was found by simulation (docs/estimators.md).
    """
    logarithms = np.log(spreads)
    away = logarithms[1:].mean(0) - logarithms[1:]
    away *= scipy.stats.t.ppf((1 + LEVEL) / 2, members - 1) / scipy.stats.norm.ppf((1 + LEVEL) / 2)
    away *= np.where(away > 0, 1 + UNSEEN_TAIL * away.std(0), 1)
    return np.exp(np.concatenate([logarithms[:1], logarithms[0] + away]))


def relative_noise_floor(moments: Moments, exact: Exact) -> float:
    """What the relative error would be without bias: mean over entries of √(2/π)·s/(√M |K|), for a normal K̂."""
    deviation = np.sqrt(variances(moments)[0] / moments.members)
    return float(np.sqrt(2 / np.pi) * (deviation / np.abs(exact)).mean())


def intervals(draws: Float[np.ndarray, "draw width"]) -> Intervals:
    """The middle 95 % of the draws, width by width."""
    return np.quantile(draws, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0).T


def bias_law(widths: Widths, squares: Float[np.ndarray, "row width"]) -> PowerLaw | None:
    """The power law whose squares are those of row 0, its interval by `law_of_rows`; None where they have none."""
    factors, exponents = fit_squares(widths, squares)
    return None if np.isnan(exponents[0]) else law_of_rows(factors, exponents, (EXPONENTS[0], EXPONENTS[-1]))


def fit_squares(widths: Widths, squares: Float[np.ndarray, "row width"]) -> tuple[Rows, Rows]:
    """c and α of c·width^α, whose square is the nearest to each row; each width weighed by its variance over draws.

    In linear space, where squares may be negative. For each α of a grid the best c² ≥ 0 has a closed form. Rows whose
    best c² is zero for every α have the exponent NaN; an exponent at the grid's end, −4 or 1, says no more than that
    the best one lies there or beyond.
    """
    weights = 1 / squares[1:].var(axis=0)
    powers = np.exp(2 * np.outer(EXPONENTS, np.log(widths)))
    overlaps, norms = np.maximum((weights * squares) @ powers.T, 0), powers**2 @ weights
    best = (overlaps**2 / norms).argmax(axis=1)
    c_squared = overlaps[np.arange(len(squares)), best] / norms[best]
    return np.sqrt(c_squared), np.where(c_squared > 0, EXPONENTS[best], np.nan)
