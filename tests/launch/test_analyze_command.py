"""`widesym analyze` and `widesym plot`: what they leave behind, what they refuse, what is not computed twice."""

import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr
from matplotlib.image import imread
from rich.console import Console

from tests.support.figure_files import drawn_figures
from tests.support.stored_runs import TEST, TRAIN
from widesym.ensembles import Adam, FullOrbit, Strategy, TrainingRecipe
from widesym.ensembles.recorder import read_logits
from widesym.launch.analyses import analyze
from widesym.launch.analyses.directory import read_tables
from widesym.launch.analyses.files import frame_of
from widesym.launch.analyses.options import AnalysisOptions
from widesym.launch.commands.analyze import AnalyzeCommand
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import (
    Architecture,
    Conv,
    Dense,
    Flatten,
    GroupPool,
    LiftingConv,
    MaxPool,
    Relu,
    cyclic,
    group_counterpart,
)

C4, STEPS, RATE = cyclic(4), (0, 1, 4), 2.0
HIDDEN = {"size": 8, "padding": "VALID", "w_std": 2**0.5}
CNN = Architecture((Conv(4, **HIDDEN), Relu(), Flatten(), Dense(10, w_std=0.5)))
GCNN = Architecture((LiftingConv(C4, 4, **HIDDEN), Relu(), GroupPool(), Dense(10, w_std=0.5)))
POOLED = Architecture((Conv(4, 3), Relu(), MaxPool(2), Flatten(), Dense(10)))
NOISE = replace(TEST, name="noise", labels=None, classes=(), inputs=-TEST.inputs)
DESCENT = TrainingRecipe(RATE)


def trained(path, architecture=CNN, recipe=DESCENT, members=6, seed=5):
    run = Run(architecture, recipe, members, seed, STEPS, TRAIN, (TEST, NOISE), FullOrbit(C4))
    run_ensemble(run, path, Console(quiet=True), Execution(Strategy(1)))
    return path


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    trained(folder / "augmented", recipe=replace(DESCENT, augmentation=FullOrbit(C4)))
    trained(folder / "gcnn", GCNN, members=7, seed=6)
    return folder


@pytest.fixture(scope="module")
def analysed(runs, tmp_path_factory):
    """The directory of an analysis with theory, and what was printed."""
    output, console = tmp_path_factory.mktemp("analysis") / "deep" / "analysis", Console(record=True, width=200)
    asked = AnalysisOptions(theory=True, reference="gcnn")
    with drawn_figures():
        AnalyzeCommand((runs,), asked, output=output).run(console)
    return output, console.export_text()


def test_tables_are_of_the_stored_logits(analysed, runs):
    tables = read_tables(analysed[0])
    assert set(tables) == {
        *("divergence", "divergence_by_size", "theory", "calibration", "mean_logits"),
        *("equivariance", "equivariance_by_size", "training"),
    }
    a, b = (read_logits(runs / name / "logits.zarr")["noise"] for name in ("augmented", "gcnn"))
    expected = np.linalg.norm(a.mean(1) - b.mean(1), axis=-1).mean(-1)
    found = tables["divergence"].divergence.sel(run="augmented", evaluation_set="noise")
    np.testing.assert_allclose(found, expected, rtol=1e-5)  # float32 means
    np.testing.assert_allclose(found["time"], RATE * np.array(STEPS))
    np.testing.assert_array_equal(found.step, STEPS)
    assert tables["equivariance"].evaluation_set.values.tolist() == ["test", "noise"]


def test_theory_is_the_theorem(analysed):
    """Infinitely wide augmented CNNs have the group-CNNs' mean, which is invariant and not zero."""
    tables = read_tables(analysed[0])
    assert float(tables["theory"].scale.min()) > 0.01
    np.testing.assert_allclose(tables["divergence"].predicted_divergence, 0, atol=1e-6)
    np.testing.assert_allclose(tables["equivariance"].equivariance_error_mean.sel(run="gcnn"), 0, atol=1e-5)


def verdicts(output):
    return {
        (each["what"], each["evaluation_set"]): each for each in json.loads((output / "agreement.json").read_text())
    }


def test_theory_says_whether_the_networks_are_a_pair(tmp_path, command):
    """A group-CNN that pools over pixels is none for a CNN that flattens them; its counterpart is."""
    conv = {"size": 3, "stride": 1, "w_std": 2**0.5}
    pooled = Architecture((LiftingConv(C4, 2, **conv), Relu(), GroupPool(), Dense(10, w_std=0.5)))
    plain = Architecture((Conv(2, **conv), Relu(), Flatten(), Dense(10, w_std=0.5)))
    trained(tmp_path / "cnn", plain, replace(DESCENT, augmentation=FullOrbit(C4)))
    for number, (name, network) in enumerate({"pooled": pooled, "pair": group_counterpart(plain, C4)}.items()):
        trained(tmp_path / name, network, seed=6 + number)
        runs = (str(tmp_path / "cnn"), str(tmp_path / name))
        code, text, _ = command("analyze", *runs, "--theory", "--reference", "cnn", "--output", name + "-out")
        assert code == 0
        found = verdicts(tmp_path / (name + "-out"))
        said = {found[f"{name} and cnn in theory", of_set]["verdict"] for of_set in ("train", "test", "noise")}
        assert said == {"differ" if name == "pooled" else "the same"}
    largest = max(each["difference"] for (what, _), each in found.items() if what == "pair and cnn in theory")
    assert largest < 1e-4  # kernels in float32
    assert "pair and cnn in theory: the same on train (theory predicts one mean, to " in text


