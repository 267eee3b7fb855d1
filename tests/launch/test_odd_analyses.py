"""`widesym analyze` of runs that are damaged, few, many, oddly named or hard to draw: a message, or tables, always."""

import io
import json
import re
import shutil
from dataclasses import replace

import pytest
from rich.console import Console

from tests.support.stored_runs import TEST, TRAIN
from widesym.ensembles import Strategy, TrainingRecipe
from widesym.launch.analyses.analyze import standing
from widesym.launch.analyses.directory import read_tables
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Dense, Flatten, Relu


def damaged(path, pattern, content=b"no"):
    for file in path.glob(pattern):
        if file.is_file():
            file.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: damaged(path, "logits.zarr/logits/c.*"), "bad: .*logits.zarr cannot be read"),
        (
            lambda path: (path / "logits.zarr/logits/c.0.0.0.0").unlink(),
            "bad: logits of member 0 at time index 0 are not",
        ),
        (lambda path: damaged(path, "logits.zarr/loss/c.*"), "logits.zarr cannot be read"),
        (lambda path: damaged(path, "logits.zarr/step/c.*"), "logits.zarr cannot be read"),
        (lambda path: damaged(path, "logits.zarr/zarr.json", b'{"zarr_format":3,"node_type":"group"}'), "logits.zarr"),
        (lambda path: shutil.rmtree(path / "data"), "keeps no data"),
    ],
    ids=["logits", "logits gone", "loss", "steps", "names of sets", "no data"],
)
def test_damaged_runs_are_named(command, small, tmp_path, damage, message):
    damage(shutil.copytree(small / "one", tmp_path / "bad"))
    code, _, error = command("analyze", "bad", str(small / "one"), "--output", "out")
    assert code == 2
    assert re.search(message, error), error
    assert not (tmp_path / "out" / "tables").exists()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Runs of tiny networks, with a set of black pictures and one of a single picture."""
    folder = tmp_path_factory.mktemp("small")
    blank = replace(TEST, name="blank", labels=None, classes=(), inputs=0 * TEST.inputs)
    one, other = (
        replace(TEST, name=name, labels=None, classes=(), inputs=TEST.inputs[:count])
        for name, count in (("a/b $x_ü", 1), ("a-b $x_ü", 2))
    )
    for name, members in (("one", 6), ("two", 2)):
        arch = Architecture((Flatten(), Dense(4, w_std=2**0.5), Relu(), Dense(10)))
        run = Run(arch, TrainingRecipe(0.5), members, 1, (4,), TRAIN, (blank, one, other))
        run_ensemble(run, folder / name, Console(quiet=True), Execution(Strategy(1)))
    return folder


def test_sets_that_are_zero_odd_names_and_a_single_time(command, small, tmp_path):
    path = shutil.copytree(small / "one", tmp_path / "_$ü [b]")
    code, _, error = command("analyze", str(path), str(small / "two"), "--theory", "--output", "out")
    assert (code, error) == (0, "")
    tables, console = read_tables(tmp_path / "out"), Console(record=True, width=200, file=io.StringIO())
    console.print(standing(tables))
    assert "_$ü [b]" in console.export_text()  # not taken for markup
    assert tables["theory"].run.values.tolist() == ["two", "_$ü [b]"]
    assert tables["theory"].evaluation_set.values.tolist() == ["train", "blank", "a/b $x_ü", "a-b $x_ü"]
    assert tables["divergence"].attrs["reference"] == "_$ü [b]"
    captions = json.loads((tmp_path / "out" / "figures" / "captions.json").read_text())
    assert {"theory", "calibration", "mean-logits-a-b--x_ü", "mean-logits-a-b--x_ü-2", "inputs"} <= set(captions)
    findings = {each["what"]: each["detail"] for each in json.loads((tmp_path / "out" / "health.json").read_text())}
    agreement = json.loads((tmp_path / "out" / "agreement.json").read_text())
    found = {(each["what"], each["evaluation_set"]): each["verdict"] for each in agreement}
    assert found["_$ü [b] and theory", "blank"] == "the same"  # no member says anything of blank pictures
    assert found["two and theory", "a/b $x_ü"] == found["two and _$ü [b]", "a/b $x_ü"] == "not known"
    assert findings["two: spread"] == "2 members: no interval, no z score; these take 5"


def test_tables_of_more_runs_than_a_figure_shows(command, small, tmp_path):
    for number in range(7):
        shutil.copytree(small / "one", tmp_path / "many" / f"run{number}")
    code, printed, error = command("analyze", "many")
    assert (code, error) == (0, "")
    assert "figure training is not drawn: there are 7 runs; a figure shows 1 to 6" in printed
    output = tmp_path / "many" / "analysis"
    assert read_tables(output)["mean_logits"].sizes["run"] == 7
    findings = {each["what"]: each["detail"] for each in json.loads((output / "health.json").read_text())}
    assert findings["figure training"].startswith("not drawn: there are 7 runs")
    assert not (output / "figures" / "training.png").exists()
    assert (output / "figures" / "divergence-train.png").exists()  # of the six that are not the reference


def test_output_is_beside_the_runs_however_they_are_named(command, small, tmp_path, monkeypatch):
    for name in ("one", "two"):
        shutil.copytree(small / name, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path / "runs" / "one")
    code, _, error = command("analyze", ".", str(tmp_path / "runs" / "two"))
    assert (code, error) == (0, "")
    assert read_tables(tmp_path / "runs" / "analysis")["mean_logits"].run.values.tolist() == ["two", "one"]
    assert not (tmp_path / "runs" / "one" / "analysis").exists()


def test_files_of_others_are_left_alone(command, small, tmp_path):
    (tmp_path / "mine" / "figures").mkdir(parents=True)
    (tmp_path / "mine" / "figures" / "own.png").write_text("mine")
    code, _, error = command("analyze", str(small / "one"), "--output", "mine")
    assert code == 2
    assert "mine is no analysis and holds other files (figures)" in error
    code, _, _ = command("analyze", str(small / "one"), "--output", "out")
    for name in ("notes.txt", "own.png"):
        (tmp_path / "out" / "figures" / name).write_text("mine")
    for name in ("theory.nc", "theory.csv"):
        (tmp_path / "out" / "tables" / name).write_text("of an earlier analysis")
    (tmp_path / "out" / "figures" / "theory.png").write_text("of an earlier analysis")
    captions = tmp_path / "out" / "figures" / "captions.json"
    captions.write_text(json.dumps(json.loads(captions.read_text()) | {"theory": "earlier"}))
    code, _, _ = command("analyze", str(small / "one"), "--output", "out")
    assert code == 0
    left = {path.name for path in (tmp_path / "out").rglob("*")}
    assert {"notes.txt", "own.png"} <= left
    assert not {"theory.nc", "theory.csv", "theory.png"} & left


def test_a_full_disk_is_said_and_the_analysis_goes_on_from_it(command, small, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("widesym.launch.analyses.analyze.write_figures", full)
        code, _, error = command("analyze", str(small / "one"), "--output", "out")
    assert code == 2
    assert "No space left on device" in error
    code, _, _ = command("analyze", str(small / "one"), "--output", "out")
    assert code == 0
    assert (tmp_path / "out" / "figures" / "training.png").exists()
