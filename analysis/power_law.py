"""Power laws in the width: y ≈ factor · width^exponent, with an interval from resampled members."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class PowerLaw(NamedTuple):
    """A fitted law, and the interval of its exponent."""

    exponent: float
    factor: float
    interval: tuple[float, float]

    def at(self, width: Float[np.ndarray, " width"]) -> Float[np.ndarray, " width"]:
        """Its values."""
        return self.factor * np.asarray(width, np.float64) ** self.exponent


def fit_power_law(
    widths: Sequence[int],
    values: Float[np.ndarray, "width member"],
    draws: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> PowerLaw:
    """Least squares of log(mean over members) against log(width).

    The interval is that of fits to members drawn with replacement at each width. It holds the members' scatter alone:
    that the values may follow no power law is for the eye. Raises ValueError for fewer than two widths, and for values
    that are not positive.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or len(values) != len(widths) or len(set(widths)) < 2:
        raise ValueError(
            f"widths are {list(widths)} and values of shape {values.shape}; a law needs two widths or more"
        )
    if not (values > 0).all():
        raise ValueError(f"{(~(values > 0)).sum()} values are not positive; they have no logarithm")
    size = values.shape[1]
    weights = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), (draws, len(values))) / size
    resampled = np.einsum("dwm,wm->wd", weights, values)
    x = np.log(np.asarray(widths, np.float64))
    slope, intercept = np.polyfit(x, np.log(values.mean(1)), 1)
    low, high = np.quantile(np.polyfit(x, np.log(resampled), 1)[0], [(1 - level) / 2, (1 + level) / 2])
    return PowerLaw(float(slope), float(np.exp(intercept)), (float(low), float(high)))
