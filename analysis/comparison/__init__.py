"""Ensembles held against each other and against theory, as tables (docs/analysis.md)."""

from analysis.comparison.compare import compare
from analysis.comparison.ensembles import Compared, Times

__all__ = ["Compared", "Times", "compare"]
