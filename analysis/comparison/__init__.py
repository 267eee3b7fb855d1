"""Ensembles held against each other and against theory, as tables and figures (docs/analysis.md).

`compare` walks the tuple of `metrics/`, one file each. Imports dynamics, estimators, figures.
"""

from widesym.analysis.comparison.at_time import AtTime, PairAtTime
from widesym.analysis.comparison.compare import compare
from widesym.analysis.comparison.drawings import Drawing
from widesym.analysis.comparison.ensembles import Compared, Times
from widesym.analysis.comparison.metric import Metric
from widesym.analysis.comparison.metrics import METRICS
from widesym.analysis.comparison.tables import Column

__all__ = ["METRICS", "AtTime", "Column", "Compared", "Drawing", "Metric", "PairAtTime", "Times", "compare"]
