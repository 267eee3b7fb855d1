"""`widesym train`: ensembles as files and run directories describe them, and what it says when something is wrong."""

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import xarray as xr
import yaml
from rich.console import Console

from tests.support.small_configs import SMALL, created, read_config
from widesym.ensembles import FullOrbit, RandomElement, TrainingRecipe, log_spaced_steps
from widesym.ensembles.data import Digits, IsingEnergies, like, ood_sets, standardised
from widesym.ensembles.data.out_of_distribution import printed_letters
from widesym.launch.commands import train
from widesym.launch.commands.train import TrainCommand
from widesym.launch.config.differences import differences
from widesym.launch.config.snapshots import Parameters
from widesym.launch.runs.run import Run
from widesym.launch.training.config import TrainConfig
from widesym.launch.training.execution import run_ensemble
from widesym.models import Architecture, Dense, Flatten, Relu, cyclic
from widesym.models.zoo import mlp

EXAMPLE = Path(__file__).parents[2] / "examples" / "configs" / "digits-gcnn.yaml"
C4 = cyclic(4)


def logits_in(run):
    with xr.open_zarr(run / "logits.zarr") as store:
        return store.logits.values


def test_a_file_trains_the_ensemble_that_it_describes(widesym, tmp_path):
    code, text, _ = widesym(SMALL, "run.yaml")
    assert code == 0
    assert "2 members × 4/4 steps" in text
    train, test = Digits(12, 6, 3).load()
    arch = Architecture((Flatten(), Dense(4), Relu(), Dense(10)))
    recipe = TrainingRecipe(0.1, augmentation=FullOrbit(C4))
    evaluation = (test, *(ood_sets(train)[name](train, 5, 3) for name in ("white noise", "letters")))
    expected = Run(arch, recipe, 2, 1, log_spaced_steps(4, 3), train, evaluation, FullOrbit(C4), (Parameters(),))
    found = json.loads((tmp_path / "runs" / "run" / "config.json").read_text())["config"]
    asked = json.loads(json.dumps(expected.config))
    assert [line for line in differences(found, asked) if not line.startswith("data.")] == []
    fingerprints = [[each["fingerprint"] for each in config["data"].values()] for config in (found, asked)]
    assert fingerprints[0] == fingerprints[1]
    assert list(found["data"]) == ["train", "test", "white noise", "letters"]
    run_ensemble(expected, tmp_path / "expected", Console(quiet=True))
    # Trials may find different strategies, which round differently.
    found, asked = logits_in(tmp_path / "runs" / "run"), logits_in(tmp_path / "expected")
    np.testing.assert_allclose(found, asked, atol=1e-5 * np.abs(asked).max())
    assert "finished, 2 members found" in widesym(None, "run.yaml")[1]


def test_a_run_directory_is_trained_once_more(widesym, tmp_path):
    """Also where members have learning rates of their own, and draw batches and elements."""
    recipe = (
        "recipe: {learning_rate: [1e-1, 0.3], optimizer: {type: Adam}, loss: {type: CrossEntropy}, "
        "schedule: {type: Cosine, steps: 4}, batches: {type: ShuffledEpochs, size: 5}, "
        "augmentation: {type: RandomElement, group: C4}}"
    )
    old = next(line for line in SMALL.splitlines() if line.startswith("recipe"))
    assert widesym(SMALL.replace(old, recipe), "run.yaml", "--output", "first")[0] == 0
    code, text, _ = widesym(None, "first/config.json", "--output", "again")
    assert code == 0
    assert "trial" not in text
    first, again = (json.loads((tmp_path / name / "config.json").read_text())["config"] for name in ("first", "again"))
    assert differences(first, again) == []
    with xr.open_zarr(tmp_path / "first" / "logits.zarr") as one, xr.open_zarr(tmp_path / "again/logits.zarr") as other:
        xr.testing.assert_identical(one.load(), other.load())
    assert np.abs(logits_in(tmp_path / "first")[-1] - logits_in(tmp_path / "first")[0]).max() > 0.01
    code, _, error = widesym(None, "first/config.json", "--output", "again", "--seed", "2")
    assert code == 2
    assert "seed: 1 on disk, 2 asked for" in error
    assert widesym(None, "first/config.json", "--output", "other", "--seed", "2")[0] == 0
    assert np.abs(logits_in(tmp_path / "first")[0] - logits_in(tmp_path / "other")[0]).max() > 0.01
    code, _, error = widesym(None, "first/config.json", "--output", "more", "--members", "3")
    assert code == 2
    assert "learning_rate has 2 values for 3 members" in error


def test_a_dry_run_says_what_is_trained_and_what_it_takes(widesym, tmp_path):
    code, text, _ = widesym(SMALL, "run.yaml", "--dry-run", "--members", "3", "--checkpoints-kept", "1")
    assert code == 0
    assert created(tmp_path) == set()
    inner, outer, samples = 64 * 4, 4 * 10, 4 * 12
    # A product forward is two backward, of weights and of inputs; the first layer's inputs are not learned.
    flops = 2 * samples * (2 * inner + 3 * outer)
    assert f"3 members of {inner + outer:,} parameters" in text
    assert "4 steps on 48 samples each" in text
    assert f"{flops * 4 * 3:.3g} floating-point operations in products of matrices, {flops:.3g} a member" in text
    assert "12 member-steps" in text
    assert re.search(r"# about \d+ (s|min).* on this machine \(.*from a trial of \d members", text)
    records, members, times = 12 + 4 * (6 + 5 + 5), 3, 3  # inputs: orbits of the evaluation sets
    kib = {
        "records": 4 * times * members * (10 * records + inner + outer + 3),  # parameters, and three metrics
        "checkpoints": (1 + 1) * members * 4 * (inner + outer + 4),  # the same, and where the member froze
        "data": 4 * 64 * (12 + 6 + 5 + 5) + 8 * (12 + 6 + 5),  # images; labels of all but noise
    }
    assert f"about {sum(kib.values()) / 1024:.3g} KiB on disk (" in text
    assert f"({', '.join(f'{name} {number / 1024:.3g} KiB' for name, number in kib.items())})" in text


