"""Seeds: the same whole numbers are taken, and all others refused, wherever there is one."""

import jax
import numpy as np
import pytest

from widesym.analysis.comparison import compare
from widesym.analysis.comparison.ensembles import Compared, Times
from widesym.analysis.dynamics.regression import NestedSubsets
from widesym.analysis.estimators.logits import EnsembleLogits
from widesym.analysis.estimators.means import estimate_mean, half_samples, subset_means
from widesym.analysis.estimators.power_law import fit_power_law
from widesym.ensembles import Trainer, TrainingRecipe, train_ensemble
from widesym.ensembles.augmentation import DrawnRotations
from widesym.ensembles.data import (
    CifarBinary,
    CrossProduct,
    Dataset,
    Digits,
    IdxFiles,
    ImageFolders,
    IsingEnergies,
    Npz,
    Qm9,
    Tfds,
    Toy,
    ood_sets,
)
from widesym.ensembles.data.generators.letters import letters
from widesym.launch.kernels.config import KernelConfig
from widesym.launch.kernels.sampled import KernelSample
from widesym.launch.training.config import TrainConfig
from widesym.models import Architecture, Dense, Flatten
from widesym.models.checks import MOST_SEED

NETWORK, X = Architecture((Flatten(), Dense(2))), np.ones((3, 4), np.float32)
PICTURES = Dataset("pictures", np.random.default_rng(0).normal(size=(9, 8, 8, 1)).astype(np.float32), None, (), "here")
LOGITS = EnsembleLogits(np.random.default_rng(0).normal(size=(1, 6, 3, 2)).astype(np.float32))
TRAINED = {"architecture": NETWORK, "data": "digits", "recipe": TrainingRecipe(0.1), "members": 2, "steps": 1}
TAKING = {
    "Trainer": lambda seed: Trainer(NETWORK, TrainingRecipe(0.1), 2, seed),
    "train_ensemble": lambda seed: train_ensemble(NETWORK, TrainingRecipe(0.1), X, X[:, :2], X, 1, (0,), seed),
    "TrainConfig": lambda seed: TrainConfig(**TRAINED, seed=seed),
    "TrainConfig.data_seed": lambda seed: TrainConfig(**TRAINED, data_seed=seed),
    "KernelConfig": lambda seed: KernelConfig(architecture=NETWORK, data="digits", seed=seed),
    "KernelSample": lambda seed: KernelSample({4: NETWORK}, X, seed=seed),
    "CifarBinary": lambda seed: CifarBinary("here", seed=seed),
    "CrossProduct": lambda seed: CrossProduct(2, 2, seed=seed),
    "Digits": lambda seed: Digits(seed=seed),
    "IdxFiles": lambda seed: IdxFiles("here", seed=seed),
    "ImageFolders": lambda seed: ImageFolders("here", seed=seed),
    "IsingEnergies": lambda seed: IsingEnergies(2, 2, 2, seed=seed),
    "Npz": lambda seed: Npz("here", seed=seed),
    "Qm9": lambda seed: Qm9(seed=seed),
    "Tfds": lambda seed: Tfds("mnist", seed=seed),
    "Toy": lambda seed: Toy(seed=seed),
    "letters": lambda seed: letters(2, 8, seed),
    **{name: lambda seed, make=make: make(PICTURES, 2, seed) for name, make in ood_sets(PICTURES).items()},
    "DrawnRotations": lambda seed: DrawnRotations(2, seed),
    "NestedSubsets": lambda seed: NestedSubsets((1,), seed=seed),
    "estimate_mean": lambda seed: estimate_mean(LOGITS, 0, seed=seed),
    "half_samples": lambda seed: half_samples(4, 20, seed),
    "subset_means": lambda seed: list(subset_means(LOGITS, 0, [2], seed=seed)),
    "fit_power_law": lambda seed: fit_power_law([1, 2], np.ones((2, 3)), seed=seed),
}


@pytest.mark.parametrize("name", TAKING)
@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, True, "0", np.float32(1), np.bool_(True)], ids=repr)
def test_what_is_no_seed_is_refused(name, seed):
    with pytest.raises(ValueError, match=r"seed is .*; it must be a whole number from 0 to 4294967295"):
        TAKING[name](seed)


@pytest.mark.parametrize("name", TAKING)
@pytest.mark.parametrize("seed", [0, MOST_SEED, np.int64(7), np.uint32(2**32 - 1)], ids=repr)
def test_every_whole_number_of_the_range_is_a_seed(name, seed):
    TAKING[name](seed)


def test_seeds_of_several_draws_stay_within_the_range():
    """A comparison's ensembles have seeds of their own, which the last seed leaves no room for."""
    pair = [Compared(name, LOGITS, (0,), {"test": slice(0, 3)}) for name in ("one", "two")]
    most = MOST_SEED // 2 - 1
    with pytest.raises(ValueError, match=f"seed is {most + 1}; it must be a whole number from 0 to {most}$"):
        compare(pair, Times((0.0,), (0,)), "one", seed=most + 1)
    compare(pair, Times((0.0,), (0,)), "one", seed=most)


def initial(seed):
    """The weights of a member, as they are drawn from a seed."""
    return np.asarray(jax.tree.leaves(Trainer(NETWORK, TrainingRecipe(0.1), 1, seed).init((4,)).params)[0])


def test_the_ends_of_the_range_have_numbers_of_their_own():
    """From 2³² on JAX's keys begin again: 2³² would be 0, and −1 the last seed of the range."""
    ends = [initial(seed) for seed in (0, 1, 2**31 - 1, 2**31, MOST_SEED)]
    assert len({each.tobytes() for each in ends}) == len(ends)
    np.testing.assert_array_equal(initial(np.int64(7)), initial(7))
