"""Distances between two ensembles' mean logits, or one's and theory's, with honest intervals (theory.md §5).

With d = m_A − m_B and its expectation δ, D = mean_x ‖d_x‖ and T = mean_x ‖d_x‖² are held against what they would be if
δ were c·u, u being d by its size: D*(c) = mean_x ‖c u_x + e_x‖ and T*(c), over draws e of the noise. So resamples are
no noisier than the truth: those about d itself would have the noise in them twice. docs/estimators.md has the coverage.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.optimize import brentq

from widesym.analysis.estimators.means import EstimatedMean, Means, studentising

LEVEL = 0.95

Draws = Float[np.ndarray, " draw"]
Interval = tuple[float, float]


def mean_distance(a: Means, b: Means) -> float:
    """Mean over samples of ‖a − b‖₂."""
    return float(np.linalg.norm(a - b, axis=-1).mean())


def divergence(a: EstimatedMean, b: EstimatedMean) -> float:
    """D = mean over samples of ‖m_A − m_B‖₂ (theory.md §5; arXiv:2406.06504, fig. 2)."""
    return mean_distance(a.mean, b.mean)


def squared_noise(a: EstimatedMean, b: EstimatedMean) -> Float[np.ndarray, " sample"]:
    """tr S_A/M_A + tr S_B/M_B: E‖m_A − m_B‖² of ensembles of equal mean. Raises ValueError for a single member."""
    return (a.squared_error + b.squared_error).sum(-1)


def noise_floor(a: EstimatedMean, b: EstimatedMean) -> float:
    """What D is expected to be for ensembles of equal mean: mean over samples of √(tr S_A/M_A + tr S_B/M_B).

    The root of E‖m_A − m_B‖² (theory.md §5), so slightly above E‖m_A − m_B‖: by 2.5 % for ten independent logits.
    """
    return float(np.sqrt(squared_noise(a, b)).mean())


def squared_divergence(a: EstimatedMean, b: EstimatedMean) -> float:
    """Mean over samples of ‖m_A − m_B‖² − tr S_A/M_A − tr S_B/M_B, unbiased: expected to be 0 for equal means."""
    return float((((a.mean - b.mean) ** 2).sum(-1) - squared_noise(a, b)).mean())


def divergence_interval(a: EstimatedMean, b: EstimatedMean, level: float = LEVEL) -> Interval:
    """Interval of E[D], what ensembles of these sizes have on average: D and how D*(c) scatters about its mean.

    c² is the unbiased square, or 0. It errs on the safe side where samples share few directions of noise
    (docs/estimators.md). Raises ValueError for fewer than five members.
    """
    scattered = resampled(a, b).distances(_noise_free(a, b))
    low, high = divergence(a, b) + _tails(scattered, level)
    return max(float(low), 0.0), float(high)


def squared_divergence_interval(a: EstimatedMean, b: EstimatedMean, level: float = LEVEL) -> Interval:
    """Interval of mean_x ‖δ_x‖², a test of each c inverted: it holds those with T inside the middle of T*(c).

    Where T is below its quantile even for c = 0 the end is the (negative) difference, so that a distance of zero is
    covered as often as any other. Raises ValueError for fewer than five members.
    """
    scattered, found = resampled(a, b), float(((a.mean - b.mean) ** 2).sum(-1).mean())
    low, high = (_square_at(scattered.squares, tail, found) for tail in ((1 + level) / 2, (1 - level) / 2))
    return low, high


class BySize(NamedTuple):
    """D of sub-ensembles, by size: its mean over them, what equal means would have, and where one's D is expected."""

    sizes: Sequence[int]
    divergence: Float[np.ndarray, " size"]
    noise_floor: Float[np.ndarray, " size"]
    band: Float[np.ndarray, "size 2"]


