"""Predictions of the demo's own networks: the theorem that it shows, and of which set they are."""

import numpy as np
import pytest

from widesym.analysis.dynamics import Descent, largest_learning_rate
from widesym.analysis.dynamics.ensembles import predict_ensemble, training_kernel
from widesym.analysis.kernels import analytic_kernel
from widesym.ensembles import FullOrbit, NoAugmentation, RandomElement
from widesym.launch.recipes.digits_c4 import DigitsC4
from widesym.models import cyclic

STEPS = (0, 1, 8, 64)


@pytest.fixture(scope="module")
def recipe():
    # The sizes of tests/launch/test_reproduce.py: kernels compile once for both.
    return DigitsC4(width=4, train=8, samples=8, steps=64, records=4, ood=("noise", "ising"))


@pytest.fixture(scope="module")
def progress(recipe):
    train = recipe.data[0]
    kernels = [training_kernel(*network, train.inputs) for network in recipe.networks.values()]
    return Descent(0.75 * min(map(largest_learning_rate, kernels)), STEPS)


def predicted(recipe, network, policy, progress):
    train, evaluation = recipe.data
    sets = {data.name: data.inputs for data in evaluation}
    return predict_ensemble(network, policy, train.inputs, train.targets(), sets, progress)


@pytest.fixture(scope="module")
def predictions(recipe, progress):
    return {name: predicted(recipe, *network, progress) for name, network in recipe.networks.items()}


@pytest.mark.parametrize("name", ["test", "noise", "ising"])
def test_augmented_networks_have_the_mean_of_equivariant_ones(predictions, name):
    """At all times and on all inputs (arXiv:2406.06504, theorem of theory.md §3); without augmentation they do not."""
    augmented, gcnn, control = (predictions[network][name] for network in ("augmented", "gcnn", "control"))
    scale = abs(gcnn.mean).max()
    # float32 kernels, 1e-7 a term; descent amplifies differences along modes it has not learnt yet, here to 5e-7.
    np.testing.assert_allclose(augmented.mean, gcnn.mean, atol=1e-5 * scale)
    assert abs(control.mean[-1] - gcnn.mean[-1]).max() > 0.05 * scale
    assert np.all(augmented.mean[0] == 0)


def test_only_the_means_agree(predictions):
    """A group-CNN's logits are averages over rotations; a CNN's are not, and scatter more, at all times."""
    augmented, gcnn = (predictions[network]["noise"].variance for network in ("augmented", "gcnn"))
    assert np.all(augmented / gcnn > 1.1)


def test_predictions_are_of_the_augmented_set(recipe, predictions, progress):
    """The orbit's kernel has |G| N rows, and the mean is that of descent on the rotated images as plain data."""
    train, (test, *_) = recipe.data
    network, policy = recipe.networks["augmented"]
    assert training_kernel(network, policy, train.inputs).ntk.shape == (4 * len(train), 4 * len(train))
    orbit = np.concatenate([np.rot90(train.inputs, q, (1, 2)) for q in range(4)])
    targets = np.tile(train.targets(), (4, 1))
    sets = {"test": test.inputs}
    explicit = predict_ensemble(network, NoAugmentation(), orbit, targets, sets, progress)["test"]
    found = predictions["augmented"]["test"]
    # float32 kernels from two programs; Θ of an input with itself, on their diagonals alone, is right to 1e-4.
    np.testing.assert_allclose(found.mean, explicit.mean, atol=1e-4 * abs(found.mean).max())
    np.testing.assert_allclose(found.variance, explicit.variance, rtol=1e-4)


def test_random_elements_have_the_orbits_prediction(recipe, predictions, progress):
    """The mean over draws of one element a sample is descent on the full orbit (theory.md §4)."""
    found = predicted(recipe, recipe.cnn, RandomElement(cyclic(4)), progress)["noise"]
    np.testing.assert_array_equal(found.mean, predictions["augmented"]["noise"].mean)


def test_kernels_may_come_from_elsewhere(recipe, predictions, progress):
    """Also from disk: what is asked for is the training set's block row, and the inputs with its orbit."""
    asked, (train, evaluation) = [], recipe.data

    def kernel(x1, x2):
        asked.append((len(x1), None if x2 is None else len(x2)))
        return analytic_kernel(recipe.cnn)(x1, x2)

    sets = {data.name: data.inputs for data in evaluation}
    found = predict_ensemble(recipe.cnn, FullOrbit(cyclic(4)), train.inputs, train.targets(), sets, progress, kernel)
    np.testing.assert_array_equal(found["ising"].mean, predictions["augmented"]["ising"].mean)
    assert asked == [(8, 4 * 8), (3 * 8, 4 * 8)]
