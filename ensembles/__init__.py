"""Ensembles: data, augmentation, and the training of many members at once."""

from ensembles.augmentation import FullOrbit, NoAugmentation
from ensembles.trainer import Trainer, log_spaced_steps, train, train_ensemble
from ensembles.training import TrainingRecipe

__all__ = ["FullOrbit", "NoAugmentation", "Trainer", "TrainingRecipe", "log_spaced_steps", "train", "train_ensemble"]
