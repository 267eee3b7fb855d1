"""The infinite-width prediction for an ensemble as it was trained: architecture, augmentation, data, steps."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Float

from widesym.analysis.dynamics import Prediction, Progress, decompose, predict
from widesym.analysis.kernels import Kernel, OrbitKernel, analytic_kernel
from widesym.analysis.kernels.accuracy import kernel_error
from widesym.analysis.kernels.group_circulant import GroupCirculant, on_orbit
from widesym.analysis.kernels.orbits import is_symmetric
from widesym.ensembles.augmentation import FullOrbit, Images, Invariant, NoAugmentation, Policy, RandomElement
from widesym.models.architecture import Architecture
from widesym.models.groups import Group

Inputs = Float[np.ndarray, "sample *point channel"]
PairKernel = Callable[[Inputs, Inputs | None], Kernel]


def training_group(policy: Policy) -> Group | None:
    """The group on whose orbits the mean descends, None where there is no augmentation.

    Random elements give the full orbit's mean; what the draws add to the spread is not predicted (theory.md §4).
    Raises ValueError for policies whose ensembles these predictions are not about.
    """
    if isinstance(policy, NoAugmentation):
        return None
    is_orbit = isinstance(policy, FullOrbit | RandomElement)
    if (
        is_orbit
        and policy.group.is_exact
        and isinstance(policy.space, Images)
        and isinstance(policy.targets, Invariant)
    ):
        return policy.group
    raise ValueError(
        "theory covers NoAugmentation, and FullOrbit or RandomElement of images under C_n or D_n, n = 1, 2, 4, with "
        f"invariant targets, not {policy!r}; the copies that a policy has can be predicted for as plain data"
    )


def training_kernel(
    architecture: Architecture, policy: Policy, x: Inputs, kernel: PairKernel | None = None
) -> Kernel | OrbitKernel:
    """K and Θ of the training set with itself, of its full orbit where the policy is that (theory.md §4).

    Of orbits by blocks, unless the group moves the network's filters. `kernel` computes K and Θ of two sets of inputs,
    or of one with itself; by default in memory. Raises ValueError for policies that `training_group` refuses.
    """
    group, kernel = training_group(policy), kernel or kernel_in_memory(architecture)
    x1, x2 = _training_inputs(architecture, policy, x)
    if group is None or x2 is None:
        return kernel(x1, x2)
    rows = [np.asarray(row).reshape(len(x), group.order, len(x)) for row in kernel(x1, x2)]
    return OrbitKernel(*(GroupCirculant.of_blocks(group, row.transpose(1, 0, 2)) for row in rows))


def kernel_inputs(
    architecture: Architecture, policy: Policy, x: Inputs, evaluation: Sequence[Inputs]
) -> tuple[tuple[Inputs, Inputs | None], tuple[Inputs, Inputs]]:
    """Between which inputs `predict_ensemble` asks for kernels: of the training set, and of the evaluation sets with
    it. Raises ValueError as `training_group`.
    """
    return _training_inputs(architecture, policy, x), _evaluation_inputs(policy, x, evaluation)


def _training_inputs(architecture: Architecture, policy: Policy, x: Inputs) -> tuple[Inputs, Inputs | None]:
    group = training_group(policy)
    orbit = _on_orbit(group, x)
    return (x, orbit) if group is not None and is_symmetric(architecture, group, x.shape[1:]) else (orbit, None)


def _evaluation_inputs(policy: Policy, x: Inputs, evaluation: Sequence[Inputs]) -> tuple[Inputs, Inputs]:
    return np.concatenate(evaluation), _on_orbit(training_group(policy), x)


def _on_orbit(group: Group | None, x: Inputs) -> Inputs:
    return x if group is None else np.asarray(group.orbit(x))


def predict_ensemble(
    architecture: Architecture,
    policy: Policy,
    x: Inputs,
    y: Float[np.ndarray, "train logit"],
    evaluation: Mapping[str, Inputs],
    progress: Progress,
    kernel: PairKernel | None = None,
) -> dict[str, Prediction]:
    """Mean and variance of the logits on every evaluation set at all times of `progress` (theory.md §4).

    `kernel` as in `training_kernel`. Raises ValueError for policies that it refuses, and learning rates with which
    descent does not converge.
    """
    group, kernel = training_group(policy), kernel or kernel_in_memory(architecture)
    train = training_kernel(architecture, policy, x, kernel)
    inputs, orbit = _evaluation_inputs(policy, x, list(evaluation.values()))
    y = y if group is None else on_orbit(group, y)
    diagonal = analytic_kernel(architecture).diagonal
    own = np.concatenate([np.asarray(diagonal(inputs).nngp) for inputs in evaluation.values()])
    cross = kernel(inputs, orbit)
    basis = decompose(train, kernel_error(architecture, x.shape[1:], np.asarray(cross.ntk).dtype))
    found = predict(basis, cross, own, y, progress)  # all sets at once: Θ is decomposed once
    ends = np.cumsum([len(inputs) for inputs in evaluation.values()])[:-1]
    parts = zip(*(np.split(values, ends, axis=1) for values in found), strict=True)
    return {name: Prediction(*part) for name, part in zip(evaluation, parts, strict=True)}


def kernel_in_memory(architecture: Architecture) -> PairKernel:
    """The analytic kernel, computed at once."""
    return lambda x1, x2: Kernel(*map(np.asarray, analytic_kernel(architecture)(x1, x2)))
