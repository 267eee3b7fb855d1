"""Θ_t from run directories, and `widesym ntk`: numbers, files, and what it says when something is wrong."""

import io
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from tests.support.stored_runs import CONV, LINEAR, POOLED, STEPS, TRAIN, trace_ntk, trained, with_parameters
from widesym.analysis import analytic_kernel
from widesym.analysis.estimators.kernel_evolution import distance, target_alignment
from widesym.ensembles import Adam, TrainingRecipe
from widesym.ensembles.data import Toy
from widesym.launch.config.snapshots import EmpiricalNtk, Parameters
from widesym.launch.kernels.ntk import ntk_of_run
from widesym.launch.runs.stored import StoredRun, stored_parameters
from widesym.models import Architecture, Dense, Relu

QUIET = Console(quiet=True)


def test_kernels_are_those_of_the_stored_networks(found, recorded):
    assert found.ntk.shape == (3, 3, 5, 5)
    run = StoredRun(recorded)
    for time, step in enumerate(STEPS):
        params = stored_parameters(run, (8, 8, 1), step)
        for member in range(3):
            one = jax.tree.map(lambda leaf, member=member: leaf[member], params)
            expected = trace_ntk(CONV, one, TRAIN.inputs[:5])
            np.testing.assert_allclose(found.ntk[time, member], expected, rtol=1e-4, atol=1e-5)  # float32 sums
    assert (found.drift[1:] > 1e-3).all()


def test_what_is_said_of_them_is_of_these_inputs(found):
    kernels, y = found.ntk.values, np.eye(10)[TRAIN.labels[:5]] - 0.1
    np.testing.assert_allclose(found.alignment, target_alignment(kernels, y), rtol=1e-6)  # targets in float32
    analytic = analytic_kernel(CONV)(TRAIN.inputs[:5]).ntk
    expected = distance(kernels.mean(1, dtype=np.float64), np.asarray(analytic))
    np.testing.assert_allclose(found.distance_from_analytic, expected, rtol=1e-3)  # Θ's diagonal to √ε
    np.testing.assert_allclose(found.time, 0.1 * np.array(STEPS), rtol=1e-12)
    np.testing.assert_array_equal(found.step, STEPS)


def test_they_are_those_recorded_in_training(tmp_path):
    """Means over three logits, both."""
    network, data = Architecture((Dense(4), Relu(), Dense(3))), Toy(6, 3).load()
    data = [replace(part, values=np.tile(part.values, 3), quantities=part.quantities * 3) for part in data]
    path = trained(tmp_path / "run", network, data=data, snapshots=(Parameters(), EmpiricalNtk(6)))
    found = ntk_of_run(StoredRun(path), data[0], 6, tmp_path / "ntk", QUIET)
    with xr.open_zarr(path / "logits.zarr") as store:
        np.testing.assert_allclose(found.ntk, store.ntk, rtol=1e-4, atol=1e-6)  # float32, other orders of sums
        assert np.abs(store.ntk[2] - store.ntk[0]).max() > 1e-3
    assert found.alignment.shape == (3, 3)  # with values as targets


def test_linear_networks_do_not_drift(tmp_path):
    """Their gradients are the inputs, whatever the weights: exactly the same kernels, though they have learnt."""
    path = with_parameters(tmp_path / "run", architecture=LINEAR)
    found = ntk_of_run(StoredRun(path), TRAIN, 5, tmp_path / "ntk", QUIET)
    np.testing.assert_array_equal(found.drift, 0)
    x = TRAIN.inputs[:5].reshape(5, -1).astype(np.float64)
    np.testing.assert_allclose(found.ntk[2, 0], x @ x.T / x.shape[1], rtol=1e-5, atol=1e-6)
    assert (found.distance_from_analytic < 1e-5).all()


