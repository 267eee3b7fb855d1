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
from widesym.launch.analyses.directory import read_tables
from widesym.launch.analyses.output import label_of
from widesym.launch.analyses.results_table import results_table
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
    console.print(results_table(tables))
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
    found = read_tables(tmp_path / "runs" / "analysis-one+two")
    assert found["mean_logits"].run.values.tolist() == ["two", "one"]
    assert not list((tmp_path / "runs" / "one").glob("analysis*"))


@pytest.fixture
def beside(small, tmp_path, monkeypatch):
    """The two runs in a folder of their own, in which commands are started."""
    for name in ("one", "two"):
        shutil.copytree(small / name, tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path / "runs")
    return tmp_path / "runs"


def test_analyses_of_other_runs_go_elsewhere(command, beside):
    for runs, output in ((["one"], "analysis-one"), (["two", "one"], "analysis-two+one"), (["."], "analysis")):
        code, text, error = command("analyze", *runs)
        assert (code, error) == (0, "")
        assert f"written: {beside / output};" in text
    code, _, _ = command("analyze", "two", "--output", "analysis-one")
    assert code == 2  # which has that name by chance


def test_directories_of_earlier_versions_go_on(command, beside):
    """They are all called `analysis`; of other runs, or otherwise asked, they are left alone."""
    assert command("analyze", "one", "--output", "analysis")[0] == 0
    before = (beside / "analysis" / "config.json").read_bytes()
    assert command("analyze", "one")[0] == 0
    assert {path.name for path in beside.iterdir()} == {"one", "two", "analysis"}
    assert command("analyze", "one", "--draws", "30")[0] == 0
    assert command("analyze", "two")[0] == 0
    assert {path.name for path in beside.glob("analysis*")} == {"analysis", "analysis-one", "analysis-two"}
    assert (beside / "analysis" / "config.json").read_bytes() == before


def test_another_analysis_is_replaced_on_request_alone(command, beside):
    assert command("analyze", "one", "two", "--theory", "--output", "out")[0] == 0
    assert command("report", "out")[0] == 0
    (beside / "out" / "tables" / "notes.txt").write_text("mine")
    code, _, error = command("analyze", "two", "--draws", "30", "--output", "out")
    assert code == 2
    assert "out holds another analysis:" in error
    assert "draws: 200 on disk, 30 asked for" in error
    assert "--overwrite replaces it; or name another directory with --output" in error
    assert len(error) < 500
    kernels = {path.name for path in (beside / "out" / "theory").iterdir()}
    code, _, error = command("analyze", "two", "--draws", "30", "--output", "out", "--overwrite")
    assert (code, error) == (0, "")
    assert read_tables(beside / "out")["mean_logits"].run.values.tolist() == ["two"]
    left = {str(path.relative_to(beside / "out")) for path in (beside / "out").rglob("*")}
    assert "tables/notes.txt" in left
    assert not {"tables/theory.nc", "tables/divergence.csv", "figures/theory.png", "report.html"} & left
    assert {path.name for path in (beside / "out" / "theory").iterdir()} == kernels


def test_an_analysis_that_fails_does_not_replace_another(command, beside):
    assert command("analyze", "one", "--output", "out")[0] == 0
    before = {path: path.read_bytes() for path in (beside / "out").rglob("*") if path.is_file()}
    code, _, _ = command("analyze", "one", "two", "--reference", "three", "--output", "out", "--overwrite")
    assert code == 2
    assert {path: path.read_bytes() for path in (beside / "out").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("there", "message"),
    [
        ("run", "is of something else than an analysis, and --overwrite replaces no more than that"),
        ("of another program", "config.json is not a run's configuration"),
        ("pictures", "is no analysis and holds other files"),
    ],
)
def test_nothing_but_analyses_is_replaced(command, beside, there, message):
    (beside / "out").mkdir()
    if there == "run":
        shutil.copytree(beside / "two", beside / "out", dirs_exist_ok=True)
    else:
        (beside / "out" / ("picture.png" if there == "pictures" else "config.json")).write_text("{}")
    before = {path: path.read_bytes() for path in (beside / "out").rglob("*") if path.is_file()}
    code, _, error = command("analyze", "one", "--output", "out", "--overwrite")
    assert code == 2
    assert message in error
    assert {path: path.read_bytes() for path in (beside / "out").rglob("*") if path.is_file()} == before


def test_kernels_of_an_analysis_that_failed_are_in_nobodys_way(command, beside):
    kernel = beside / "out" / "theory" / "kernel-0123456789ab"
    kernel.mkdir(parents=True)
    assert command("analyze", "one", "--output", "out")[0] == 0
    assert kernel.exists()
    (beside / "other" / "theory").mkdir(parents=True)
    (beside / "other" / "theory" / "mine.txt").write_text("mine")
    code, _, error = command("analyze", "one", "--output", "other")
    assert code == 2
    assert "other is no analysis and holds other files (theory)" in error


def test_names_of_analyses_are_short_and_different():
    assert label_of(["cnn", "gcnn"]) == "cnn+gcnn"
    assert label_of(["ü.5=3"]) == "ü.5=3"
    many = [f"run{number}" for number in range(1000)]
    assert re.fullmatch(r"run0\+(run\d\+)+\d+-more\+[0-9a-f]{8}", label_of(many))
    assert re.fullmatch(r"x{48}\+1-more\+[0-9a-f]{8}", label_of(["x" * 500, "y"]))
    found = [label_of(names) for names in (["a/b"], ["a-b"], ["a b"], many, many[::-1], ["x" * 500], ["x" * 499])]
    assert len(set(found)) == len(found)
    assert max(map(len, found)) <= 48 + len("+1000-more+12345678")


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
