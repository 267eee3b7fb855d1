"""Sweeps: each run once, whatever jobs have trained it, and with the numbers of `widesym train`."""

import io
import json
import shutil

import numpy as np
import pytest
import xarray as xr
import zarr
from rich.console import Console

from tests.support.sweeps import SMALL, plan_of, runs_by_changes, sweep_file
from widesym.ensembles.recorder import read_logits
from widesym.launch.commands.sweep import SweepCommand
from widesym.launch.commands.train import TrainCommand
from widesym.launch.integrity.files import check_finished
from widesym.launch.integrity.run import examine
from widesym.launch.runs.metrics import read_metrics

CONSOLE = Console(file=io.StringIO(), width=200)


def swept(file, output, code=0, **options):
    """Carry out a sweep here; what it says."""
    console = Console(file=io.StringIO(), width=200)
    with pytest.raises(SystemExit) as left:
        SweepCommand(file, output, **options).run(console)
    assert left.value.code == code, console.file.getvalue()
    return console.file.getvalue()


def arrays_of(path):
    """Everything in the store of a run, by name."""
    group = zarr.open_group(path / "logits.zarr", mode="r")
    return {name: np.asarray(group[name]) for name in group.array_keys()}


def assert_same_run(found, expected, equal=np.testing.assert_array_equal):
    """Configuration, data, and every array of the store and column of metrics: bit for bit, of the same jobs."""
    one, other = (json.loads((path / "config.json").read_text())["config"] for path in (found, expected))
    assert one == other
    ours, theirs = ({**arrays_of(path), **columns_of(path)} for path in (found, expected))
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        equal(ours[name], values)
    assert {file.name for file in (found / "data").iterdir()} == {file.name for file in (expected / "data").iterdir()}
    assert not examine(found).damaged


def columns_of(path):
    """Those of metrics.csv, by name; fields that are empty are none."""
    rows = read_metrics(path / "metrics.csv")
    return {f"metrics: {name}": np.array([float(row[name] or "nan") for row in rows]) for name in rows[0]}


