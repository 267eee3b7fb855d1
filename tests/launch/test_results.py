"""What runs of a sweep have come to, side by side: values of the stores, at a step that all have."""

import csv
import io
import json

import numpy as np
import pytest
import xarray as xr
import zarr
from rich.console import Console
from test_sweep import swept

from tests.support.stored_runs import trained
from tests.support.sweeps import runs_by_changes, sweep_file
from widesym.analysis.estimators.means import FEWEST
from widesym.ensembles import Sgd, TrainingRecipe
from widesym.launch.analyses.directory import read_tables
from widesym.launch.commands.results import ResultsCommand
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.sweep.changes import describe_changes
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.gather import gather
from widesym.launch.sweep.labels import labels_of

RATES = {"recipe.learning_rate": [0.1, 0.2]}


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """Two rates, folded into one job, by two lengths: steps 0, 1, 2, 6 and 0, 1, 2, 4 are recorded."""
    folder = tmp_path_factory.mktemp("done")
    points = [{"record_steps": [0, 1, 2, 6]}, {"record_steps": [0, 1, 2, 4]}]
    swept(sweep_file(folder, product=RATES, points=points), folder / "out")
    return folder / "out"


def printed(path, width=80, **options):
    console = Console(file=io.StringIO(), width=width)
    ResultsCommand(path, **options).run(console)
    return console.file.getvalue()


def as_json(path, **options):
    return json.loads(printed(path, json=True, **options))


def medians(path, step):
    """Of the store, by NumPy."""
    with xr.open_zarr(path / "logits.zarr") as store:
        at = store.isel(time=store.step.values.tolist().index(step))
        return [float(np.median(at[name].values)) for name in ("loss", "accuracy", "gradient_norm")]


def test_rows_are_what_the_stores_hold_at_the_last_common_step(done):
    runs = runs_by_changes(done)
    rows = as_json(done)
    assert len(rows) == len(runs) == 4
    for (rate, steps), path in runs.items():
        (row,) = [row for row in rows if row["run"] == path.name]
        assert (row["learning_rate"], row["record_steps"]) == (float(rate), json.loads(steps))
        assert row["label"] == f"learning_rate={rate}, record_steps={steps}"
        assert (row["step"], row["state"], row["members"], row["healthy_members"]) == (2, "finished", 3, 3)
        assert row["time"] == pytest.approx(2 * float(rate), rel=1e-12)
        assert [row[f"median_{name}"] for name in ("loss", "accuracy", "gradient_norm")] == medians(path, 2)
        of_file = next(each for each in read_metrics(path / "metrics.csv") if each["step"] == "2")
        assert {name: float(value) for name, value in of_file.items()}.items() <= row.items()


def test_csv_has_the_same_rows_as_json(done):
    found = list(csv.DictReader(io.StringIO(printed(done, csv=True))))
    expected = as_json(done)
    assert [*found[0]] == [*expected[0]]
    for row, other in zip(found, expected, strict=True):
        assert row.pop("record_steps") == json.dumps(other.pop("record_steps"))
        assert row == {name: "" if value is None else str(value) for name, value in other.items()}


def test_another_step_shows_who_has_it(done):
    rows = as_json(done, step=6)
    assert [(row["step"], row["median_loss"] is None) for row in rows] == [(6, False), (None, True)] * 2
    said = printed(done, step=6)
    assert "At step 6" in said
    assert "2 of 4 runs have no record of step 6" in said
    said = printed(done)
    assert "At step 2" in said
    assert (
        "4 of 4 runs have recorded later steps, up to 6; learning_rate=0.1, record_steps=[0, 1, 2, 4] ends at 4" in said
    )


def test_the_table_is_whole_on_80_columns(done):
    """Numbers are not broken; nothing is wider."""
    lines = printed(done).splitlines()
    assert max(map(len, lines[:-1])) <= 80  # the last is a sentence, for the terminal to wrap
    loss, _, gradient = medians(runs_by_changes(done)["0.1", "[0, 1, 2, 6]"], 2)
    assert any(f"{loss:.4g}" in line and f"{gradient:.4g}" in line and "finished" in line for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--step", "3"], "--step is 3, which no run has recorded; they have recorded 0, 1, 2, 4, 6"),
        (["--csv", "--json"], "--csv and --json were both asked for; take one"),
    ],
)
def test_bad_input_exits_with_2(done, command, arguments, message):
    code, _, error = command("results", str(done), *arguments)
    assert code == 2
    assert message in error


def test_where_nothing_is_recorded_that_is_told(tmp_path, command):
    code, _, error = command("results", "none")
    assert (code, "there is no directory none" in error) == (2, True)
    trained(tmp_path / "one")
    store = zarr.open_group(tmp_path / "one" / "logits.zarr", mode="r+", use_consolidated=False)
    store["recorded"][:] = False
    code, _, error = command("results", "one")
    assert (code, "none of the 1 runs has recorded anything yet" in error) == (2, True)


def test_no_step_in_common_is_told(tmp_path, command):
    points = [{"record_steps": [1]}, {"record_steps": [2]}]
    swept(sweep_file(tmp_path, points=points), tmp_path / "out")
    code, _, error = command("results", "out")
    assert (code, "the 2 runs have no recorded step in common; they end at 1, 2" in error) == (2, True)


