"""Large ensembles of finite-width networks, held against the infinite-width theory that predicts them.

    import widesym as ws

    arch = ws.Architecture((ws.Flatten(), ws.Dense(256, w_std=2**0.5), ws.Relu(), ws.Dense(10)))
    kernel = ws.analytic_kernel(arch)

The names here are those that a beginning takes; all others are in `widesym.models` (layers), `widesym.ensembles` (data,
augmentation, training), `widesym.analysis` (kernels, dynamics, estimators, figures) and `widesym.launch` (runs on
disk). They are imported when they are asked for, so that `import widesym` takes no time.
"""

from typing import TYPE_CHECKING

from widesym.models.on_demand import on_demand

if TYPE_CHECKING:
    from widesym.analysis.dynamics import Descent, Flow, largest_learning_rate, predict
    from widesym.analysis.empirical import empirical_ntk
    from widesym.analysis.estimators.divergence import divergence, divergence_interval
    from widesym.analysis.estimators.means import estimate_mean
    from widesym.analysis.kernels import analytic_kernel
    from widesym.ensembles import FullOrbit, NoAugmentation, RandomElement, TrainingRecipe, train_ensemble
    from widesym.launch.runs.stored import open_run
    from widesym.models import (
        Architecture,
        Conv,
        Dense,
        Erf,
        Flatten,
        GlobalAvgPool,
        GroupConv,
        GroupPool,
        LiftingConv,
        Relu,
        Tanh,
        cyclic,
        dihedral,
    )

__getattr__, __dir__ = on_demand(__name__, __file__)

__all__ = [
    "Architecture",
    "Conv",
    "Dense",
    "Descent",
    "Erf",
    "Flatten",
    "Flow",
    "FullOrbit",
    "GlobalAvgPool",
    "GroupConv",
    "GroupPool",
    "LiftingConv",
    "NoAugmentation",
    "RandomElement",
    "Relu",
    "Tanh",
    "TrainingRecipe",
    "analytic_kernel",
    "cyclic",
    "dihedral",
    "divergence",
    "divergence_interval",
    "empirical_ntk",
    "estimate_mean",
    "largest_learning_rate",
    "open_run",
    "predict",
    "train_ensemble",
]