def assert_close(found, expected):
    """To float32's rounding, after a few steps on numbers of size one: jobs of other members are other programs."""
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The runs of two learning rates and two seeds, each trained by itself, one member at once."""
    folder = tmp_path_factory.mktemp("alone")
    file = sweep_file(folder, product={"recipe.learning_rate": [0.1, 0.2], "seed": [0, 1]}, members_a_job=3)
    swept(file, folder / "out")
    return runs_by_changes(folder / "out")


def test_runs_of_a_sweep_are_those_of_train(alone, tmp_path):
    """Also in their names: the digest of the configuration."""
    file = tmp_path / "one.json"
    file.write_text(json.dumps(SMALL["base"] | {"seed": 1, "members": 3}))
    TrainCommand(file, tmp_path / "run").run(CONSOLE)
    found = json.loads((alone["0.1", "1"] / "config.json").read_text())["config"]
    assert found == json.loads((tmp_path / "run" / "config.json").read_text())["config"]
    for name, logits in read_logits(tmp_path / "run" / "logits.zarr").items():
        # Three members at once here, unless the trial says otherwise: float32 rounding of a few dozen terms.
        np.testing.assert_allclose(read_logits(alone["0.1", "1"] / "logits.zarr")[name], logits, rtol=1e-5, atol=1e-6)
    assert len({path.name for path in alone.values()}) == 4


@pytest.mark.parametrize("most", [None, 6, 2, 1], ids=["folded", "two a job", "ranges", "single members"])
def test_how_members_are_cut_into_jobs_leaves_no_trace(alone, tmp_path, most):
    """Folded into one ensemble a seed, or split into ranges: to rounding the runs alone."""
    file = sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2], "seed": [0, 1]}, members_a_job=most)
    swept(file, tmp_path / "out")
    assert len(plan_of(tmp_path / "out")["jobs"]) == {None: 2, 6: 2, 2: 8, 1: 12}[most]
    found = runs_by_changes(tmp_path / "out")
    assert {key: path.name for key, path in found.items()} == {key: path.name for key, path in alone.items()}
    for key, path in found.items():
        assert_same_run(path, alone[key], assert_close)
        assert [check.status for check in check_finished(path, ())] == ["ok"]
    assert not list((tmp_path / "out" / "parts").iterdir())


def test_numbers_of_the_optimizer_are_folded_too(tmp_path):
    """Also where members had numbers of their own before."""
    points = [
        {"recipe.optimizer": {"type": "Sgd", "momentum": 0.5}},
        {"recipe.optimizer": {"type": "Sgd", "momentum": [0.1, 0.2, 0.3]}, "recipe.learning_rate": [0.1, 0.2, 0.3]},
        {"recipe.optimizer": {"type": "Sgd", "weight_decay": 0.1}, "members": 2},
    ]
    folded = sweep_file(tmp_path, "folded", points=points)
    single = sweep_file(tmp_path, "single", points=points, members_a_job=3)
    swept(folded, tmp_path / "folded")
    swept(single, tmp_path / "single")
    assert len(plan_of(tmp_path / "folded", "folded")["jobs"]) == 1
    assert len(plan_of(tmp_path / "single", "single")["jobs"]) == 3
    for run in plan_of(tmp_path / "single", "single")["runs"]:
        assert_same_run(tmp_path / "folded" / "runs" / run, tmp_path / "single" / "runs" / run, assert_close)


def test_what_differs_otherwise_is_not_folded(tmp_path):
    """Nesterov's is another kind of momentum; steps, data and policies are not members' either."""
    points = [
        {"recipe.optimizer": {"type": "Sgd", "momentum": 0.5}},
        {"recipe.optimizer": {"type": "Sgd", "momentum": 0.5, "nesterov": True}},
        {"steps": 5},
        {"train": 13},
        {"recipe.augmentation": {"type": "NoAugmentation"}},
        {"recipe.augmentation": {"type": "NoAugmentation"}, "recipe.learning_rate": 0.3},
    ]
    SweepCommand(sweep_file(tmp_path, points=points), tmp_path / "out", dry_run=True).run(CONSOLE)
    swept(sweep_file(tmp_path, points=points), tmp_path / "out")
    assert sorted(map(len, plan_of(tmp_path / "out")["jobs"].values())) == [1, 1, 1, 1, 2]


def test_what_is_finished_is_not_run_again(alone, tmp_path, monkeypatch):
    """Not by the same sweep, nor by a larger one, nor by another with runs in common."""
    output = tmp_path / "out"
    shutil.copytree(next(iter(alone.values())).parents[1], output)
    before = {path: path.stat().st_mtime_ns for path in (output / "runs").rglob("*") if path.is_file()}
    swept(sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2], "seed": [0, 1]}), output)
    said = swept(sweep_file(tmp_path, "more", product={"recipe.learning_rate": [0.2, 0.3], "seed": [1]}), output)
    assert "2 runs, 1 finished, 1 jobs to do" in said
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert len(list((output / "runs").iterdir())) == 5


def test_the_same_run_twice_is_one(tmp_path):
    file = sweep_file(tmp_path, points=[{"seed": 0}, {"recipe.learning_rate": 0.1}, {}])
    assert "1 runs, 0 finished, 1 jobs" in swept(file, tmp_path / "out")


def test_the_config_of_a_run_reproduces_it(alone, tmp_path):
    """To rounding also of runs that were put together from parts."""
    file = sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2]})
    swept(file, tmp_path / "out")
    for path in runs_by_changes(tmp_path / "out").values():
        TrainCommand(path / "config.json", tmp_path / path.name).run(CONSOLE)
        with xr.open_zarr(tmp_path / path.name / "logits.zarr") as again, xr.open_zarr(path / "logits.zarr") as first:
            assert_close(again.logits.values, first.logits.values)


def test_a_run_that_was_begun_alone_goes_on_alone(alone, tmp_path):
    """Though it would be folded with others now."""
    output = tmp_path / "out"
    shutil.copytree(next(iter(alone.values())).parents[1], output)
    begun = output / "runs" / alone["0.1", "0"].name
    (begun / "finished.json").unlink()
    shutil.rmtree(output / "runs" / alone["0.2", "0"].name)
    shutil.rmtree(output / "runs" / alone["0.2", "1"].name)
    swept(sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2], "seed": [0, 1]}), output)
    jobs = plan_of(output)["jobs"]
    assert [begun.name] in jobs.values()
    assert len(jobs) == 3
    assert_same_run(begun, alone["0.1", "0"])