def test_members_with_rates_of_their_own_are_rows_of_their_own(tmp_path):
    """Of any run directory: the members of each rate, by NumPy; not one median of all."""
    path = trained(tmp_path / "run", recipe=TrainingRecipe((0.1, 0.2, 0.1), Sgd((0.5, 0.0, 0.5))))
    rows = as_json(path)
    assert [row["label"] for row in rows] == [
        "run: learning_rate=0.1, momentum=0.5",
        "run: learning_rate=0.2, momentum=0.0",
    ]
    with xr.open_zarr(path / "logits.zarr") as store:
        losses = store.loss.values[2]
    assert [row["median_loss"] for row in rows] == [float(np.median(losses[[0, 2]])), float(losses[1])]
    assert [row["learning_rate"] for row in rows] == [0.1, 0.2]
    assert [row["time"] for row in rows] == pytest.approx([0.4, 0.8], rel=1e-12)
    of_file = read_metrics(path / "metrics.csv")[-2:]
    assert [row["train_loss_mean"] for row in rows] == [float(row["train_loss_mean"]) for row in of_file]


def test_rows_of_earlier_versions_are_not_taken_for_those_of_a_rate(tmp_path):
    """Their metrics.csv has one row, of all members, which is of none of these groups."""
    path = trained(tmp_path / "run", recipe=TrainingRecipe((0.1, 0.2, 0.1)))
    (path / "metrics.csv").write_text("step,healthy_members,train_loss_mean\n0,3,0.5\n1,3,0.25\n4,3,0.125\n")
    rows = as_json(path)
    assert [(row["learning_rate"], row["time"], "train_loss_mean" in row) for row in rows] == [
        (0.1, None, False),
        (0.2, None, False),
    ]


def test_sick_members_are_counted_and_left_out(tmp_path):
    path = trained(tmp_path / "run")
    store = zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)
    store["healthy"][2, 1] = False
    (row,) = as_json(path)
    assert (row["members"], row["healthy_members"]) == (3, 2)
    assert row["median_loss"] == float(np.median(store["loss"][2][[0, 2]]))
    assert "2 of 3" in printed(path)


def test_members_still_in_parts_are_found_there(tmp_path, monkeypatch):
    """Folded with others, or split: the numbers are those of the runs once they are put together."""
    from widesym.launch.sweep import launcher, plan, worker

    for module in (launcher, plan, worker):
        monkeypatch.setattr(module, "gather", lambda *_: {})
    points = [{"members": 2}, {"members": 7}]
    file = sweep_file(tmp_path, product=RATES, points=points, members_a_job=4)
    swept(file, tmp_path / "out", code=1)
    early = as_json(tmp_path / "out")
    assert [(row["state"], row["step"], row["healthy_members"]) for row in early] == [
        ("stale", 6, n) for n in (2, 7) * 2
    ]
    assert not (tmp_path / "out" / "runs").exists()
    assert gather(SweepDirectory(tmp_path / "out")) == {}
    late = as_json(tmp_path / "out")
    for row, other in zip(early, late, strict=True):
        assert row["healthy_members"] == other["healthy_members"]
        for name in ("run", "median_loss", "median_accuracy", "median_gradient_norm"):
            assert row[name] == other[name]
    assert {row["state"] for row in late} == {"finished"}


def test_labels_tell_fields_and_runs_apart():
    changes = {"architecture.layers.0.features": 4, "architecture.layers.2.features": 8, "recipe.learning_rate": 1}
    assert describe_changes(changes) == "0.features=4, 2.features=8, learning_rate=1"
    assert describe_changes({"features": 1, "a.features": 2}) == "features=1, a.features=2"
    long = {"recipe.augmentation": {"type": "FullOrbit", "group": "C4"}, "data": "a" * 40}
    runs = {"one": {"seed": 0, **long}, "two": {"seed": 1, **long}, "three": {}}
    labels = labels_of(runs)
    assert labels["one"].startswith("seed=0, augmentation=FullOrbit(C4), data=aaa")
    assert labels["three"] == "base"
    assert labels_of({"one": {"seed": 0, "x": 1}, "two": {"seed": 1, "x": 1}}) == {"one": "seed=0", "two": "seed=1"}
    ends = [{"data": "a" * 40 + end} for end in "xy"]  # which are cut
    one, two = labels_of(dict(zip(("one", "two"), ends, strict=True))).values()
    assert one.endswith("… (one)")
    assert two.endswith("… (two)")


def test_analyze_takes_a_sweep_and_calls_its_runs_by_what_it_varies(tmp_path, command):
    """A run that has recorded nothing is left out, and that is said; all goes into the sweep's directory."""
    base = {"members": FEWEST, "snapshots": []}
    file = sweep_file(tmp_path, base=base, product={"seed": [0, 1, 2]})
    swept(file, tmp_path / "out")
    gone = runs_by_changes(tmp_path / "out")["1",]
    gone.rename(tmp_path / "elsewhere")
    code, said, error = command("analyze", "out", "--reference", "seed=2")
    assert (code, error) == (0, "")
    assert "out: 1 runs are left out, which have recorded nothing by themselves yet: seed=1" in said
    tables = read_tables(tmp_path / "out" / "analysis")
    assert tables["mean_logits"].run.values.tolist() == ["seed=0", "seed=2"]
    assert tables["divergence"].run.values.tolist() == ["seed=0"]
    with xr.open_zarr(runs_by_changes(tmp_path / "out")["0",] / "logits.zarr") as store:
        mean = store.logits.values.mean(1)
    # means of float32 logits of size one in another order of summation
    found = tables["mean_logits"]["mean"].sel(run="seed=0")
    np.testing.assert_allclose(found.values, mean[:, : found.shape[1]], atol=1e-6)
    code, _, error = command("analyze", "out", str(tmp_path / "elsewhere"), "--output", "both")
    assert (code, error) == (0, "")
    assert read_tables(tmp_path / "both")["mean_logits"].run.values.tolist() == ["seed=2", "elsewhere", "seed=0"]
