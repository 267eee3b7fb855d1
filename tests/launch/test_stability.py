"""Warnings of learning rates that are too large: said where the loss will grow, and not where it falls."""

import io
import json

import jax
import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from widesym.ensembles import (
    Adam,
    CrossEntropy,
    FullOrbit,
    IndependentDraws,
    Piecewise,
    Sgd,
    Strategy,
    TrainingRecipe,
)
from widesym.ensembles.data import Digits
from widesym.ensembles.data.dataset import Dataset, Quantity
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.launch.training.stability import FILE, check_stability, stability
from widesym.models import Architecture, Dense, Flatten, Relu, cyclic

LINEAR = Architecture((Flatten(), Dense(10, w_std=0.8, b_std=0.5)))
STEPS, MEMBERS = (0, 1, 40), 3


def make_run(recipe, train=None, architecture=LINEAR, steps=STEPS):
    digits, test = Digits(train=12, test=4).load()
    return Run(architecture, recipe, MEMBERS, 2, steps, train or digits, (test,))


def curvature(x):
    """λ_max(Θ)/N of the linear network, the same for every member: Θ = σ_w²/n x·x' + σ_b² (theory.md §2)."""
    flat = np.asarray(x, np.float64).reshape(len(x), -1)
    return np.linalg.eigvalsh(0.8**2 / flat.shape[1] * flat @ flat.T + 0.5**2)[-1] / len(flat)


def outcome(run, path):
    """What was said, the file, and each member's loss at steps 1 and 40."""
    console = Console(file=io.StringIO(), width=500)
    run_ensemble(run, path, console, Execution(Strategy(1)))
    said = [line for line in console.file.getvalue().splitlines() if "learning rate" in line]
    content = json.loads((path / FILE).read_text()) if (path / FILE).exists() else None
    with xr.open_zarr(path / "logits.zarr") as store:
        return said, content, store.loss.values[1:]


@pytest.mark.parametrize("optimizer", [Sgd(), Sgd(momentum=0.5, weight_decay=0.1)], ids=["plain", "momentum and decay"])
@pytest.mark.parametrize("share", [0.9, 1.1])
def test_runs_are_warned_where_their_loss_grows(optimizer, share, tmp_path):
    """The bound is exact here. A tenth above it, the steepest direction grows by 1.2 a step without momentum."""
    x = make_run(TrainingRecipe(1.0)).training_set.inputs
    bound = 2 * (1 + optimizer.momentum) / (curvature(x) + optimizer.weight_decay)
    said, content, loss = outcome(make_run(TrainingRecipe(share * bound, optimizer)), tmp_path / "run")
    assert content["largest_learning_rate"] == pytest.approx(bound, rel=1e-4)  # float32 products
    assert content["learning_rate"] == pytest.approx(share * bound, rel=1e-12)
    assert (content["samples"], content["batch"]) == (12, 12)
    assert content["members_above"] == (MEMBERS if share > 1 else 0)
    if share < 1:
        assert said == []
        assert np.all(loss[1] < loss[0])
        return
    (line,) = said
    assert (
        f"run: the learning rate is too large: it is up to {1.1 * bound:.4g}, and gradient descent is stable below"
        in line
    )
    assert f"below {bound:.4g} at initialisation" in line
    assert np.all(loss[1] > 3 * loss[0])


def test_sweeps_hear_how_many_members_are_above(tmp_path):
    """Each has a bound of its own, 2(1 + μ)/h; the schedule's largest factor counts."""
    h = curvature(make_run(TrainingRecipe(1.0)).training_set.inputs)
    rates = (0.018 / h, 0.022 / h, 0.022 / h)
    recipe = TrainingRecipe(rates, Sgd(momentum=(0.0, 0.0, 0.5)), schedule=Piecewise((5,), (100.0,)))
    said, content, loss = outcome(make_run(recipe), tmp_path / "run")
    assert content["members_above"] == 1
    assert content["learning_rate"] == pytest.approx(2.2 / h, rel=1e-6)
    assert content["largest_learning_rate"] == pytest.approx(2 / h, rel=1e-4)
    assert len(said) == 1
    assert "too large for 1 of 3 members" in said[0]
    assert (loss[1] > loss[0]).tolist() == [False, True, False]
    # Where the factor of 2 comes after the last step, it makes no difference.
    assert stability(make_run(recipe, steps=(0, 5))).members_above == 0


@pytest.mark.parametrize(
    "recipe",
    [
        TrainingRecipe(1e4, Adam()),
        TrainingRecipe(1e4, Sgd(momentum=0.5, nesterov=True)),
        TrainingRecipe(1e4, loss=CrossEntropy()),
    ],
    ids=["Adam", "nesterov", "cross-entropy"],
)
def test_of_other_recipes_nothing_is_said(recipe, tmp_path):
    said, content, _ = outcome(make_run(recipe, steps=(0, 1, 2)), tmp_path / "run")
    assert said == []
    assert content is None


