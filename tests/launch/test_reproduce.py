"""The demo at its smallest, end to end in this process: what it leaves behind, and what a second run does."""

import csv
import json

import matplotlib.image
import numpy as np
import pytest
import xarray as xr

from widesym.analysis.dynamics import largest_learning_rate
from widesym.analysis.dynamics.ensembles import training_kernel
from widesym.ensembles.recorder import read_logits
from widesym.launch import cli
from widesym.launch.analyses.directory import read_tables
from widesym.launch.kernels import gram
from widesym.launch.recipes.digits_c4 import DigitsC4
from widesym.launch.training import execution

NETWORKS = ("augmented", "gcnn", "control")
STEPS = [0, 1, 4]
OPTIONS = {"members": 6, "width": 4, "steps": 4, "records": 3, "train": 8, "samples": 8, "ood": ("noise", "ising")}


def reproduce(output, **changes):
    """Run the command; its exit code."""
    options = OPTIONS | changes
    flags = [word for name, value in options.items() for word in (f"--{name}", *np.ravel(value).astype(str))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "configure_jax", lambda: None)  # JAX runs here already
        try:
            return cli.main(["reproduce", "digits-c4", *flags, "--output", str(output)]) or 0
        except SystemExit as exit_:
            return exit_.code


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """A finished run."""
    output = tmp_path_factory.mktemp("tiny") / "deep" / "runs"
    assert reproduce(output) == 0
    return output


@pytest.fixture(scope="module")
def tables(output):
    return read_tables(output / "analysis")


def contents(output):
    """Every file's time and bytes, but for locks and what each run compares and draws anew."""
    files = [path for path in output.rglob("*") if path.is_file() and path.name != ".lock"]
    kept = [path for path in files if "analysis" not in path.parts and path.suffix not in (".png", ".pdf")]
    return {path.relative_to(output): (path.stat().st_mtime_ns, path.read_bytes()) for path in kept}


@pytest.mark.parametrize("network", NETWORKS)
def test_each_ensemble_has_its_files(output, network):
    path = output / network
    for name in ("config.json", "finished.json", "logits.zarr", "metrics.csv", "checkpoints"):
        assert (path / name).exists(), name
    assert sorted(int(step.name) for step in (path / "checkpoints").iterdir()) == STEPS[-2:]
    finished = json.loads((path / "finished.json").read_text())
    assert finished["seconds"] > 0
    assert 2**20 < finished["process_peak_memory_bytes"] < 2**40  # in bytes: neither kilobytes nor pages
    assert not list(output.rglob("*.new"))


def test_logits_are_of_every_set_member_and_time(output):
    with xr.open_zarr(output / "gcnn" / "logits.zarr") as store:
        assert store.logits.dims == ("time", "member", "sample", "logit")
        assert store.logits.shape == (3, 6, 4 * 8, 10)
        assert np.isfinite(store.logits).all()
        np.testing.assert_array_equal(store.step, STEPS)
        assert store.attrs["evaluation_sets"] == ["train", "test", "noise", "ising"]


