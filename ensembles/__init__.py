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
from ensembles.batches import FullBatch, IndependentDraws, ShuffledEpochs
from ensembles.losses import CrossEntropy, MeanSquaredError
from ensembles.optimizers import Adam, Sgd, adamw
from ensembles.recipe import TrainingRecipe
from ensembles.schedules import Constant, Cosine, Exponential, Piecewise
from ensembles.strategy import Strategy
from ensembles.times import evenly_spaced_steps, log_spaced_steps
from ensembles.trainer import Trainer, train, train_ensemble

__all__ = [
    "Adam",
    "Compose",
    "Constant",
    "Cosine",
    "CrossEntropy",
    "Exponential",
    "FixedElements",
    "FixedRotations",
    "FullBatch",
    "FullOrbit",
    "IndependentDraws",
    "MeanSquaredError",
    "NoAugmentation",
    "Piecewise",
    "RandomElement",
    "RandomElements",
    "RandomRotation",
    "RandomTranslation",
    "Sgd",
    "ShuffledEpochs",
    "Strategy",
    "Trainer",
    "TrainingRecipe",
    "adamw",
    "evenly_spaced_steps",
    "log_spaced_steps",
    "train",
    "train_ensemble",
]
