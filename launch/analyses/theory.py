"""What theory predicts of stored runs, at the times and on the inputs that they are compared at (theory.md §4).

Kernels are Gram matrices in directories of their own, from which a killed computation goes on, and which runs that
differ in width alone share.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console

from widesym.analysis.dynamics import Descent, Prediction
from widesym.analysis.dynamics.ensembles import Inputs, PairKernel, kernel_inputs, predict_ensemble, training_group
from widesym.analysis.gram import Gram
from widesym.analysis.kernels import Kernel
from widesym.ensembles import FullBatch, IndependentDraws, Sgd, TrainingRecipe
from widesym.ensembles.augmentation import RandomElement
from widesym.ensembles.data import Dataset
from widesym.ensembles.losses import MeanSquaredError
from widesym.ensembles.schedules import Constant
from widesym.launch.analyses.matching import Matched, series_of
from widesym.launch.errors import NoTheoryError, RunDirectoryError
from widesym.launch.kernels.gram import compute_gram, unfinished
from widesym.launch.runs.data import training_set
from widesym.models.architecture import Architecture
from widesym.models.layer import NoClosedFormError
from widesym.models.width import narrowest

CHEAPER = "Without --theory the runs are compared with each other alone, which takes no kernels"
REMEDY = "Leave --theory out to compare the runs with each other alone"


@dataclass(frozen=True)
class KernelStore:
    """Gram matrices in `directory`, computed in `memory` bytes where they are not there yet."""

    directory: Path
    console: Console
    memory: int

    def place(self, gram: Gram) -> Path:
        """Where one is, whether it is there or not."""
        key = hashlib.sha256(json.dumps(gram.config, sort_keys=True).encode()).hexdigest()[:12]
        return self.directory / f"kernel-{key}"

    def of(self, architecture: Architecture) -> PairKernel:
        """The architecture's kernel; of networks that differ in width alone each is computed once."""

        def kernel(x1: Inputs, x2: Inputs | None) -> Kernel:
            gram = Gram(_as_narrow(architecture, x1), x1, x2)
            found = compute_gram(gram, self.place(gram), self.console, self.memory)
            if found is None:
                raise RunDirectoryError("predictions are made by a single process; start the analysis in one")
            return Kernel(*map(np.asarray, found))

        return kernel


def check_covered(name: str, architecture: Architecture, recipe: TrainingRecipe, data: Dataset) -> None:
    """Raise NoTheoryError where there is no prediction for a run, with the reason."""
    outside = [
        ("loss", recipe.loss, recipe.loss == MeanSquaredError()),
        ("optimizer", recipe.optimizer, recipe.optimizer == Sgd()),
        ("schedule", recipe.schedule, recipe.schedule == Constant()),
        ("learning_rate", recipe.learning_rate, isinstance(recipe.learning_rate, float | int)),
        ("batches", recipe.batches, isinstance(recipe.batches, FullBatch | IndependentDraws)),
    ]
    for field, value, fits in outside:
        if not fits:
            raise NoTheoryError(
                f"{name}: there is no prediction for {field} {value!r}; theory covers gradient descent, Sgd(), on the "
                f"mean squared error at a constant learning rate, in full batches or independent draws. {REMEDY}"
            )
    try:
        _ = training_group(recipe.augmentation)
        _ = Gram(architecture, data.inputs[:1])
    except (NoClosedFormError, ValueError) as error:
        raise NoTheoryError(f"{name}: {error}. {REMEDY}") from None


def holds_in_the_mean_alone(recipe: TrainingRecipe) -> bool:
    """Whether training draws samples or group elements, which adds to the predicted spread."""
    return isinstance(recipe.batches, IndependentDraws) or isinstance(recipe.augmentation, RandomElement)


def predictions(matched: Matched, kernels: KernelStore) -> dict[str, dict[str, Prediction]]:
    """Of each run, on the common sets at the common times; computed once for runs that differ in width alone.

    For runs that `check_all_covered` lets pass. Raises NoTheoryError for learning rates that are too large.
    """
    found, keys = {}, {}
    for name, run in matched.runs.items():
        keys[name], _ = series_of(run)
        if keys[name] not in found:
            found[keys[name]] = _predicted(matched, name, training_set(run), kernels)
    return {name: found[key] for name, key in keys.items()}


def grams_left(matched: Matched, kernels: KernelStore) -> list[Gram]:
    """The Gram matrices that `predictions` takes and that are not there yet, each once."""
    found: dict[Path, Gram] = {}
    sets = [each.inputs for each in matched.data.values()]
    for run in matched.runs.values():
        data = training_set(run)
        for x1, x2 in kernel_inputs(run.architecture, run.recipe.augmentation, data.inputs, sets):
            gram = Gram(_as_narrow(run.architecture, x1), x1, x2)
            found[kernels.place(gram)] = gram
    return unfinished(found)


def check_all_covered(matched: Matched) -> None:
    """Raise NoTheoryError for the first run that there is no prediction of."""
    for name, run in matched.runs.items():
        check_covered(name, run.architecture, run.recipe, training_set(run))


def _predicted(matched: Matched, name: str, data: Dataset, kernels: KernelStore) -> dict[str, Prediction]:
    architecture, recipe = matched.runs[name].architecture, matched.runs[name].recipe
    rate = recipe.learning_rate
    assert not isinstance(rate, tuple)  # checked
    progress = Descent(rate, matched.steps[name])
    sets: Mapping[str, Inputs] = {of_set: each.inputs for of_set, each in matched.data.items()}
    kernel = kernels.of(architecture)
    try:
        return predict_ensemble(architecture, recipe.augmentation, data.inputs, data.targets(), sets, progress, kernel)
    except ValueError as error:
        if isinstance(error, RunDirectoryError):
            raise
        raise NoTheoryError(f"{name}: {error}. {REMEDY}") from None


def _as_narrow(architecture: Architecture, x: Inputs) -> Architecture:
    """The narrowest network of the same proportions, whose kernel is the same, where there is one."""
    narrow, _ = narrowest(architecture)
    try:
        narrow.signals(x.shape[1:])
    except ValueError:  # as LayerNorm on one channel
        return architecture
    return narrow
