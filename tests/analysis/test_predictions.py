"""Predictions of the recipe's own networks: the theorem that the demo shows, and predictions on disk."""

import numpy as np
import pytest

from analysis.dynamics import Prediction
from analysis.predictions import load_predictions, predict_ensemble, save_predictions, training_kernel
from launch.recipes import DigitsC4


@pytest.fixture(scope="module")
def recipe(tmp_path_factory):
    output = tmp_path_factory.mktemp("theory")
    # The sizes of tests/launch/test_reproduce.py: kernels compile once for both.
    return DigitsC4(width=4, train=8, samples=8, steps=64, records=4, ood=("noise", "ising"), output=output)


@pytest.fixture(scope="module")
def predictions(recipe):
    return recipe.theory()[0]


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


def test_predictions_are_of_the_augmented_set(recipe, predictions):
    """The orbit's kernel has |G| N rows, and the mean is that of descent on the rotated images as plain data."""
    train, (test, *_) = recipe.data
    network, policy = recipe.networks["augmented"]
    kernel = training_kernel(network, policy, train.inputs)
    assert kernel.ntk.shape == (4 * len(train), 4 * len(train))
    plain = recipe.networks["control"][1]
    orbit = np.concatenate([np.rot90(train.inputs, q, (1, 2)) for q in range(4)])
    targets = np.tile(recipe.runs(1.0)["control"].training_set.targets(), (4, 1))
    explicit = predict_ensemble(
        network, plain, training_kernel(network, plain, orbit), orbit, targets, {"test": test.inputs},
        recipe.theory()[1], recipe.record_steps,
    )["test"]  # fmt: skip
    found = predictions["augmented"]["test"]
    # float32 kernels from two programs; Θ of an input with itself, on their diagonals alone, is right to 1e-4.
    np.testing.assert_allclose(found.mean, explicit.mean, atol=1e-4 * abs(found.mean).max())
    np.testing.assert_allclose(found.variance, explicit.variance, rtol=1e-4)


def test_predictions_come_back_from_disk(tmp_path):
    rng = np.random.default_rng(0)
    predictions = {
        network: {
            name: Prediction(rng.standard_normal((2, samples, 3)), rng.uniform(size=(2, samples)))
            for name, samples in (("test", 4), ("noise", 2))
        }
        for network in ("cnn", "gcnn")
    }
    save_predictions(tmp_path / "predictions.zarr", predictions, 0.125, (0, 8))
    assert [entry.name for entry in tmp_path.iterdir()] == ["predictions.zarr"]
    found, rate = load_predictions(tmp_path / "predictions.zarr")
    assert rate == 0.125
    assert {network: list(sets) for network, sets in found.items()} == {n: ["test", "noise"] for n in ("cnn", "gcnn")}
    for network, sets in predictions.items():
        for name, prediction in sets.items():
            for one, other in zip(found[network][name], prediction, strict=True):
                np.testing.assert_array_equal(one, other)
