"""`widesym analyze` of runs of one seed: paired where they share random numbers, and everything says so."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from tests.support.stored_runs import TEST, TRAIN
from widesym.ensembles import FullOrbit, Strategy, TrainingRecipe
from widesym.ensembles.recorder import read_logits
from widesym.launch.analyses import analyze
from widesym.launch.analyses.directory import read_tables
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Conv, Dense, Flatten, GroupPool, LiftingConv, Relu, cyclic

C4, STEPS = cyclic(4), (0, 2)
HIDDEN = {"size": 8, "padding": "VALID", "w_std": 2**0.5}
CNN = Architecture((Conv(4, **HIDDEN), Relu(), Flatten(), Dense(10, w_std=0.5)))
GCNN = Architecture((LiftingConv(C4, 4, **HIDDEN), Relu(), GroupPool(), Dense(10, w_std=0.5)))
DESCENT = TrainingRecipe(0.5)
AUGMENTED = replace(DESCENT, augmentation=FullOrbit(C4))
OF = {"augmented": (CNN, AUGMENTED, 10), "gcnn": (GCNN, DESCENT, 10)}


def trained(path, architecture, recipe, members, seed=0, randomness="shared", numbers=None):
    run = Run(architecture, recipe, members, seed, STEPS, TRAIN, (TEST,), randomness=randomness, member_numbers=numbers)
    run_ensemble(run, path, Console(quiet=True), Execution(Strategy(1)))
    return path


def as_earlier(path):
    """Have a run's directory say what versions did that knew no randomness."""
    file = path / "config.json"
    content = json.loads(file.read_text())
    assert content["config"].pop("randomness") == "shared"
    file.write_text(json.dumps(content | {"schema": 2}))
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shared")
    for name, run in OF.items():
        trained(folder / name, *run)
    return folder