def divergence_by_size(
    a: EstimatedMean,
    b: EstimatedMean,
    sizes: Sequence[int],
    subsets: Iterable[tuple[Float[np.ndarray, "draw sample logit"], Float[np.ndarray, "draw sample logit"]]],
    level: float = LEVEL,
) -> BySize:
    """D of sub-ensembles of each size (theory.md §5), from their means: `zip` of `subset_means` of both ensembles.

    An exact mean's sub-ensembles are itself. In the band lies the D of new ensembles of that size, at `level`.
    """
    ensembles, u = _ensembles(a, b), _profile(a, b)[0]
    products, start = _products(u, _drawn(ensembles)), _noise_free(a, b)
    members = [each.members for each in (a, b) if each.members is not None]
    # tr S_A + tr S_B, sample by sample
    spread = sum(of * each.squared_error.sum(-1) for of, each in zip(members, ensembles, strict=True))
    found, floors, bands = [], [], []
    for size, (ours, theirs) in zip(sizes, subsets, strict=True):
        found.append(np.linalg.norm(np.subtract(ours, theirs, dtype=np.float64), axis=-1).mean())
        floors.append(np.sqrt(spread / size).mean())
        overlap, noise = _signed(products, [np.sqrt(of / size) for of in members])
        drawn = [_distances(start, (u**2).sum(-1), sign * overlap, noise) for sign in (1, -1)]
        bands.append(found[-1] + _tails(np.concatenate(drawn, axis=None), level))
    return BySize(sizes, np.array(found), np.array(floors), np.maximum(bands, 0))


class Resampled(NamedTuple):
    """Draws of c u + e by what ‖c u_x + e_x‖² is made of: c²‖u_x‖² + 2c⟨u_x, e_x⟩ + ‖e_x‖².

    `turned` is mean_x ⟨u'_x, e_x⟩ with u' the profile of d + e', the noise e' of another draw: u is not known better.
    """

    profile: Float[np.ndarray, " sample"]
    overlap: Float[np.ndarray, "draw sample"]
    noise: Float[np.ndarray, "draw sample"]
    turned: Draws

    def squares(self, c: float) -> Draws:
        """T*(c) = mean_x ‖c u'_x + e_x‖².

        With u an interval would be too short where d is at right angles to the noise by chance, and T least.
        """
        return c**2 + 2 * c * self.turned + self.noise.mean(-1)

    def distances(self, c: float) -> Draws:
        """D*(c) = mean_x ‖c u_x + e_x‖."""
        return _distances(c, self.profile, self.overlap, self.noise)


def resampled(a: EstimatedMean, b: EstimatedMean, inflated: bool = True) -> Resampled:
    """With e = ±(e_A ± e_B): all four signs, which half-samples have alike, and which leave e_A and e_B uncorrelated.

    `inflated`, as Student's t is against a normal, since the scatter is itself estimated: overlap and noise each by how
    the draw's own members scatter; this takes five members. Raises ValueError for fewer, and for two exact means.
    """
    u, size = _profile(a, b)
    ensembles = _ensembles(a, b)
    degrees = [each.degrees for each in ensembles] if inflated else []
    drawn = _drawn(ensembles)
    products, across = _products(u, drawn), _with_next(drawn[0], drawn[0])
    overlap, noise = _signed(products, [1.0] * len(drawn))
    if len(drawn) == 2:
        own, other = across + _with_next(drawn[1], drawn[1]), _with_next(*drawn) + _with_next(*drawn[::-1])
        across = np.stack([own + other, own - other])
    squared = size**2 + np.roll(2 * size * overlap.mean(-1) + noise.mean(-1), -1, axis=-1)  # of d + e'
    length = np.sqrt(np.where(squared > 0, squared, np.inf))  # no profile where d + e' is zero, up to rounding
    if degrees:
        overlap = overlap * studentising(degrees, [of.mean(-1) ** 2 for of in products.overlaps])[:, None]
        noise = noise * studentising(degrees, [of.mean(-1) for of in products.squares])[:, None] ** 2
    turned = ((size * overlap.mean(-1) + across) / length).ravel()
    overlap, noise = overlap.reshape(-1, len(u)), noise.reshape(-1, len(u))
    both = ([overlap, -overlap], [noise, noise], [turned, -turned])
    return Resampled((u**2).sum(-1), *map(np.concatenate, both))


class _Products(NamedTuple):
    """⟨u_x, e_x⟩ and ‖e_x‖² of the draws of each ensemble, and ⟨e_A, e_B⟩ where there are two."""

    overlaps: Sequence[Float[np.ndarray, "draw sample"]]
    squares: Sequence[Float[np.ndarray, "draw sample"]]
    mixed: Sequence[Float[np.ndarray, "draw sample"]]


