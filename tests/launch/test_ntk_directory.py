"""The directory of a run's empirical NTKs: whose are computed, what a later call finds there, and what is refused."""

import io
import os
import shutil
from dataclasses import replace

import jax
import numpy as np
import pytest
import xarray as xr
import zarr
from rich.console import Console

from tests.support.stored_runs import STEPS, TRAIN, trace_ntk, trained, with_parameters
from widesym.ensembles import Adam, TrainingRecipe
from widesym.launch.errors import RunDirectoryError
from widesym.launch.kernels import ntk as ntk_run
from widesym.launch.kernels import ntk_files
from widesym.launch.kernels.ntk import ntk_of_run
from widesym.launch.kernels.ntk_files import KernelFiles
from widesym.launch.runs.stored import StoredRun, stored_parameters, stored_steps
from widesym.models import Architecture, Dense, Flatten, Relu

QUIET = Console(quiet=True)


DEEP = Architecture((Flatten(), *(Dense(8, w_std=2**0.5), Relu()) * 3, Dense(10)))
# The second member's weights become as large as its rate: finite, but products of four layers of them are not.
HUGE = TrainingRecipe((0.01, 1e15, 0.02), Adam(eps=1e-30))


@pytest.fixture(scope="module")
def overflowing(tmp_path_factory):
    path = tmp_path_factory.mktemp("overflowing") / "run"
    return with_parameters(path, architecture=DEEP, recipe=HUGE, randomness="shared")  # draws with which member 1 does


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


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL."""


STAGES = (
    (ntk_files.np, "save"),
    (os, "replace"),
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
    with pytest.raises(RunDirectoryError, match=r"kernels/1.npy is damaged .*; remove it, and it is"):
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
    vars(run)["record"] = replace(run.record, seed=run.record.seed + 1)
    with pytest.raises(RunDirectoryError, match="members of step 0 have logits that differ by up to"):
        ntk_of_run(run, TRAIN, 4, tmp_path / "ntk", QUIET)
