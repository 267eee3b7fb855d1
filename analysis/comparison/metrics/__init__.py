"""What a comparison tells, one file a table: its columns, its rows, its figures.

Imports what lies beside this folder, and figures.
"""

from widesym.analysis.comparison.metric import Metric
from widesym.analysis.comparison.metrics.calibration import CALIBRATION
from widesym.analysis.comparison.metrics.divergence import DIVERGENCE, DIVERGENCE_BY_SIZE
from widesym.analysis.comparison.metrics.equivariance import EQUIVARIANCE, EQUIVARIANCE_BY_SIZE
from widesym.analysis.comparison.metrics.mean_logits import MEAN_LOGITS
from widesym.analysis.comparison.metrics.scores import SCORES
from widesym.analysis.comparison.metrics.theory import THEORY
from widesym.analysis.comparison.metrics.training import TRAINING
from widesym.analysis.comparison.metrics.widths import WIDTHS

METRICS: tuple[Metric, ...] = (  # in the order in which their figures are to be looked at
    DIVERGENCE,
    DIVERGENCE_BY_SIZE,
    THEORY,
    MEAN_LOGITS,
    CALIBRATION,
    WIDTHS,
    EQUIVARIANCE,
    EQUIVARIANCE_BY_SIZE,
    TRAINING,
    SCORES,
)

__all__ = ["METRICS"]
