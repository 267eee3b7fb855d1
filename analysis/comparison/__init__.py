"""Ensembles held against each other and against theory, as tables (docs/analysis.md)."""

from widesym.analysis.comparison.compare import compare
from widesym.analysis.comparison.ensembles import Compared, Times

__all__ = ["Compared", "Times", "compare"]