def test_csv_holds_the_tables_numbers(analysed):
    output, _ = analysed
    for name in ("divergence", "theory", "equivariance_by_size", "mean_logits"):
        table, frame = read_tables(output)[name], pd.read_csv(output / "tables" / f"{name}.csv")
        assert list(frame.columns) == list(frame_of(table).columns)
        pd.testing.assert_frame_equal(frame, frame_of(table).reset_index(drop=True), check_dtype=False, rtol=1e-12)
    frame = pd.read_csv(output / "tables" / "divergence.csv")
    low = read_tables(output)["divergence"].divergence_interval.sel(end="low")
    np.testing.assert_allclose(frame.divergence_interval_low, low.values.ravel())


def test_figures_and_findings_are_there(analysed, runs):
    output, printed = analysed
    captions = json.loads((output / "figures" / "captions.json").read_text())
    names = {path.stem for path in (output / "figures").glob("*.png")}
    assert all(imread(path).std() > 0.05 for path in (output / "figures").glob("*.png"))
    assert names == set(captions) == {path.stem for path in (output / "figures").glob("*.pdf")}
    sets = ("train", "test", "noise")
    assert {f"divergence-{of_set}" for of_set in sets} | {f"mean-logits-{of_set}" for of_set in sets} <= names
    assert {"theory", "calibration", "equivariance", "osp-by-size", "training", "inputs"} <= names
    findings = {each["what"]: each for each in json.loads((output / "health.json").read_text())}
    assert findings["gcnn: members"] == {"what": "gcnn: members", "status": "ok", "detail": "all 7 members are finite"}
    assert findings["augmented: learning rate"]["status"] == "ok"
    assert not [what for what in findings if "theory" in what or "noise floor" in what]  # that is no health
    agreement = json.loads((output / "agreement.json").read_text())
    whats = ["augmented and gcnn", "augmented and gcnn in theory", "augmented and theory", "gcnn and theory"]
    assert [(each["what"], each["evaluation_set"]) for each in agreement] == [(a, b) for a in whats for b in sets]
    assert [
        line.partition(":")[0] for line in printed.splitlines() if " on noise (" in line or ", noise (" in line
    ] == whats
    described = json.loads((output / "runs.json").read_text())
    assert [(each["name"], each["members"], each["steps"]) for each in described] == [
        ("augmented", 6, 4),
        ("gcnn", 7, 4),
    ]
    assert described[0]["path"] == str(runs / "augmented")
    assert "what the members' scatter makes of the distance to theory" in " ".join(printed.split())
    assert not list(output.rglob("*.new"))


def test_kernels_are_computed_once_and_figures_redrawn(analysed, runs, command, monkeypatch):
    output, _ = analysed
    before = (output / "tables" / "theory.nc").read_bytes()
    monkeypatch.setattr("widesym.launch.kernels.gram._fill", None)  # computing one more would fail
    (output / "figures" / "theory.png").unlink()
    code, text, _ = command("analyze", str(runs), "--theory", "--reference", "gcnn", "--output", str(output))
    assert code == 0
    assert "kernels found" in text
    assert (output / "tables" / "theory.nc").read_bytes() == before
    (output / "figures" / "theory.png").unlink()
    monkeypatch.setattr(analyze, "compare", None)
    code, text, _ = command("plot", str(output))
    assert code == 0
    assert (output / "figures" / "theory.png").exists()


def test_two_widths_are_a_series(runs, tmp_path, command):
    wide = replace(GCNN, layers=(replace(GCNN.layers[0], features=8), *GCNN.layers[1:]))
    trained(tmp_path / "wide", wide, members=8)
    code, _, _ = command("analyze", str(runs / "gcnn"), str(tmp_path / "wide"), "--theory", "--output", "out")
    assert code == 0
    tables = read_tables(tmp_path / "out")
    np.testing.assert_array_equal(tables["widths"].width, [4, 8])
    for index, name in enumerate(("gcnn", "wide")):
        row = tables["theory"].isel(time=-1).sel(run=name, evaluation_set="noise")
        found = tables["widths"].isel(
            series=list(tables["widths"].series.values).index("noise: gcnn, wide"), width=index
        )
        np.testing.assert_allclose(found.squared_bias, row.squared_bias, rtol=1e-9)
    assert (tmp_path / "out" / "figures" / "widths.png").exists()


