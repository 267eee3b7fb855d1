"""Infinitely wide ensembles in training: mean and covariance of their logits at all times (docs/dynamics.md)."""

from widesym.analysis.dynamics.eigenbasis import Eigenbasis, decompose, largest_eigenvalue
from widesym.analysis.dynamics.prediction import Prediction, covariance, largest_learning_rate, predict
from widesym.analysis.dynamics.progress import Descent, Flow, Progress

__all__ = [
    "Descent",
    "Eigenbasis",
    "Flow",
    "Prediction",
    "Progress",
    "covariance",
    "decompose",
    "largest_eigenvalue",
    "largest_learning_rate",
    "predict",
]