def test_max_pooling_has_kernels_but_no_analytic_one(tmp_path):
    path = trained(tmp_path / "run", POOLED, members=2)
    found = ntk_of_run(StoredRun(path), TRAIN, 4, tmp_path / "ntk", QUIET)
    assert "distance_from_analytic" not in found
    assert (found.drift[1:] > 1e-4).all()
    one = jax.tree.map(lambda leaf: leaf[1], stored_parameters(StoredRun(path), (8, 8, 1), 4))
    np.testing.assert_allclose(found.ntk[2, 1], trace_ntk(POOLED, one, TRAIN.inputs[:4]), rtol=1e-4, atol=1e-5)


def test_sick_members_are_left_out_if_asked(tmp_path):
    recipe = TrainingRecipe((0.01, 1e30, 0.02), Adam(eps=1e-30))
    path = with_parameters(tmp_path / "run", recipe=recipe)
    with pytest.raises(ValueError, match=r"1 of 3 members .* \(members 1\)"):
        ntk_of_run(StoredRun(path), TRAIN, 4, tmp_path / "ntk", QUIET)
    found = ntk_of_run(StoredRun(path), TRAIN, 4, tmp_path / "ntk", QUIET, "exclude")
    np.testing.assert_array_equal(found.member, [0, 2])
    np.testing.assert_allclose(found.training_time[-1], [0.04, 0.08], rtol=1e-6)
    assert np.isfinite(found.drift).all()


def test_too_little_memory_is_said(recorded, command, tmp_path):
    shutil.copytree(recorded, tmp_path / "run")
    code, _, error = command("ntk", "run", "--data-seed", "3", "--memory", "1e-6")
    assert code == 2
    assert "no empirical NTK of members 0, 1, 2 at step 0: memory is 0.00102 MiB a device, but a single" in error


def test_the_command_from_run_to_figure(command, recorded, found, tmp_path):
    path = shutil.copytree(recorded, tmp_path / "run")
    code, text, error = command("ntk", "run", "--samples", "5", "--data-seed", "3")
    assert code == 0, error
    with xr.open_zarr(path / "ntk" / "ntk.zarr") as store:
        xr.testing.assert_equal(store.load(), found)
        assert store.attrs["inputs"] == "the first 5 of train"
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        assert (path / "ntk" / f"ntk{suffix}").read_bytes().startswith(start)
    assert f"{float(found.drift[2].mean()):.3g}" in text
    assert f"{float(found.mean_drift[2]):.3g}" in text
    assert "9/9 kernels" in text
    code, text, _ = command("ntk", "run", "--samples", "5", "--output", "run/ntk")
    assert code == 0
    assert "3 of 3 times found in run/ntk" in text
    assert "kernels/s" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "RUN"),
        ("none", "there is no directory none; name a run directory"),
        (".", "is not the directory of one ensemble; there are run"),
        ("run --data digits", "training set of 'digits', seed 0, has digest"),
        ("run --data toy", "training set of 'toy'"),
        ("run --data-seed 3 --samples 0", "--samples is 0; a kernel needs at least one input"),
        ("run --data-seed -1", "--data-seed is -1"),
        ("run --sick include", "--sick"),
        ("run --memory 0", "--memory is 0; it must be a number of GiB above 0"),
        ("run --data-seed 3 --output taken", "taken"),
    ],
)
def test_bad_input_exits_with_2(command, recorded, tmp_path, arguments, message):
    shutil.copytree(recorded, tmp_path / "run")
    (tmp_path / "taken").write_text("mine")
    code, _, error = command("ntk", *arguments.split())
    assert code == 2
    assert message in error
    assert (tmp_path / "taken").read_text() == "mine"
    assert not (tmp_path / "run" / "ntk").exists()


def test_progress_is_told_in_lines(recorded, tmp_path, monkeypatch):
    console = Console(file=io.StringIO(), width=200)
    monkeypatch.setattr("widesym.launch.runs.progress.SECONDS_BETWEEN_LINES", 0.0)
    ntk_of_run(StoredRun(recorded), TRAIN, 2, tmp_path / "ntk", console)
    assert "ntk: 3/9 kernels, " in console.file.getvalue()
    assert " s left" in console.file.getvalue()
