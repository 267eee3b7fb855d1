"""Ensembles: data, augmentation, and the training of many members at once."""

from ensembles.augmentation import (
    Compose,
    FixedElements,
    FixedRotations,
    FullOrbit,
    NoAugmentation,
    RandomElement,
    RandomElements,
    RandomRotation,
    RandomTranslation,
)
from ensembles.trainer import Trainer, log_spaced_steps, train, train_ensemble
from ensembles.training import TrainingRecipe

__all__ = [
    "Compose",
    "FixedElements",
    "FixedRotations",
    "FullOrbit",
    "NoAugmentation",
    "RandomElement",
    "RandomElements",
    "RandomRotation",
    "RandomTranslation",
    "Trainer",
    "TrainingRecipe",
    "log_spaced_steps",
    "train",
    "train_ensemble",
]
