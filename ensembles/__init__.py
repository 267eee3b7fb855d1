"""Ensembles: data, augmentation, and the training of many members at once."""

from typing import TYPE_CHECKING

from widesym.models.on_demand import on_demand

if TYPE_CHECKING:
    from widesym.ensembles.augmentation import (
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
    from widesym.ensembles.batches import FullBatch, IndependentDraws, ShuffledEpochs
    from widesym.ensembles.losses import CrossEntropy, MeanSquaredError
    from widesym.ensembles.optimizers import Adam, Sgd, adamw
    from widesym.ensembles.recipe import TrainingRecipe
    from widesym.ensembles.schedules import Constant, Cosine, Exponential, Piecewise
    from widesym.ensembles.strategy import Strategy
    from widesym.ensembles.times import evenly_spaced_steps, log_spaced_steps
    from widesym.ensembles.trainer import Trainer, train, train_ensemble

__getattr__, __dir__ = on_demand(__name__, __file__)

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