def test_what_a_dry_run_prints_is_a_file_of_the_same_run(tmp_path):
    def printed(name):
        console = Console(file=io.StringIO())
        TrainCommand(tmp_path / name, tmp_path / "here", dry_run=True).run(console)
        return console.file.getvalue()

    (tmp_path / "run.yaml").write_text(SMALL)
    resolved = printed("run.yaml")
    (tmp_path / "resolved.yaml").write_text(resolved)
    first, second = (read_config(tmp_path / name, TrainConfig) for name in ("run.yaml", "resolved.yaml"))
    assert (first.randomness, second.randomness) == (None, "own")  # which hangs on the run directory
    assert replace(first, randomness="own") == second
    assert first.run().config == second.run().config
    assert printed("resolved.yaml").splitlines()[:-1] == resolved.splitlines()[:-1]  # last: how long a trial took
    assert yaml.safe_load(resolved)["record_steps"] == list(log_spaced_steps(4, 3))


def test_other_data_are_brought_to_the_shape_of_the_training_set(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (9, 12, 10, 3), np.uint8)
    np.savez(tmp_path / "my pictures.npz", images=pictures, labels=np.arange(9) % 3)
    text = SMALL.replace("ood_samples: 5", "ood_samples: 4")
    text = text.replace("[white noise, letters]", f"[letters, ising, {tmp_path}/my pictures.npz]")
    (tmp_path / "run.yaml").write_text(text)
    run = read_config(tmp_path / "run.yaml", TrainConfig).run()
    test, letters, ising, own = run.evaluation_sets
    assert [each.name for each in run.evaluation_sets] == ["test", "letters", "ising", "my pictures"]
    assert [len(each) for each in run.evaluation_sets] == [6, 4, 4, 4]
    assert test.fingerprint == Digits(12, 6, 3).load().test.fingerprint
    assert letters.fingerprint == printed_letters(run.training_set, 4, 3).fingerprint
    spins = IsingEnergies(16, 1000, 4, seed=3).load().test
    assert ising.fingerprint == standardised(like(spins, run.training_set)).fingerprint
    assert own.inputs.shape == (4, 8, 8, 1)
    np.testing.assert_allclose(own.inputs.mean((1, 2, 3)), 0, atol=1e-6)  # float32
    np.testing.assert_allclose(own.inputs.std((1, 2, 3)), 1, rtol=1e-6)


def test_what_follows_from_a_file_stands_in_the_configuration():
    said = {"architecture": "mlp", "data": "digits", "members": 2}
    config = TrainConfig(**said, recipe=TrainingRecipe(0.1, augmentation=RandomElement(C4)), steps=1000)
    assert config.network == mlp(512)
    assert config.record_steps == log_spaced_steps(1000, 10)
    config = TrainConfig(**said, recipe=TrainingRecipe(0.1), steps=1, ood=("blur",))
    assert [len(each) for each in config.run().evaluation_sets] == [359, 359]  # as many as test


def test_the_example_is_what_it_says(command, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "predicted_time", lambda run: "a while")
    code, text, error = command("train", str(EXAMPLE), "--dry-run")
    assert (code, error) == (0, "")
    assert "64 members of 103,008 parameters" in text
    assert created(tmp_path) == set()


def test_the_documented_file_is_one(widesym, monkeypatch):
    monkeypatch.setattr(train, "predicted_time", lambda run: "a while")
    text = (EXAMPLE.parents[2] / "docs" / "training.md").read_text()
    block = text.split("```yaml\n")[1].split("```")[0]
    code, printed, error = widesym(block, "run.yaml", "--dry-run")
    assert (code, error) == (0, "")
    assert "48 steps on 256 samples each" in printed


def test_the_example_trains_in_small(widesym, tmp_path):
    small = EXAMPLE.read_text().replace("features: 32", "features: 3").replace("steps: 48", "steps: 8")
    assert widesym(small, "run.yaml", "--members", "2")[0] == 0
    with xr.open_zarr(tmp_path / "runs" / "run" / "logits.zarr") as store:
        assert store.attrs["evaluation_sets"] == ["train", "test", "matched noise", "letters", "ising"]
        assert store.recorded.all()
        assert store.ntk.shape[1:] == (2, 16, 16)
        assert (store.loss[-1] < store.loss[1]).all()
        orbit = store.logits[-1].values[:, 64 : 64 + 4 * 128].reshape(2, 4, 128, 10)
    # All rotations of a digit have the same logits, to what float32 sums in another order leave.
    np.testing.assert_allclose(orbit, orbit[:, :1].repeat(4, 1), atol=1e-5 * np.abs(orbit).max())