@pytest.fixture(scope="module")
def earlier(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("earlier")
    for name in OF:
        as_earlier(shutil.copytree(shared / name, folder / name))
    return folder


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    for name, run in OF.items():
        trained(folder / name, *run, randomness="own")
    return folder


@pytest.fixture
def analysed(command, monkeypatch):
    """Tables, findings by what they are of, and what is printed, of runs held against the group-CNNs."""

    def analyse(folder, *arguments, output="out", drawn=False):
        if not drawn:  # figures take most of the time
            monkeypatch.setattr(analyze, "figures_of", lambda tables, inputs: ({}, {}))
        code, printed, error = command("analyze", str(folder), "--reference", "gcnn", "--output", output, *arguments)
        assert code == 0, error
        findings = {each["what"]: each for each in json.loads((Path(output) / "health.json").read_text())}
        return read_tables(Path(output)), findings, printed

    return analyse


def test_runs_of_earlier_versions_and_one_seed_are_paired(analysed, command, earlier, tmp_path):
    """With the numbers of NumPy on the stored logits."""
    tables, findings, printed = analysed(earlier, drawn=True)
    row = tables["divergence"].sel(run="augmented")
    assert str(row.pairing.values) == "paired"
    assert [int(row[name]) for name in ("pairs", "left_out", "reference_left_out")] == [10, 0, 0]
    a, b = (read_logits(earlier / name / "logits.zarr")["test"].astype(np.float64) for name in OF)
    d = a - b
    gap, noise = (d.mean(1) ** 2).sum(-1), d.var(1, ddof=1).sum(-1) / 10
    test = row.sel(evaluation_set="test")
    # Differences of float32 logits.
    np.testing.assert_allclose(test.divergence, np.sqrt(gap).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(test.noise_floor, np.sqrt(noise).mean(-1), rtol=1e-5)
    np.testing.assert_allclose(test.squared_divergence, (gap - noise).mean(-1), atol=1e-6)
    # The members depend on each other: as if independent the noise would be larger.
    assert (noise < 0.8 * (a.var(1, ddof=1).sum(-1) + b.var(1, ddof=1).sum(-1)) / 10).mean() > 0.9
    finding = findings["augmented and gcnn: paired"]
    assert finding["status"] == "warning"
    assert finding["detail"] == (
        "10 pairs of members that share their randomness: compared by their differences. They come from seed 0 alone, "
        "whatever the run; ensembles that are to be independent need seeds of their own"
    )
    assert "augmented test yes" in " ".join(printed.split())

    # And so do report, figures and CSV.
    code, _, _ = command("report", "out")
    assert code == 0
    page = (tmp_path / "out" / "report.html").read_text()
    assert "warning: augmented and gcnn: paired" in page
    assert "members are paired with those of augmented" in page
    with (tmp_path / "out" / "tables" / "divergence.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(row["pairing"], row["pairs"], row["left_out"]) for row in rows} == {("paired", "10", "0")}


def test_runs_that_were_asked_to_share_are_paired_without_a_warning(analysed, shared):
    tables, findings, _ = analysed(shared)
    assert str(tables["divergence"].pairing.sel(run="augmented").values) == "paired"
    assert findings["augmented and gcnn: paired"] == {
        "what": "augmented and gcnn: paired",
        "status": "ok",
        "detail": "10 pairs of members that share their randomness: compared by their differences",
    }


def test_runs_with_randomness_of_their_own_are_independent_whatever_their_seeds(analysed, own):
    tables, findings, _ = analysed(own)
    row = tables["divergence"].sel(run="augmented", evaluation_set="test")
    assert str(row.pairing.values) == "independent"
    a, b = (read_logits(own / name / "logits.zarr")["test"].astype(np.float64) for name in OF)
    gap = np.linalg.norm(a.mean(1) - b.mean(1), axis=-1).mean(-1)
    floor = np.sqrt(a.var(1, ddof=1).sum(-1) / 10 + b.var(1, ddof=1).sum(-1) / 10).mean(-1)
    np.testing.assert_allclose(row.divergence, gap, rtol=1e-5)
    np.testing.assert_allclose(row.noise_floor, floor, rtol=1e-5)
    assert findings["augmented and gcnn: independent"]["status"] == "ok"


def test_runs_of_earlier_versions_and_other_seeds_are_independent(analysed, earlier, tmp_path):
    shutil.copytree(earlier / "gcnn", tmp_path / "both" / "gcnn")
    as_earlier(trained(tmp_path / "both" / "other", CNN, AUGMENTED, 10, seed=1))
    tables, findings, _ = analysed(tmp_path / "both")
    assert str(tables["divergence"].pairing.sel(run="other").values) == "independent"
    assert findings["other and gcnn: independent"]["status"] == "ok"


def test_parts_of_ensembles_are_paired_by_who_their_members_are(analysed, shared, tmp_path):
    """Members 5 to 11 of one beside 0 to 9 of the other; and 10 to 15, who are nobody of these."""
    shutil.copytree(shared / "gcnn", tmp_path / "of" / "gcnn")
    trained(tmp_path / "of" / "some", CNN, AUGMENTED, 7, numbers=tuple(range(5, 12)))
    trained(tmp_path / "of" / "others", CNN, AUGMENTED, 6, numbers=tuple(range(10, 16)))
    tables, findings, _ = analysed(tmp_path / "of")
    row = tables["divergence"]
    assert row.pairing.sel(run=["some", "others"]).values.tolist() == ["paired", "independent"]
    a, b = (read_logits(tmp_path / "of" / name / "logits.zarr")["test"][-1] for name in ("some", "gcnn"))
    expected = np.linalg.norm((a[:5] - b[5:]).mean(0, dtype=np.float64), axis=-1).mean()
    np.testing.assert_allclose(row.divergence.sel(run="some", evaluation_set="test")[-1], expected, rtol=1e-5)
    finding = findings["some and gcnn: paired"]
    assert finding["status"] == "warning"
    assert finding["detail"].endswith(
        "members that have no partner in the other are left out of this comparison: 2 of some and 5 of gcnn"
    )


def test_widths_of_one_seed_have_exponents_that_know_it(analysed, shared, own, tmp_path):
    wide = replace(GCNN, layers=(replace(GCNN.layers[0], features=8), *GCNN.layers[1:]))
    trained(tmp_path / "shared" / "wide", wide, DESCENT, 10)
    shutil.copytree(tmp_path / "shared" / "wide", tmp_path / "independent" / "wide")
    for folder, narrow in (("shared", shared), ("independent", own)):
        shutil.copytree(narrow / "gcnn", tmp_path / folder / "gcnn")
        tables, _, _ = analysed(tmp_path / folder, "--theory", output=f"out-{folder}")
        assert set(tables["widths"].randomness.values) == {folder}


def test_an_ensemble_that_holds_a_member_twice_is_refused(command, shared, tmp_path):
    file = shutil.copytree(shared / "gcnn", tmp_path / "twice") / "config.json"
    content = json.loads(file.read_text())
    content["config"]["member_numbers"] = [4, 2, 4, *range(10, 17)]
    file.write_text(json.dumps(content))
    code, _, error = command("analyze", "twice", str(shared / "gcnn"), "--theory", "--output", "out")
    assert code == 2
    assert "twice holds member 4 more than once, and members of one number are not independent" in error
    assert not (tmp_path / "out").exists()


def test_what_is_said_of_runs_has_their_randomness(shared):
    described = analyze.summary("gcnn", runs_in([shared / "gcnn"])["gcnn"])
    assert (described["seed"], described["randomness"]) == (0, "shared")