def test_augmented_sets_count_as_they_are_trained_on():
    """All four rotations of the inputs, N = 48."""
    run = make_run(TrainingRecipe(1.0, augmentation=FullOrbit(cyclic(4))))
    found, x = stability(run), run.training_set.inputs
    orbit = np.concatenate([np.rot90(x, q, (1, 2)) for q in range(4)])
    assert (found.samples, found.batch) == (48, 48)
    assert found.largest_learning_rate == pytest.approx(2 / curvature(orbit), rel=1e-4)
    assert abs(curvature(orbit) / curvature(x) - 1) > 0.01


def test_mini_batches_count_as_they_are_drawn():
    run = make_run(TrainingRecipe(1.0, batches=IndependentDraws(4)))
    batch = run.step_batch(jax.random.key(run.seed))[0]
    assert all((image == run.training_set.inputs).all((1, 2, 3)).any() for image in np.asarray(batch))
    assert stability(run).samples == 4
    assert stability(run).largest_learning_rate == pytest.approx(2 / curvature(batch), rel=1e-4)


def test_of_large_sets_a_part_is_taken():
    """512 of 2048: the curvature per sample is the same but for the draw, and the estimate is called one."""
    rng = np.random.default_rng(0)
    x, values = rng.uniform(size=(2048, 4, 4, 1)).astype("f"), rng.standard_normal((2048, 10)).astype("f")
    found = stability(
        make_run(
            TrainingRecipe(1.0),
            Dataset("large", x, None, (), "drawn here", values, tuple(Quantity(str(i)) for i in range(10))),
        )
    )
    assert (found.samples, found.batch) == (512, 2048)
    # λ_max/N is a mean over samples: 512 draws of a norm that scatters by 15 % have a mean right to 1 %.
    assert found.largest_learning_rate == pytest.approx(2 / curvature(x), rel=0.03)


def test_the_network_is_member_0():
    """Of networks with hidden layers each has a kernel of its own."""
    network = Architecture((Flatten(), Dense(8, w_std=2**0.5), Relu(), Dense(10)))
    run = make_run(TrainingRecipe(0.1), architecture=network)
    params = run.trainer(Strategy()).init((8, 8, 1)).params
    hidden, last = (params["layers"][index] for index in (1, 3))
    bounds = []
    for member in range(MEMBERS):
        flat = run.training_set.inputs.reshape(12, -1).astype(np.float64)
        before = np.asarray(flat @ weight(hidden, member)) * np.sqrt(2 / 64)
        out = weight(last, member) / np.sqrt(8)
        gate = (before > 0)[:, None, :] * out.T[None]  # [sample, logit, hidden]
        ntk = np.einsum("nkh,mlh,nm->nkml", gate, gate, 2 / 64 * flat @ flat.T)
        ntk += np.einsum("nm,kl->nkml", np.maximum(before, 0) @ np.maximum(before, 0).T / 8, np.eye(10))
        bounds.append(2 * 12 / np.linalg.eigvalsh(ntk.reshape(120, 120))[-1])
    assert stability(run).largest_learning_rate == pytest.approx(bounds[0], rel=1e-4)
    assert min(abs(bound / bounds[0] - 1) for bound in bounds[1:]) > 0.01


def weight(layer, member):
    """[in, out] of one member."""
    return np.asarray(layer["weight"][member], np.float64).T


def test_a_run_is_checked_once(tmp_path, monkeypatch):
    """A run that goes on, and one without steps, are not."""
    path, h = tmp_path / "run", curvature(make_run(TrainingRecipe(1.0)).training_set.inputs)
    run = make_run(TrainingRecipe(2.5 / h), steps=(0, 3))
    assert len(outcome_said(run, path)) == 1
    (path / "finished.json").unlink()
    assert outcome_said(run, path) == []
    assert outcome_said(make_run(TrainingRecipe(2.5 / h), steps=(0,)), tmp_path / "untrained") == []
    assert not (tmp_path / "untrained" / FILE).exists()


def outcome_said(run, path):
    console = Console(file=io.StringIO(), width=500)
    run_ensemble(run, path, console, Execution(Strategy(1)))
    return [line for line in console.file.getvalue().splitlines() if "learning rate" in line]


def test_what_cannot_be_found_out_is_left_to_training(tmp_path):
    """Gradients whose squares overflow: said, and no more than that."""
    network, said = Architecture((Flatten(), Dense(8, w_std=1e10), Dense(10, w_std=1e10))), []
    check_stability(make_run(TrainingRecipe(0.1), architecture=network), tmp_path, said.append)
    assert said == [
        "whether the learning rate is stable was not found out: the kernel is not finite, as gradients overflow; take "
        "smaller inputs, or float64"
    ]
    assert list(tmp_path.iterdir()) == []
