"""The infinite-width prediction for an ensemble as it was trained: architecture, augmentation, data, steps."""

import os
import shutil
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import xarray as xr
from jaxtyping import Float

from analysis.dynamics import Descent, Prediction, predict
from analysis.kernels import Kernel, OrbitKernel, analytic_kernel, orbit_blocks
from analysis.kernels.group_circulant import on_orbit
from analysis.kernels.orbits import is_symmetric
from ensembles.augmentation import FullOrbit, Images, Invariant, NoAugmentation, Policy
from models.architecture import Architecture

Pixels = Float[np.ndarray, "sample row column channel"]
ByNetwork = dict[str, dict[str, Prediction]]


def training_kernel(architecture: Architecture, policy: Policy, x: Pixels) -> Kernel | OrbitKernel:
    """K and Θ of the training set with itself, of its full orbit where the policy is that (theory.md §4).

    Of orbits by blocks, unless the group moves the network's filters. Raises ValueError for other policies.
    """
    check_covered(policy)
    kernel = analytic_kernel(architecture)
    if not isinstance(policy, FullOrbit):
        return kernel(x)
    if is_symmetric(architecture, policy.group, x.shape[1:]):
        return orbit_blocks(kernel, policy.group, x)
    return kernel(policy.group.orbit(x))


def check_covered(policy: Policy) -> None:
    """Raise ValueError for policies whose ensembles these predictions are not about."""
    if isinstance(policy, FullOrbit):
        covered = policy.group.is_exact and isinstance(policy.space, Images) and isinstance(policy.targets, Invariant)
    else:
        covered = isinstance(policy, NoAugmentation)
    if not covered:
        raise ValueError(
            "theory covers NoAugmentation, and FullOrbit of images under C_n or D_n, n = 1, 2, 4, with invariant "
            f"targets, not {policy!r}; the copies of a policy that has `copies` can be predicted for as plain data"
        )


def predict_ensemble(
    architecture: Architecture,
    policy: Policy,
    train: Kernel | OrbitKernel,
    x: Pixels,
    y: Float[np.ndarray, "train logit"],
    evaluation: Mapping[str, Pixels],
    learning_rate: float,
    steps: Sequence[int],
) -> dict[str, Prediction]:
    """Mean and variance of the logits on every evaluation set after each number of steps (theory.md §4).

    `train` is `training_kernel` of the same architecture, policy and x. Raises ValueError for policies that it refuses.
    """
    check_covered(policy)
    kernel = analytic_kernel(architecture)
    if isinstance(policy, FullOrbit):
        x, y = np.asarray(policy.group.orbit(x)), on_orbit(policy.group, y)
    crosses = [kernel(inputs, x) for inputs in evaluation.values()]
    own = np.concatenate([np.asarray(kernel.diagonal(inputs).nngp) for inputs in evaluation.values()])
    # All sets at once: the training set is decomposed once.
    cross = Kernel(*(np.concatenate([np.asarray(one[field]) for one in crosses]) for field in (0, 1)))
    found = predict(train, cross, own, y, Descent(learning_rate, steps))
    ends = np.cumsum([len(inputs) for inputs in evaluation.values()])[:-1]
    parts = zip(*(np.split(values, ends, axis=1) for values in found), strict=True)
    return {name: Prediction(*part) for name, part in zip(evaluation, parts, strict=True)}


def save_predictions(path: Path, predictions: ByNetwork, learning_rate: float, steps: Sequence[int]) -> None:
    """Write predictions of several networks on the same sets as one zarr store, whole or not at all."""
    sets = list(next(iter(predictions.values())))
    joined = [
        [np.concatenate([of[name][field] for name in sets], axis=1) for of in predictions.values()] for field in (0, 1)
    ]
    sizes = [next(iter(predictions.values()))[name].mean.shape[1] for name in sets]
    store = xr.Dataset(
        {
            "mean": (("network", "time", "sample", "logit"), np.stack(joined[0])),
            "variance": (("network", "time", "sample"), np.stack(joined[1])),
        },
        coords={
            "time": np.array(steps) * learning_rate,
            "step": ("time", np.array(steps)),
            "evaluation_set": ("sample", np.repeat(np.arange(len(sets)), sizes)),
        },
        attrs={"networks": list(predictions), "evaluation_sets": sets, "learning_rate": learning_rate},
    )
    temporary = path.with_name(path.name + ".new")
    shutil.rmtree(temporary, ignore_errors=True)
    with warnings.catch_warnings():  # as in ensembles/recorder.py
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        store.to_zarr(temporary, zarr_format=3, consolidated=True)
    os.replace(temporary, path)


def load_predictions(path: Path) -> tuple[ByNetwork, float]:
    """What `save_predictions` wrote: predictions by network and evaluation set, and the learning rate."""
    with xr.open_zarr(path) as store:
        mean, variance, of_sample = store["mean"].values, store["variance"].values, store["evaluation_set"].values
        predictions = {
            network: {
                name: Prediction(mean[i][:, of_sample == j], variance[i][:, of_sample == j])
                for j, name in enumerate(store.attrs["evaluation_sets"])
            }
            for i, network in enumerate(store.attrs["networks"])
        }
        return predictions, float(store.attrs["learning_rate"])
