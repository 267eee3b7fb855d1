"""Stores whose files hold several times, and earlier versions' with a file for each: damaged, and gone on with."""

import shutil

import numpy as np
import pytest

from tests.support.damaged_runs import halve, only, start_again, store
from tests.support.failed_loads import FAILED_LOADS
from tests.support.stored_runs import CONV, TEST, TRAIN, trained
from widesym.ensembles import TrainingRecipe, recorder
from widesym.launch.errors import RunDirectoryError
from widesym.launch.integrity.run import examine
from widesym.launch.runs.run import Run

pytestmark = FAILED_LOADS
SMALL = Run(CONV, TrainingRecipe(0.1), 3, 5, (0, 1, 4), TRAIN, (TEST,))


def test_files_of_several_times_are_restored_from_the_beginning(tmp_path):
    """Small stores have them: a run that goes on would write the later times alone, into what cannot be read."""
    run = trained(tmp_path / "run", members=3, kept=9)
    expected = store(run)["loss"][:]
    halve(run / "logits.zarr" / "loss" / "c.0.0")
    check = only(run)
    assert check[:2] == ("logits.zarr/loss/c.0.0", "problem")
    assert check.detail.endswith("): members 0, 1, 2 at steps 0, 1, 4")
    assert check.remedy.endswith("logits.zarr and start the run again: it begins at step 0")
    (run / "finished.json").unlink()
    with pytest.raises(RunDirectoryError, match=r"logits\.zarr cannot be read .*; remove it, and the run starts again"):
        start_again(run, SMALL)
    shutil.rmtree(run / "logits.zarr")
    start_again(run, SMALL)
    np.testing.assert_array_equal(store(run)["loss"][:], expected)
    store(run)["loss"][2, 1] = np.nan  # in a file that can be read, and so written on
    check = next(each for each in examine(run).checks if each.file == "logits.zarr/loss/c.0.0")
    assert check.detail == "holds numbers that are not finite: members 1 at step 4"
    assert "it goes on from step 1 and writes this anew" in check.remedy
    (run / "logits.zarr" / "healthy" / "c.0.0").unlink()
    check = next(each for each in examine(run).checks if each.file == "logits.zarr/healthy/c.0.0")
    assert check.remedy.endswith("it begins at step 0")


def test_a_store_of_an_earlier_version_goes_on_as_it_was(tmp_path, monkeypatch):
    """A file for each record, in folders of their own; read, examined and written on like others."""
    with monkeypatch.context() as earlier:
        earlier.setattr(recorder, "KEYS", {"name": "default", "separator": "/"})
        earlier.setattr(recorder, "together", lambda times, members, bytes_each: (1, members))
        run = trained(tmp_path / "run", members=3, kept=9)
    file = run / "logits.zarr" / "logits" / "c" / "2" / "0" / "0" / "0"
    expected, of_file = store(run)["logits"][:], file.read_bytes()
    assert {check.status for check in examine(run).checks} == {"ok"}
    halve(file)
    assert only(run)[:2] == ("logits.zarr/logits/c/2/0/0/0", "problem")
    (run / "finished.json").unlink()
    shutil.rmtree(run / "checkpoints" / "4")
    assert "resuming at step 1 of 4" in start_again(run, SMALL)
    assert file.read_bytes() == of_file
    np.testing.assert_array_equal(store(run)["logits"][:], expected)
    np.testing.assert_array_equal(store(trained(tmp_path / "new", members=3))["logits"][:], expected)
