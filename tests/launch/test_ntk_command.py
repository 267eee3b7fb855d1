"""Θ_t from run directories, and `widesym ntk`: numbers, files, resumption, and what it says when something is wrong."""

import io
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr
import zarr
from rich.console import Console
from stored_runs import CONV, LINEAR, POOLED, STEPS, TRAIN, trained, with_parameters

from analysis import analytic_kernel
from analysis.kernel_evolution import distance, target_alignment
from ensembles import Adam, TrainingRecipe
from ensembles.data import Toy
from launch import ntk_files, ntk_run
from launch.ntk_files import KernelFiles
from launch.ntk_run import ntk_of_run
from launch.run_directory import RunDirectoryError
from launch.snapshots import EmpiricalNtk, Parameters
from launch.stored_members import StoredRun, stored_parameters, stored_steps
from models import Architecture, Dense, Flatten, Relu

QUIET = Console(quiet=True)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    return with_parameters(tmp_path_factory.mktemp("ntk") / "run")


@pytest.fixture(scope="module")
def found(recorded, tmp_path_factory):
    return ntk_of_run(StoredRun(recorded), TRAIN, 5, tmp_path_factory.mktemp("found") / "ntk", QUIET)


def trace_ntk(architecture, params, x):
    """Mean over logits of Σ_θ ∂f_k ∂f_k, by one whole Jacobian."""
    jacobian = jax.jacrev(lambda params: architecture.apply(params, x))(params)
    flat = np.concatenate([np.reshape(leaf, (*leaf.shape[:2], -1)) for leaf in jax.tree.leaves(jacobian)], axis=-1)
    return np.einsum("ikp,jkp->ij", flat, flat) / flat.shape[1]


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


DEEP = Architecture((Flatten(), *(Dense(8, w_std=2**0.5), Relu()) * 3, Dense(10)))
# The second member's weights become as large as its rate: finite, but products of four layers of them are not.
HUGE = TrainingRecipe((0.01, 1e15, 0.02), Adam(eps=1e-30))


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    return with_parameters(tmp_path_factory.mktemp("overflowing") / "run", architecture=DEEP, recipe=HUGE)


def test_kernels_of_those_who_are_left_out_are_not_computed(overflowing, tmp_path):
    """They overflow. The others' are as without them, and are found again."""
    run = StoredRun(overflowing)
    np.testing.assert_array_equal(run.members("exclude"), [True, False, True])
    found = ntk_of_run(run, TRAIN, 4, tmp_path / "ntk", QUIET, "exclude")
    np.testing.assert_array_equal(found.member, [0, 2])
    for index, member in enumerate((0, 2)):
        one = jax.tree.map(lambda leaf, member=member: leaf[member], stored_parameters(run, (8, 8, 1), 4))
        np.testing.assert_allclose(found.ntk[2, index], trace_ntk(DEEP, one, TRAIN.inputs[:4]), rtol=1e-4, atol=1e-5)


def test_whose_kernels_overflow_is_said_by_number(overflowing, tmp_path):
    """Also in a directory that has the others' kernels; these and what could be computed stay."""
    run, files = StoredRun(overflowing), KernelFiles(tmp_path / "ntk" / "kernels", 3, 4)
    ntk_of_run(run, TRAIN, 4, tmp_path / "ntk", QUIET, "exclude")
    with pytest.raises(RunDirectoryError, match=r"no empirical NTK of member 1 at step [14]: .*not finite"):
        ntk_of_run(run, TRAIN, 4, tmp_path / "ntk", QUIET, "include")
    np.testing.assert_array_equal(files.computed(0), [True] * 3)
    np.testing.assert_array_equal(files.computed(4), [True, False, True])
    before = files.path(4).read_bytes()
    assert ntk_of_run(run, TRAIN, 4, tmp_path / "ntk", QUIET, "exclude").sizes["time"] == 3
    assert files.path(4).read_bytes() == before


def test_members_that_are_asked_for_later_are_computed_beside_the_others(recorded, found, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(StoredRun, "members", lambda self, sick: np.array([True, False, True]))
        assert ntk_of_run(StoredRun(recorded), TRAIN, 5, tmp_path / "ntk", QUIET).sizes["member"] == 2
    console = Console(file=io.StringIO(), width=200)
    xr.testing.assert_equal(ntk_of_run(StoredRun(recorded), TRAIN, 5, tmp_path / "ntk", console), found)
    assert "ntk: 3/3 kernels" in console.file.getvalue()


def test_too_little_memory_is_said(recorded, command, tmp_path):
    shutil.copytree(recorded, tmp_path / "run")
    code, _, error = command("ntk", "run", "--data-seed", "3", "--memory", "1e-6")
    assert code == 2
    assert "no empirical NTK of members 0, 1, 2 at step 0: memory is 0.00102 MiB, but a single pair" in error


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


STAGES = (
    (ntk_files.np, "save"),
    (ntk_files.os, "replace"),
    (ntk_run, "kernel_statistics"),
    (xr.Dataset, "to_zarr"),
    (ntk_files.zarr, "consolidate_metadata"),
)


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage[1])
@pytest.mark.parametrize("call", [1, 2])
def test_killed_at_any_stage_it_goes_on(recorded, found, tmp_path, monkeypatch, stage, call):
    """With the times that were written, to the numbers of an undisturbed computation."""
    calls, computed = 0, []
    place, name = stage
    original, kernels = getattr(place, name), ntk_run._kernels

    def wrapped(*arguments, **options):
        nonlocal calls
        calls += 1
        if calls == call:
            raise Killed
        return original(*arguments, **options)

    def counted(*arguments):
        computed.append(1)
        return kernels(*arguments)

    def compute():
        return ntk_of_run(StoredRun(recorded), TRAIN, 5, tmp_path / "ntk", QUIET)

    with monkeypatch.context() as patch:
        patch.setattr(place, name, wrapped)
        for _ in range(call if stage in STAGES[2:] else 1):
            try:
                compute()
            except Killed:
                break
        else:
            raise AssertionError("it was not killed")
    there = len(list((tmp_path / "ntk" / "kernels").glob("*.npy")))
    monkeypatch.setattr(ntk_run, "_kernels", counted)
    xr.testing.assert_equal(compute(), found)
    assert len(computed) == len(STEPS) - there
    with xr.open_zarr(tmp_path / "ntk" / "ntk.zarr") as store:
        xr.testing.assert_equal(store.load(), found)
    assert not list(tmp_path.rglob("*.new"))


