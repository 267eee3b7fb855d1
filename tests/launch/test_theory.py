"""Predictions of stored runs: of which there are none, which are shared, and that steps are each run's own."""

import numpy as np
import pytest
from rich.console import Console

from tests.support.stored_runs import TEST, TRAIN
from widesym.analysis.dynamics import Descent
from widesym.analysis.dynamics.ensembles import predict_ensemble
from widesym.analysis.kernels import analytic_kernel
from widesym.ensembles import (
    Cosine,
    CrossEntropy,
    FullOrbit,
    IndependentDraws,
    NoAugmentation,
    RandomElement,
    Sgd,
    ShuffledEpochs,
    Strategy,
    TrainingRecipe,
)
from widesym.launch.analyses.findings import findings
from widesym.launch.analyses.matching import match, series_of
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.analyses.theory import KernelStore, check_covered, holds_in_the_mean_alone, predictions
from widesym.launch.errors import NoTheoryError
from widesym.launch.runs.run import Run
from widesym.launch.runs.stored import StoredRun
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Conv, Dense, Flatten, LayerNorm, Relu, cyclic

C4 = cyclic(4)
QUIET = Console(quiet=True)


def network(width):
    return Architecture((Conv(width, 8, "VALID", w_std=2**0.5), Relu(), Flatten(), Dense(10, w_std=0.5)))


NETWORK = network(4)


def trained(path, architecture=NETWORK, rate=1.0, steps=(0, 2, 4), seed=5, **recipe):
    run = Run(architecture, TrainingRecipe(rate, **recipe), 2, seed, steps, TRAIN, (TEST,))
    run_ensemble(run, path, QUIET, Execution(Strategy(1)))
    return path


def store(directory):
    return KernelStore(directory / "theory", QUIET, 2**28)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "slow")
    trained(folder / "fast", rate=2.0, steps=(0, 1, 2))
    trained(folder / "wide", network(12), seed=6)
    return folder


@pytest.fixture(scope="module")
def predicted(runs, tmp_path_factory):
    directory = tmp_path_factory.mktemp("kernels")
    return predictions(match(runs_in([runs]), "refuse"), store(directory)), directory


@pytest.mark.parametrize(("name", "rate", "steps"), [("slow", 1.0, (0, 2, 4)), ("fast", 2.0, (0, 1, 2))])
def test_each_run_is_predicted_at_its_own_rate_and_steps(predicted, name, rate, steps):
    """Training times are the same, means after one step of 2 and two steps of 1 are not."""
    sets = {data.name: data.inputs for data in (TRAIN, TEST)}
    expected = predict_ensemble(NETWORK, NoAugmentation(), TRAIN.inputs, TRAIN.targets(), sets, Descent(rate, steps))
    for of_set in sets:
        # float32 kernels of two programs; Θ of an input with itself is right to 1e-4.
        np.testing.assert_allclose(predicted[0][name][of_set].mean, expected[of_set].mean, atol=1e-4)
        np.testing.assert_allclose(predicted[0][name][of_set].variance, expected[of_set].variance, rtol=1e-3)
    apart = predicted[0]["slow"]["test"].mean[1] - predicted[0]["fast"]["test"].mean[1]
    assert np.abs(apart).max() > 1e-3


def test_runs_of_other_width_share_kernels_and_prediction(predicted, runs):
    found, directory = predicted
    assert found["wide"] is found["slow"]
    assert len(list((directory / "theory").iterdir())) == 2  # training inputs with themselves, and all inputs with them
    (slow, narrow), (wide, width) = (series_of(StoredRun(runs / name)) for name in ("slow", "wide"))
    assert (slow, narrow, width) == (wide, 4, 12)
    assert series_of(StoredRun(runs / "fast"))[0] != slow


def test_networks_that_cannot_be_narrow_are_computed_as_they_are(tmp_path):
    """LayerNorm needs two channels."""
    layers = (Conv(4, 8, "VALID"), LayerNorm(), Relu(), Flatten(), Dense(10))
    x = TRAIN.inputs[:2]
    found = store(tmp_path).of(Architecture(layers))(x, None)
    for one, other in zip(found, analytic_kernel(Architecture(layers))(x), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4)  # Θ's diagonal in float32


@pytest.mark.parametrize(
    ("recipe", "what"),
    [
        (TrainingRecipe(1.0, loss=CrossEntropy()), "no prediction for loss CrossEntropy"),
        (TrainingRecipe(1.0, Sgd(momentum=0.9)), r"no prediction for optimizer Sgd\(momentum=0.9"),
        (TrainingRecipe(1.0, schedule=Cosine(10)), "no prediction for schedule Cosine"),
        (TrainingRecipe((1.0, 2.0)), r"no prediction for learning_rate \(1.0, 2.0\)"),
        (TrainingRecipe(1.0, batches=ShuffledEpochs(4)), "no prediction for batches ShuffledEpochs"),
        (TrainingRecipe(1.0, augmentation=FullOrbit(cyclic(8))), "theory covers NoAugmentation"),
    ],
    ids=["loss", "momentum", "schedule", "rates", "epochs", "orbit"],
)
def test_recipes_outside_the_formulas_are_refused(recipe, what):
    with pytest.raises(NoTheoryError, match=f"^cnn: .*{what}.*Leave --theory out"):
        check_covered("cnn", NETWORK, recipe, TRAIN)


@pytest.mark.parametrize(
    ("recipe", "alone"),
    [
        (TrainingRecipe(1.0), False),
        (TrainingRecipe(1.0, augmentation=FullOrbit(C4)), False),
        (TrainingRecipe(1.0, augmentation=RandomElement(C4)), True),
        (TrainingRecipe(1.0, batches=IndependentDraws(4)), True),
    ],
    ids=["plain", "orbit", "random element", "draws"],
)
def test_what_draws_has_its_mean_predicted_and_more_spread(recipe, alone):
    check_covered("cnn", NETWORK, recipe, TRAIN)
    assert holds_in_the_mean_alone(recipe) == alone


def test_drawn_runs_are_said_to_be(runs):
    said = {each.what: each for each in findings(match(runs_in([runs]), "refuse"), ["slow"])}
    assert said["slow: theory"].status == "warning"
    assert "add to the predicted spread" in said["slow: theory"].detail
    assert "fast: theory" not in said


def test_a_rate_above_the_bound_has_no_prediction(tmp_path):
    path = trained(tmp_path / "hot", rate=100.0, steps=(0, 1))
    with pytest.raises(NoTheoryError, match=r"hot: learning rate is 100.0; descent converges between 0 and"):
        predictions(match(runs_in([path]), "include"), store(tmp_path))
