"""Runs that are being written: read as far as they are recorded, whole, by one look, and said to be unfinished."""

import json
import shutil
import threading

import numpy as np
import pytest
import zarr

from tests.support.stored_runs import CONV, TEST, TRAIN, trained
from widesym.ensembles import TrainingRecipe
from widesym.ensembles.recorder import SickMembersError, create_store, write_record
from widesym.launch.analyses.directory import read_tables
from widesym.launch.analyses.findings import findings
from widesym.launch.analyses.matching import match
from widesym.launch.runs.data import write_sets
from widesym.launch.runs.directory import claim, holder
from widesym.launch.runs.logits import stored_logits
from widesym.launch.runs.run import Run
from widesym.launch.runs.stored import StoredRun
from widesym.launch.sweep.recorded import Recorded


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("runs") / "done")


def test_a_run_that_is_being_written_is_read_as_far_as_it_is_recorded(done, tmp_path, command):
    """Numbers that are not vouched for yet are not read; the writer keeps its directory, and goes on."""
    path = shutil.copytree(done, tmp_path / "running")
    (path / "finished.json").unlink()
    store = zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)
    store["recorded"][2] = False
    store["logits"][2] = np.nan
    store["healthy"][2] = False
    config = json.loads((path / "config.json").read_text())["config"]
    with claim(path, config):
        by = holder(path)
        code, _, error = command("analyze", "running", str(done), "--output", "out")
        assert (code, error) == (0, "")
        assert holder(path) == by
    table = read_tables(tmp_path / "out")["mean_logits"]
    np.testing.assert_array_equal(table.step, [0, 1])
    means = store["logits"][:2].mean(axis=1)[:, : table.sizes["sample"]]
    # means of float32 logits of size one in another order of summation
    np.testing.assert_allclose(table["mean"].sel(run="running"), means, atol=1e-6)
    findings = {each["what"]: each for each in json.loads((tmp_path / "out" / "health.json").read_text())}
    detail = f"read to step 1 of 4, still being written by {by}; analyze it again to see the rest"
    assert findings["running: not finished"] == {
        "what": "running: not finished",
        "status": "warning",
        "detail": detail,
    }


def test_what_is_recorded_or_finished_meanwhile_is_not_mixed_in(done, tmp_path):
    """A run is what it was when it was opened: its later record, of a sick member, does not count, and is told of."""
    path = shutil.copytree(done, tmp_path / "running")
    store = zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)
    store["recorded"][2] = False
    run = StoredRun(path)
    store["healthy"][2, 0] = False
    store["recorded"][2] = True
    matched = match({"running": run}, "refuse")
    assert matched.times.steps == (0, 1)
    assert matched.kept["running"].tolist() == list(range(3))
    detail = next(each.detail for each in findings(matched, []) if each.what == "running: not finished")
    assert detail == "read to step 1 of 4, finished since; analyze it again to see the rest"
    with pytest.raises(SickMembersError):
        match({"running": StoredRun(path)}, "refuse")


def test_records_are_never_read_half_written(tmp_path):
    """A thread adds records, one after the other, and does so again and again; whatever is recorded is whole."""
    values = np.random.default_rng(0).standard_normal((8, 3, 12, 10)).astype("f")
    run = Run(CONV, TrainingRecipe(0.1), 3, 5, tuple(range(8)), TRAIN, (TEST,))
    with claim(tmp_path, run.config):
        write_sets(tmp_path, run.sets)
    seen, ended = set(), threading.Event()

    def write():
        for _ in range(10):
            for position in range(8):
                write_record(tmp_path / "logits.zarr", position, {"logits": values[position]}, np.ones(3, bool))
        ended.set()

    create_store(tmp_path / "logits.zarr", run.layout)
    writer = threading.Thread(target=write)
    writer.start()
    while not ended.is_set() or 7 not in seen:
        recorded = Recorded.of(tmp_path)
        if recorded.steps:
            logits = stored_logits(tmp_path)
            seen |= {*recorded.steps}
            for step in recorded.steps:
                np.testing.assert_array_equal(logits[step], values[step])
                assert recorded.members_at(step).healthy.all()
    writer.join()
    assert seen >= {7}