def _products(u: Means, drawn: Sequence[Float[np.ndarray, "draw sample logit"]]) -> _Products:
    return _Products(
        [np.einsum("sl,dsl->ds", u, e, dtype=np.float64) for e in drawn],
        [np.einsum("dsl,dsl->ds", e, e, dtype=np.float64) for e in drawn],
        [np.einsum("dsl,dsl->ds", *drawn, dtype=np.float64)] if len(drawn) == 2 else [],
    )


def _signed(
    of: _Products, scales: Sequence[float]
) -> tuple[Float[np.ndarray, "*sign draw sample"], Float[np.ndarray, "*sign draw sample"]]:
    """⟨u_x, e_x⟩ and ‖e_x‖² of e = e_A + e_B and of e_A − e_B, or of e_A alone, each noise times its scale."""
    overlaps = [scale * each for scale, each in zip(scales, of.overlaps, strict=True)]
    squares = [scale**2 * each for scale, each in zip(scales, of.squares, strict=True)]
    if not of.mixed:
        return overlaps[0], squares[0]
    (first, second), product = overlaps, 2 * scales[0] * scales[1] * of.mixed[0]
    return np.stack([first + second, first - second]), np.stack([sum(squares) + product, sum(squares) - product])


def _distances(
    c: float,
    profile: Float[np.ndarray, " sample"],
    overlap: Float[np.ndarray, "*draw sample"],
    noise: Float[np.ndarray, "*draw sample"],
) -> Float[np.ndarray, "*draw"]:
    """mean_x ‖c u_x + e_x‖, from products."""
    squares = c**2 * profile + 2 * c * overlap + noise
    return np.sqrt(np.maximum(squares, 0)).mean(-1)  # overlaps inflated more than the noise may pass zero


def _profile(a: EstimatedMean, b: EstimatedMean) -> tuple[Means, float]:
    """u and its factor: d is size·u, and mean_x ‖u_x‖² is 1."""
    d = a.mean - b.mean
    size = float(np.sqrt((d**2).sum(-1).mean()))
    return d / size if size else np.full_like(d, d.shape[-1] ** -0.5), size


def _ensembles(a: EstimatedMean, b: EstimatedMean) -> list[EstimatedMean]:
    """Those that are not exact. Raises ValueError for two exact means."""
    estimates = [each for each in (a, b) if each.members is not None]
    if not estimates:
        raise ValueError("both means are exact; their distance has no interval")
    return estimates


def _drawn(ensembles: Sequence[EstimatedMean]) -> list[Float[np.ndarray, "draw sample logit"]]:
    """As many draws of each."""
    draws = min(len(each.draws) for each in ensembles)
    return [each.draws[:draws] for each in ensembles]


def _with_next(e: Float[np.ndarray, "draw sample logit"], other: Float[np.ndarray, "draw sample logit"]) -> Draws:
    """mean_x ⟨e_x, e'_x⟩ of each draw of one and the next of the other."""
    return np.einsum("dsl,dsl->d", e, np.roll(other, -1, axis=0), dtype=np.float64) / e.shape[1]


def _noise_free(a: EstimatedMean, b: EstimatedMean) -> float:
    return float(np.sqrt(max(squared_divergence(a, b), 0.0)))


def quantiles(values: Draws, level: float = LEVEL) -> Float[np.ndarray, "2"]:
    """Ends of the middle `level` of the draws, between which a further one lies with that probability."""
    return np.quantile(values, [(1 - level) / 2, (1 + level) / 2], method="weibull")


def _tails(values: Draws, level: float) -> Float[np.ndarray, "2"]:
    return quantiles(values, level) - values.mean()


def _square_at(of: Callable[[float], Draws], tail: float, found: float) -> float:
    """c² where this quantile of the draws is what was found."""

    def above(c: float) -> float:
        return float(np.quantile(of(c), tail, method="weibull")) - found

    if above(0.0) >= 0:
        return -above(0.0)
    high = np.sqrt(found)
    while above(high) < 0:
        high *= 2
    return float(brentq(above, 0.0, high)) ** 2  # pyright: ignore[reportArgumentType]