def test_metrics_follow_the_logits(output, tables):
    with (output / "control" / "metrics.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [int(row["step"]) for row in rows] == STEPS
    np.testing.assert_allclose([float(row["time"]) for row in rows], tables["divergence"]["time"], rtol=1e-12)
    (train, test), logits = DigitsC4(**OPTIONS).data, read_logits(output / "control" / "logits.zarr")
    errors = logits["train"] - (np.eye(10)[train.labels] - 0.1)
    losses = 0.5 * (errors**2).sum(-1).mean((1, 2))
    np.testing.assert_allclose([float(row["train_loss_mean"]) for row in rows], losses, rtol=1e-5)  # float32 logits
    right = (logits["test"].argmax(-1) == test[0].labels).mean((1, 2))
    np.testing.assert_allclose([float(row["test_accuracy_of_members"]) for row in rows], right, rtol=1e-12)
    assert losses[-1] < losses[0]


def test_configuration_is_the_resolved_one(output, tables):
    found = {name: json.loads((output / name / "config.json").read_text())["config"] for name in NETWORKS}
    for config in found.values():
        assert config["members"] == 6
        assert config["record_steps"] == STEPS
        assert config["recipe"]["learning_rate"] == float(tables["divergence"]["time"][1])  # after one step
        assert config["data"]["train"]["samples"] == 8
    assert found["augmented"]["recipe"]["augmentation"] == {
        "type": "FullOrbit",
        "group": {"type": "Group", "rotations": 4, "reflections": False},
        "space": {"type": "Images", "method": "bilinear", "outside": "zeros"},
        "targets": {"type": "Invariant"},
    }
    assert found["gcnn"]["recipe"]["augmentation"] == {"type": "NoAugmentation"}
    assert found["augmented"]["architecture"] == found["control"]["architecture"] != found["gcnn"]["architecture"]
    assert len({config["seed"] for config in found.values()}) == 3  # independent ensembles
    assert found["gcnn"]["architecture"]["layers"][0]["features"] == 2  # half of --width


def test_seeds_of_different_runs_do_not_meet():
    """Else the group-CNNs of one would be initialised like the control of the next."""
    seeds = [run.seed for seed in (0, 1, 2) for run in DigitsC4(seed=seed, train=1, samples=1).runs(1.0).values()]
    assert len(set(seeds)) == 9


def test_every_set_and_time_is_compared(tables):
    assert tables["divergence"].attrs["reference"] == "gcnn"
    assert tables["divergence"].evaluation_set.values.tolist() == ["train", "test", "noise", "ising"]
    np.testing.assert_array_equal(tables["divergence"].step, STEPS)
    for name in ("divergence", "noise_floor"):
        assert (tables["divergence"][name] > 0).all()
    assert (tables["theory"].distance > 0).all()
    predicted = tables["divergence"].predicted_divergence
    assert (predicted.sel(run="control")[:, 1:] > 0.01).all()
    np.testing.assert_allclose(predicted.sel(run="augmented"), 0, atol=1e-5)  # the theorem


def test_rates_are_a_fraction_of_the_largest_stable_one(output, tables):
    """Of the smallest of the three networks' own, at infinite width."""
    recipe = DigitsC4(**OPTIONS)
    train = recipe.data[0].inputs
    bounds = [largest_learning_rate(training_kernel(*network, train)) for network in recipe.networks.values()]
    np.testing.assert_allclose(float(tables["divergence"]["time"][1]), 0.6 * min(bounds), rtol=1e-5)  # float32 kernels


def test_divergences_are_of_the_recorded_logits(output, tables):
    means = [read_logits(output / name / "logits.zarr")["ising"].mean(1) for name in ("augmented", "gcnn")]
    expected = np.linalg.norm(means[0] - means[1], axis=-1).mean(-1)
    found = tables["divergence"].divergence.sel(run="augmented", evaluation_set="ising")
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # float32


def test_figure_shows_something(output):
    picture = matplotlib.image.imread(output / "digits-c4.png")
    assert min(picture.shape[:2]) > 1000
    ink = (picture[..., :3] < 0.9).any(-1)
    # Text and lines in every ninth of the page: no row or column of panels is empty.
    for band in np.array_split(ink, 3):
        for part in np.array_split(band, 3, axis=1):
            assert 0.01 < part.mean() < 0.9
    assert (output / "digits-c4.pdf").read_bytes().startswith(b"%PDF")


def test_a_second_run_trains_nothing_and_draws_again(output, tables, monkeypatch, capsys):
    def refuse(*_, **__):
        raise AssertionError("computed again")

    monkeypatch.setattr(execution, "train", refuse)
    monkeypatch.setattr(gram, "_fill", refuse)
    before = contents(output)
    for name in ("digits-c4.png", "digits-c4.pdf"):
        (output / name).unlink()
    assert reproduce(output) == 0
    assert capsys.readouterr().out.count("finished, 6 members found") == 3
    assert contents(output) == before
    for name, table in read_tables(output / "analysis").items():
        assert table.identical(tables[name])
    assert matplotlib.image.imread(output / "digits-c4.png").std() > 0.05
    assert (output / "digits-c4.pdf").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"members": 5}, "members: 6 on disk, 5 asked for"),
        ({"seed": 1}, "seed: 0 on disk, 1 asked for"),
        ({"width": 6}, "width: 4 on disk, 6 asked for"),
        ({"rate": 0.5}, "rate: 0.6 on disk, 0.5 asked for"),
    ],
    ids=str,
)
def test_other_options_are_refused_by_name(output, capsys, changes, message):
    before = contents(output)
    assert reproduce(output, **changes) == 2
    error = capsys.readouterr().err
    assert "holds what was made with other options" in error
    assert message in error
    assert contents(output) == before