def test_one_member_is_said_to_have_no_spread(runs, tmp_path, command):
    trained(tmp_path / "one", members=1)
    code, _, _ = command("analyze", str(tmp_path / "one"), str(runs / "gcnn"), "--output", "out")
    assert code == 0
    findings = {each["what"]: each for each in json.loads((tmp_path / "out" / "health.json").read_text())}
    assert findings["one: spread"]["status"] == "warning"
    assert "one member" in findings["one: spread"]["detail"]


def test_a_run_that_did_not_finish_is_read_as_far_as_it_came(runs, tmp_path, command):
    path = shutil.copytree(runs / "augmented", tmp_path / "killed")
    (path / "finished.json").unlink()
    store = zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)
    store["recorded"][2] = False
    code, _, _ = command("analyze", "killed", str(runs / "gcnn"), "--output", "out")
    assert code == 0
    np.testing.assert_array_equal(read_tables(tmp_path / "out")["divergence"].step, [0, 1])
    findings = {each["what"]: each["detail"] for each in json.loads((tmp_path / "out" / "health.json").read_text())}
    assert findings["killed: not finished"] == "recorded to step 1 of 4; start it again, and it goes on"


def spoil(path, member):
    store = zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)
    store["healthy"][2, member] = False
    logits = store["logits"][2]
    logits[member] = np.nan
    store["logits"][2] = logits


def test_sick_members_are_refused_or_left_out(runs, tmp_path, command):
    spoil(shutil.copytree(runs / "augmented", tmp_path / "sick"), 3)
    with xr.open_zarr(tmp_path / "sick" / "logits.zarr") as store:
        assert not store.healthy.values.all()
    code, _, error = command("analyze", "sick", "--output", "out")
    assert code == 2
    assert "1 of 6 members" in error
    assert "sick='exclude'" in error
    code, _, _ = command("analyze", "sick", "--sick", "exclude", "--output", "out")
    assert code == 0
    findings = {each["what"]: each for each in json.loads((tmp_path / "out" / "health.json").read_text())}
    assert findings["sick: members"]["detail"] == "1 of 6 left out: members 3"
    assert read_tables(tmp_path / "out")["mean_logits"].members.values.tolist() == [5]
    with xr.open_zarr(tmp_path / "sick" / "logits.zarr") as store:
        loss = np.delete(store.loss.values, 3, axis=1)
    np.testing.assert_allclose(read_tables(tmp_path / "out")["training"].loss[0, 1:], np.median(loss[1:], axis=1))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": POOLED}, ".*MaxPool.*Leave --theory out"),
        ({"recipe": TrainingRecipe(0.01, Adam())}, "there is no prediction for optimizer Adam.*Leave --theory out"),
        ({"recipe": TrainingRecipe(50.0), "members": 1}, "learning rate is 50.*descent converges between 0 and"),
    ],
    ids=["no closed form", "Adam", "too large a rate"],
)
def test_theory_is_refused_where_there_is_none(tmp_path, command, changes, message):
    path = trained(tmp_path / "other", **changes)
    code, _, error = command("analyze", str(path), "--theory", "--output", "out")
    assert code == 2
    assert re.search(f"other: {message}", error)
    assert {path.name for path in (tmp_path / "out").glob("*")} <= {".lock", "theory"}  # in nobody's way


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "no RUN is named"),
        ("none", "there is no directory none"),
        ("run --reference cnn", "there is no run named 'cnn'; there are run"),
        ("run --draws 3", "--draws is 3; 95 % intervals need at least 20"),
        ("run --memory 0", "--memory is 0"),
        ("run --seed -1", "--seed is -1"),
        ("run --output taken", "taken"),
        ("run run", "run is named twice"),
    ],
)
def test_bad_input_exits_with_2(command, runs, tmp_path, arguments, message):
    (tmp_path / "run").symlink_to(runs / "gcnn")
    (tmp_path / "taken").write_text("mine")
    code, _, error = command("analyze", *arguments.split())
    assert code == 2
    assert message in error
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "cache") == ["run", "taken"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: shutil.rmtree(path), "there is no directory"),
        (lambda path: shutil.rmtree(path / "tables"), "is not the directory of an analysis"),
        (lambda path: (path / "tables" / "theory.nc").write_bytes(b"CDF"), "theory.nc cannot be read ("),
        (lambda path: (path / "data" / "0.npz").write_bytes(b"PK"), "0.npz holds no data set that can be read"),
    ],
    ids=["absent", "no tables", "damaged table", "damaged inputs"],
)
def test_plot_says_what_is_wrong(command, analysed, tmp_path, damage, message):
    path = shutil.copytree(analysed[0], tmp_path / "copy", ignore=shutil.ignore_patterns("theory", ".lock"))
    damage(path)
    code, _, error = command("plot", "copy")
    assert code == 2
    assert message in error