def test_kernels_of_other_inputs_or_runs_are_not_mixed(recorded, tmp_path):
    ntk_of_run(StoredRun(recorded), TRAIN, 2, tmp_path / "ntk", QUIET)
    with pytest.raises(RunDirectoryError, match=r"inputs.samples: 2 on disk, 3 asked for"):
        ntk_of_run(StoredRun(recorded), TRAIN, 3, tmp_path / "ntk", QUIET)


def test_half_a_file_is_named(recorded, tmp_path):
    ntk_of_run(StoredRun(recorded), TRAIN, 2, tmp_path / "ntk", QUIET)
    file = tmp_path / "ntk" / "kernels" / "1.npy"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(RunDirectoryError, match=r"kernels/1.npy cannot be read .*; remove it, and it is"):
        ntk_of_run(StoredRun(recorded), TRAIN, 2, tmp_path / "ntk", QUIET)


def test_kernels_of_another_shape_are_named(recorded, tmp_path):
    ntk_of_run(StoredRun(recorded), TRAIN, 2, tmp_path / "ntk", QUIET)
    np.save(tmp_path / "ntk" / "kernels" / "4.npy", np.zeros((2, 2, 2), np.float32))
    message = r"kernels/4.npy holds float32 of shape \(2, 2, 2\), but .* of shape \(3, 2, 2\); remove it, and it is"
    with pytest.raises(RunDirectoryError, match=message):
        ntk_of_run(StoredRun(recorded), TRAIN, 2, tmp_path / "ntk", QUIET)


def test_kernels_stay_when_their_checkpoints_are_gone(tmp_path):
    """As after more training, with which two checkpoints alone are kept: those of steps 0 and 1 have been computed."""
    path = trained(tmp_path / "run")
    early = ntk_of_run(StoredRun(path), TRAIN, 3, path / "ntk", QUIET)
    shutil.rmtree(path / "checkpoints" / "1")
    assert stored_steps(StoredRun(path)) == [0, 4]
    xr.testing.assert_equal(ntk_of_run(StoredRun(path), TRAIN, 3, path / "ntk", QUIET), early)
    np.testing.assert_array_equal(early.step, STEPS)


def test_kernels_of_a_run_that_was_trained_anew_are_not_mixed(recorded, tmp_path):
    """Its configuration is the same, but not what was drawn."""
    path = shutil.copytree(recorded, tmp_path / "run")
    ntk_of_run(StoredRun(path), TRAIN, 2, path / "ntk", QUIET)
    root = zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)
    root["logits"][0, 2] *= 1.001
    with pytest.raises(RunDirectoryError, match=r"run.initial_logits: '\w+' on disk, '\w+' asked for"):
        ntk_of_run(StoredRun(path), TRAIN, 2, path / "ntk", QUIET)


def test_members_that_other_numbers_were_drawn_for_are_refused(tmp_path):
    """As by another version of JAX: here by another seed, which the configuration does not tell of."""
    run = StoredRun(trained(tmp_path / "run", kept=1))
    run.config["seed"] += 1
    with pytest.raises(RunDirectoryError, match="members of step 0 have logits that differ by up to"):
        ntk_of_run(run, TRAIN, 4, tmp_path / "ntk", QUIET)


def test_the_command_from_run_to_figure(command, recorded, found, tmp_path):
    path = shutil.copytree(recorded, tmp_path / "run")
    code, text, error = command("ntk", "run", "--samples", "5", "--data-seed", "3")
    assert code == 0, error
    with xr.open_zarr(path / "ntk" / "ntk.zarr") as store:
        xr.testing.assert_equal(store.load(), found)
        assert store.attrs["inputs"] == "the first 5 of train"
    for suffix, start in ((".png", b"\x89PNG"), (".pdf", b"%PDF")):
        assert (path / "ntk" / f"ntk{suffix}").read_bytes().startswith(start)
    assert f"{float(found.drift[2].mean()):.4f}" in text
    assert f"{float(found.mean_drift[2]):.4f}" in text
    assert "9/9 kernels" in text
    code, text, _ = command("ntk", "run", "--samples", "5", "--data-seed", "3", "--output", "run/ntk")
    assert code == 0
    assert "3 of 3 times found in run/ntk" in text
    assert "kernels/s" not in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "RUN"),
        ("none", "there is no directory none; name a run directory"),
        (".", "is not the directory of one ensemble; there are run"),
        ("run", "training set of 'digits', seed 0, has digest"),
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
    monkeypatch.setattr("launch.progress.SECONDS_BETWEEN_LINES", 0.0)
    ntk_of_run(StoredRun(recorded), TRAIN, 2, tmp_path / "ntk", console)
    assert "ntk: 3/9 kernels, " in console.file.getvalue()
    assert " s left" in console.file.getvalue()
