"""Directories of earlier versions are read, analysed, resumed; those of newer ones are refused with what to do."""

import json
import re
import shutil

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from tests.support.stored_runs import CONV, TEST, TRAIN, trained
from widesym.ensembles import Strategy, TrainingRecipe, recorder
from widesym.ensembles.recorder import read_logits
from widesym.launch.analyses.directory import read_config
from widesym.launch.errors import RunDirectoryError
from widesym.launch.integrity.run import examine
from widesym.launch.runs.directory import SCHEMA
from widesym.launch.runs.run import Run
from widesym.launch.runs.stored import StoredRun
from widesym.launch.training.execution import Execution, run_ensemble

FIRST = ("config", "versions", "git_commit", "device")  # what config.json held at schema 1
RUN = Run(CONV, TrainingRecipe(0.1), 3, 5, (0, 1, 4), TRAIN, (TEST,), randomness="shared")  # as all were


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A finished run as the first version left it: no schema, no digests, no sums in the store, nothing in the lock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "CHECKED", "auto")
        path = trained(tmp_path_factory.mktemp("first") / "run", kept=2, randomness="shared")
    content = json.loads((path / "config.json").read_text())
    del content["config"]["randomness"]
    (path / "config.json").write_text(json.dumps({name: content[name] for name in FIRST}))
    content = json.loads((path / "finished.json").read_text())
    del content["sha256"]
    (path / "finished.json").write_text(json.dumps(content))
    assert '"checksum": false' in (path / "logits.zarr" / "logits" / "zarr.json").read_text()
    return path


def test_a_first_run_is_read_and_examined(first, tmp_path):
    assert StoredRun(first).record == RUN.record
    found = examine(first)
    assert not found.damaged
    assert {check.file: check.detail for check in found.checks if check.status != "ok"} == {
        "finished.json": "has no digests, as of earlier versions: bytes that changed may go unseen"
    }
    path = shutil.copytree(first, tmp_path / "run")
    (path / "finished.json").unlink()
    assert "started again it goes on at step 4 of 4" in examine(path).state  # by which command is not known


def test_a_first_run_is_analysed(first, tmp_path, command):
    trained(tmp_path / "now")
    code, _, _ = command("analyze", str(first), "now", "--output", "out")
    assert code == 0
    assert (tmp_path / "out" / "tables" / "divergence.csv").exists()


def test_a_first_run_is_resumed(first, tmp_path):
    """Its store without sums stays what it is, and the end is the same."""
    path, console = shutil.copytree(first, tmp_path / "run"), Console(record=True, width=200)
    (path / "finished.json").unlink()
    shutil.rmtree(path / "checkpoints" / "4")
    before = (path / "config.json").read_bytes()
    run_ensemble(RUN, path, console, Execution(Strategy(1)))
    assert "resuming at step 1 of 4" in console.export_text()
    assert (path / "config.json").read_bytes() == before
    for name, logits in read_logits(first / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(path / "logits.zarr")[name], logits)
    assert {check.status for check in examine(path).checks} == {"ok"}


def test_a_newer_directory_is_refused_by_whoever_reads_it(first, tmp_path):
    path = shutil.copytree(first, tmp_path / "run")
    (path / "tables").mkdir()  # as an analysis has them
    content = json.loads((path / "config.json").read_text())
    (path / "config.json").write_text(json.dumps(content | {"schema": SCHEMA + 1}))
    said = re.escape(
        f"{path / 'config.json'} was made by a newer widesym (schema {SCHEMA + 1}, this one reads up to {SCHEMA}); "
        "upgrade widesym, or"
    )
    with pytest.raises(RunDirectoryError, match=said):
        StoredRun(path)
    with pytest.raises(RunDirectoryError, match=said):
        read_config(path)
    with pytest.raises(RunDirectoryError, match=said):
        run_ensemble(RUN, path, Console(quiet=True), Execution(Strategy(1)))


def test_stores_have_sums_now(tmp_path):
    """Without, most flipped bits are read as other numbers."""
    path = trained(tmp_path / "run")
    file = path / "logits.zarr" / "logits" / "c.0.0.0.0"
    content = file.read_bytes()
    for bit in np.random.default_rng(0).integers(8 * len(content), size=20):
        changed = bytearray(content)
        changed[bit // 8] ^= 1 << bit % 8
        file.write_bytes(changed)
        with xr.open_zarr(path / "logits.zarr") as store, pytest.raises(RuntimeError):
            store.logits.load()
