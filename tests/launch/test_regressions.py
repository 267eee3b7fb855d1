"""Runs on values: nothing that reads them speaks of classes, and errors are those of the logits on disk."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from rich.console import Console
from test_runs import events

from widesym.analysis.comparison import compare
from widesym.ensembles import FullOrbit, Strategy, TrainingRecipe
from widesym.ensembles.data import IsingEnergies
from widesym.ensembles.data.dataset import Quantity
from widesym.ensembles.recorder import read_logits
from widesym.ensembles.stores import METRICS
from widesym.launch.analyses.directory import read_tables
from widesym.launch.analyses.matching import compared, match
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.analyses.options import AnalysisOptions
from widesym.launch.commands.analyze import AnalyzeCommand
from widesym.launch.errors import MismatchError
from widesym.launch.integrity.run import examine
from widesym.launch.runs import run as run_module
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Dense, Flatten, Relu, cyclic

TRAIN, TEST = IsingEnergies(4, 12, 6, updates=5).load()
NETWORK = Architecture((Flatten(), Dense(8, w_std=2**0.5), Relu(), Dense(1)))
SETS = {"train": TRAIN, "test": TEST}


def energies(path, console, train=TRAIN, steps=(0, 1, 6), **execution):
    run = Run(NETWORK, TrainingRecipe(0.2), 6, 0, steps, train, (TEST,), FullOrbit(cyclic(4)))
    run_ensemble(run, path, console, Execution(Strategy(1), **execution))
    return path


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The directory of a run, and what was printed while it trained."""
    console = Console(record=True, width=200)
    path = energies(tmp_path_factory.mktemp("runs") / "energies", console, tensorboard=True)
    return path, console.export_text()


@pytest.fixture(scope="module")
def analysed(trained, tmp_path_factory):
    output, console = tmp_path_factory.mktemp("analysis") / "out", Console(record=True, width=200)
    AnalyzeCommand((trained[0],), AnalysisOptions(theory=True), output=output).run(console)
    return output, console.export_text()


def root_mean_square(errors):
    return np.sqrt((np.asarray(errors, np.float64) ** 2).mean())


def test_no_accuracy_is_stored_printed_or_logged(trained):
    path, printed = trained
    assert not list(path.glob("logits.zarr/accuracy*"))
    assert "accuracy" not in printed
    assert not [name for name in read_metrics(path / "metrics.csv")[-1] if "accuracy" in name]
    tags = {tag for tag, _, _ in events(path / "tensorboard")}
    assert "rmse/mean" in tags
    assert not [tag for tag in tags if "accuracy" in tag]
    assert {check.status for check in examine(path).checks} == {"ok"}


def test_errors_are_those_of_the_stored_logits(trained):
    path, printed = trained
    last = read_metrics(path / "metrics.csv")[-1]
    for name, logits in read_logits(path / "logits.zarr").items():
        errors = logits[-1] - SETS[name].values
        np.testing.assert_allclose(float(last[f"{name}_rmse_of_members"]), root_mean_square(errors), rtol=1e-6)
        np.testing.assert_allclose(float(last[f"{name}_rmse_of_mean"]), root_mean_square(errors.mean(0)), rtol=1e-5)
    with xr.open_zarr(path / "logits.zarr") as store:
        of_batch = np.sqrt(2 * store.loss.values[-1]).mean()  # the whole set, one step before the last record
    assert f"error {of_batch:.3g} J, " in printed


def test_tables_and_figures_hold_errors_alone(analysed, trained):
    output, printed = analysed
    tables = read_tables(output)
    assert not [name for name in tables["training"].data_vars if "accuracy" in name]
    found = tables["training"].ensemble_rmse.sel(run="energies")
    assert found.attrs["units"] == "J"
    for name, logits in read_logits(trained[0] / "logits.zarr").items():
        expected = [root_mean_square(each.mean(0) - SETS[name].values) for each in logits]
        np.testing.assert_allclose(found.sel(evaluation_set=name), expected, rtol=1e-5)  # float32 means
    assert "ensemble_rmse" in pd.read_csv(output / "tables" / "training.csv").columns
    assert (output / "figures" / "training.png").exists()
    assert "accuracy" not in printed


def test_no_class_is_predicted_along_an_orbit(analysed):
    output, _ = analysed
    tables = read_tables(output)
    for name in ("equivariance", "equivariance_by_size"):
        assert tables[name].sizes["run"] == 1
        assert not [column for column in tables[name].data_vars if "osp" in column]
    assert tables["equivariance"].equivariance_error_mean.min() > 0
    assert (output / "figures" / "equivariance.png").exists()
    assert not (output / "figures" / "osp-by-size.png").exists()


def of_an_earlier_version(monkeypatch):
    """Stores had an accuracy, whatever was trained on."""
    monkeypatch.setattr(run_module, "OF_VALUES", METRICS)


def test_the_accuracy_of_earlier_versions_is_not_shown(tmp_path, monkeypatch):
    with monkeypatch.context() as earlier:
        of_an_earlier_version(earlier)
        path = energies(tmp_path / "old", Console(quiet=True))
    assert zarr.open_array(path / "logits.zarr" / "accuracy")[1:].min() == 1.0  # of one logit, always
    matched = match(runs_in([path]), "refuse")
    tables = compare(compared(matched, {}), matched.times, "old")
    assert "accuracy" not in tables["training"]
    assert "ensemble_accuracy" not in tables["training"]
    assert np.isfinite(tables["training"].loss[0, 1:]).all()
    assert {check.status for check in examine(path).checks} == {"ok"}


def test_a_run_of_an_earlier_version_goes_on_as_it_was(tmp_path, monkeypatch, trained):
    """Its store has a place for the accuracy, which is filled as before, and read by nobody."""
    with monkeypatch.context() as earlier:
        of_an_earlier_version(earlier)
        energies(tmp_path / "run", Console(quiet=True))
    accuracy = zarr.open_array(tmp_path / "run" / "logits.zarr" / "accuracy", mode="r+")
    whole = accuracy[:]
    (tmp_path / "run" / "finished.json").unlink()
    accuracy[2] = np.nan
    for step in (tmp_path / "run" / "checkpoints").glob("6"):
        step.rename(tmp_path / "gone")
    energies(tmp_path / "run", Console(quiet=True))
    np.testing.assert_array_equal(accuracy[:], whole)
    found, expected = (read_logits(path / "logits.zarr")["test"] for path in (tmp_path / "run", trained[0]))
    np.testing.assert_array_equal(found, expected)
    assert {check.status for check in examine(tmp_path / "run").checks} == {"ok"}


def test_runs_on_other_quantities_are_refused(tmp_path, trained):
    other = energies(tmp_path / "other", Console(quiet=True), replace(TRAIN, quantities=(Quantity("charge", "e"),)))
    with pytest.raises(
        MismatchError, match=r"other was trained on charge \[e\], but energies on energy per site \[J\]"
    ):
        match(runs_in([trained[0], other]), "refuse")
