"""Small runs on digits, from whose directories parameters are read."""

from pathlib import Path

import jax
import numpy as np
from rich.console import Console

from widesym.ensembles import Strategy, TrainingRecipe
from widesym.ensembles.data import Digits
from widesym.launch.config.snapshots import Parameters
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Conv, Dense, Flatten, MaxPool, Relu

STEPS = (0, 1, 4)
TRAIN, TEST = Digits(train=8, test=4, seed=3).load()
CONV = Architecture((Conv(3, 3, stride=2, w_std=2**0.5), Relu(), Flatten(), Dense(10, w_std=0.5, b_std=0.1)))
POOLED = Architecture((Conv(3, 3, w_std=2**0.5), MaxPool(2), Relu(), Flatten(), Dense(10)))
LINEAR = Architecture((Flatten(), Dense(10)))


DESCENT = TrainingRecipe(0.1)


def trained(path: Path, architecture=CONV, recipe=DESCENT, data=(TRAIN, TEST), members=3, kept=9, **options) -> Path:
    """The run's directory; whatever is not said is small."""
    run = Run(architecture, recipe, members, 5, STEPS, data[0], data[1:], **options)
    run_ensemble(run, path, Console(quiet=True), Execution(Strategy(1), checkpoints_kept=kept))
    return path


def with_parameters(path: Path, **options) -> Path:
    """The same, parameters recorded beside the logits."""
    return trained(path, snapshots=(Parameters(),), **options)


def trace_ntk(architecture, params, x):
    """Mean over logits of Σ_θ ∂f_k ∂f_k, by one whole Jacobian."""
    jacobian = jax.jacrev(lambda params: architecture.apply(params, x))(params)
    flat = np.concatenate([np.reshape(leaf, (*leaf.shape[:2], -1)) for leaf in jax.tree.leaves(jacobian)], axis=-1)
    return np.einsum("ikp,jkp->ij", flat, flat) / flat.shape[1]
