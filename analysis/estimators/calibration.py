"""Whether an ensemble's mean lies about theory as its own standard error says: z = (m − μ)/√(S/M) (theory.md §5)."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.stats import t

from widesym.analysis.estimators.divergence import LEVEL, Interval, quantiles
from widesym.analysis.estimators.means import EstimatedMean, Means


class Calibration(NamedTuple):
    """z of each sample and logit; how many lie `within` Student's 95 %; their root mean square, and the interval that
    it would lie in, 95 % of the time, if theory were the expectation.
    """

    members: int
    z: Means
    within: float
    rms: float
    rms_interval: Interval

    def histogram(
        self, edges: Float[np.ndarray, " edge"]
    ) -> tuple[Float[np.ndarray, " bin"], Float[np.ndarray, " bin"]]:
        """Fraction of the z in each bin, and Student's, M − 1 degrees of freedom; what lies outside is in none."""
        counts, _ = np.histogram(self.z, edges)
        return counts / self.z.size, np.diff(t.cdf(edges, self.members - 1))


def z_scores(a: EstimatedMean, mean: Means) -> Means:
    """z = (m − μ)/√(S/M), entry by entry: Student's t with M − 1 degrees for normal members of mean μ.

    Raises ValueError for entries that are the same for all members.
    """
    return (a.mean - mean) / _standard_error(a)


def calibration(a: EstimatedMean, mean: Means) -> Calibration:
    """z-scores against theory's mean, summed up. Raises ValueError for fewer than five members.

    The z of one ensemble are correlated, since samples share members; that their root mean square strays from 1, and
    how far, is read off half-samples e in m − μ's place. Each is studentised by its own members: with q = e/√(S/M) and
    ν = M − 1, z*² = q²/(1 − q²/ν), of mean ν/(ν − 3) for normal members, is brought to Student's ν/(ν − 2).
    """
    z, nu = z_scores(a, mean), a.degrees
    q_squared = (a.draws / _standard_error(a)) ** 2
    own = np.maximum(1 - q_squared / nu, 1 / nu**2)  # 0 where all members lie at their half's mean
    drawn = np.sqrt((nu - 3) / (nu - 2) * (q_squared / own).mean((-2, -1)))
    low, high = quantiles(drawn)
    within = float((np.abs(z) < t.ppf((1 + LEVEL) / 2, nu)).mean())
    return Calibration(nu + 1, z, within, float(np.sqrt((z**2).mean())), (float(low), float(high)))


def _standard_error(a: EstimatedMean) -> Means:
    squares = a.squared_error
    if not (squares > 0).all():
        raise ValueError(
            f"{(squares <= 0).sum()} of {squares.size} mean logits have no standard error: all members have the same, "
            "or they are exact; leave them out"
        )
    return np.sqrt(squares)
