"""Power laws in the width, y ≈ factor · width^exponent, with intervals from resampled members.

What is fitted has a row for the members as they are, row 0, and one for each draw of them.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from widesym.analysis.estimators.means import FEWEST
from widesym.models.checks import check_seed

LEVEL = 0.95  # of all intervals

Rows = Float[np.ndarray, " row"]
Widths = Int[np.ndarray, " width"]


class PowerLaw(NamedTuple):
    """A fitted law, and the interval of its exponent, of which an end that is None is open: it was not found."""

    exponent: float
    factor: float
    interval: tuple[float | None, float | None]

    def at(self, widths: Sequence[int] | Widths) -> Float[np.ndarray, " width"]:
        """The law's values factor · width^exponent at these widths."""
        return self.factor * np.asarray(widths, np.float64) ** self.exponent

    @property
    def interval_text(self) -> str:
        """The exponent's interval as text: [−1.50, −0.50] or [open, −0.50]."""
        return "[{}, {}]".format(*("open" if end is None else _number(end) for end in self.interval))

    @property
    def exponent_text(self) -> str:
        """The exponent as text with two decimals: −1.00."""
        return _number(self.exponent)

    @property
    def text(self) -> str:
        """The exponent and its interval as text: −1.00 [−1.50, −0.50]."""
        return f"{self.exponent_text} {self.interval_text}"

    @property
    def label(self) -> str:
        """The law as an entry of a legend, in Matplotlib's mathematics: width to the exponent, and its interval."""
        return f"width$^{{{self.exponent:.2f}}}$ {self.interval_text}"


def fit_power_law(
    widths: Sequence[int],
    values: Float[np.ndarray, "width member"],
    draws: int = 1000,
    seed: int = 0,
    shares: Sequence[str] | None = None,
) -> PowerLaw:
    """Least squares of log(mean over members) against log(width).

    The interval is that of fits to members drawn with replacement at each width; of fewer than five both ends are
    open. It holds the members' scatter alone: that the values may follow no power law is for the eye. `shares` says,
    width by width, where members' randomness is from: at widths where that is the same, and not empty, the same members
    are drawn, as they depend on each other. Raises ValueError for fewer than two widths, and for values that are not
    positive.
    """
    check_seed(seed)
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or len(values) != len(widths) or len(set(widths)) < 2:
        raise ValueError(
            f"widths are {list(widths)} and values of shape {values.shape}; a law needs two widths or more"
        )
    if not (values > 0).all():
        raise ValueError(f"{(~(values > 0)).sum()} values are not positive; they have no logarithm")
    size = values.shape[1]
    weights = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), (draws, len(values))) / size
    weights = weights[:, _first_alike(shares or [""] * len(values))]
    rows = np.concatenate([values.mean(1)[None], np.einsum("dwm,wm->dw", weights, values)])
    law = law_of_rows(*fit_logarithms(np.asarray(widths), rows, np.ones(len(values))))
    return law if size >= FEWEST else law._replace(interval=(None, None))


def _first_alike(shares: Sequence[str]) -> list[int]:
    """For each the first of its randomness; itself where that is nobody else's."""
    return [shares.index(each) if each else index for index, each in enumerate(shares)]


def fit_logarithms(
    widths: Widths, values: Float[np.ndarray, "row width"], weights: Float[np.ndarray, " width"]
) -> tuple[Rows, Rows]:
    """Factor and exponent of every row, by weighted least squares of the logarithms."""
    x, y, weights = np.log(widths), np.log(values), weights / weights.sum()
    x_mean, y_mean = weights @ x, y @ weights
    slope = (y @ (weights * (x - x_mean))) / (weights @ (x - x_mean) ** 2)
    return np.exp(y_mean - slope * x_mean), slope


def law_of_rows(factors: Rows, exponents: Rows, searched: tuple[float, float] = (-np.inf, np.inf)) -> PowerLaw:
    """Row 0's law, with the middle 95 % of the draws' exponents as interval.

    Draws that no law fits, whose exponent is NaN, are left out if they are so few that they would fit in one end of
    the draws that an interval leaves out (2.5 %). If they are more, any exponent may be, and both ends are open. So is
    an end that lies at the end of the exponents that were searched, beyond which there may be better ones.
    """
    drawn, outside = exponents[1:], (1 - LEVEL) / 2
    if np.isnan(drawn).mean() > outside:
        return PowerLaw(float(exponents[0]), float(factors[0]), (None, None))
    low, high = np.quantile(drawn[~np.isnan(drawn)], [outside, 1 - outside])
    ends = None if low <= searched[0] else float(low), None if high >= searched[1] else float(high)
    return PowerLaw(float(exponents[0]), float(factors[0]), ends)


def _number(value: float) -> str:
    return f"{value:.2f}".replace("-", "−")
