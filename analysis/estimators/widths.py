"""How ensembles' means come to theory's with width: the bias of finite width, apart from the members' noise."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from widesym.analysis.estimators.convergence import bias_law
from widesym.analysis.estimators.divergence import (
    Draws,
    resampled,
    squared_divergence,
    squared_divergence_interval,
    squared_noise,
)
from widesym.analysis.estimators.means import EstimatedMean, Means
from widesym.analysis.estimators.power_law import PowerLaw, Widths


class WidthScaling(NamedTuple):
    """mean_x ‖E m − μ‖² by width, unbiased, with intervals; mean_x tr S/M; the power law of the bias, if it is seen."""

    widths: Widths
    bias_squared: Float[np.ndarray, " width"]
    bias_squared_interval: Float[np.ndarray, "width 2"]
    noise: Float[np.ndarray, " width"]
    bias_fit: PowerLaw | None

    @property
    def resolved(self) -> Bool[np.ndarray, " width"]:
        """Where the bias is above noise: the interval of its square does not reach zero."""
        return self.bias_squared_interval[:, 0] > 0


def width_scaling(
    means: Mapping[int, EstimatedMean], theory: Means, shares: Mapping[int, str] | None = None
) -> WidthScaling:
    """Bias ∝ width^α of ensembles' means, by width, about theory's at infinite width (theory.md §5).

    `shares` says, by width, where members' randomness is from (`Compared.shares`): widths where that is the same have
    errors that depend on each other, and the draws of their means must belong together (`signs_among`). No law is
    fitted where fewer than two widths have a bias above noise. Raises ValueError for fewer than two widths, and for
    fewer than five members.
    """
    if len(means) < 2:
        raise ValueError(f"there are ensembles of {len(means)} widths; an exponent needs two or more")
    widths, exact = np.array(sorted(means)), EstimatedMean.exact(theory)
    ordered = [means[width] for width in widths]
    intervals = np.array([squared_divergence_interval(each, exact) for each in ordered])
    draws = min(len(each.draws) for each in ordered)
    orders = _orders({int(width): (shares or {}).get(int(width), "") for width in widths})
    rows = [
        _squared_biases(each._replace(noise=each.draws[:draws]), exact, orders[int(width)])
        for width, each in zip(widths, ordered, strict=True)
    ]
    squares = np.stack(rows, axis=1)
    return WidthScaling(
        widths=widths,
        bias_squared=squares[0],
        bias_squared_interval=intervals,
        noise=np.array([squared_noise(each, exact).mean() for each in ordered]),
        bias_fit=bias_law(widths, squares) if (intervals[:, 0] > 0).sum() >= 2 else None,
    )


def _orders(shares: Mapping[int, str]) -> dict[int, int]:
    """Seeds of the orders of draws, the same for widths that share randomness: half-samples of one seed match else."""
    return {
        width: next(other for other, its in shares.items() if other == width or (own and its == own))
        for width, own in shares.items()
    }


def _squared_biases(a: EstimatedMean, exact: EstimatedMean, order: int) -> Draws:
    """Row 0 the unbiased square, then draws that scatter about it as T*(c) does about its mean, c² the square or 0."""
    found = squared_divergence(a, exact)
    drawn = resampled(a, exact).squares(np.sqrt(max(found, 0.0)))
    drawn = np.random.default_rng(order).permutation(drawn)
    return np.concatenate([[found], found + drawn - drawn.mean()])
