"""Ensembles: data, augmentation, and the training of many members at once."""

from ensembles.augmentation import FullOrbit, NoAugmentation
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
    "Constant",
    "Cosine",
    "CrossEntropy",
    "Exponential",
    "FullBatch",
    "FullOrbit",
    "IndependentDraws",
    "MeanSquaredError",
    "NoAugmentation",
    "Piecewise",
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
