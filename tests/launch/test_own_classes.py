"""Layers, recipes and data of people's own: named by their modules, found again, and never imported unasked."""

import json
import re

import numpy as np
import pytest

from tests.support.own_classes import NAME, forgotten, times_imported, written
from widesym.ensembles import TrainingRecipe
from widesym.ensembles.randomness import member_digests
from widesym.ensembles.recorder import read_logits
from widesym.launch.analyses.directory import read_findings, read_tables
from widesym.launch.config.own import modules_named
from widesym.launch.errors import ConfigError
from widesym.launch.runs.stored import open_run
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.executors.base import Assignment
from widesym.launch.sweep.folder import StoredPlan
from widesym.launch.training.options import ExecutionOptions
from widesym.models import Architecture, Dense, Flatten
from widesym.models.description import describe, without_modules

TEXT = """
architecture: {{type: Architecture, layers: [{{type: Flatten}}, {{type: Dense, features: 4}}, {activation},
                                             {{type: Dense, features: 10}}]}}
data: digits
train: 12
test: 6
data_seed: 3
recipe: {{learning_rate: 0.1{recipe}}}
members: 6
steps: 4
records: 3
"""
OWN, THEIRS = f"{{type: '{NAME}:Softplus'}}", "{type: Elementwise, fn: jax.nn.softplus}"


@pytest.fixture
def own(tmp_path, monkeypatch):
    """The folder in which the module is, and commands are started."""
    written(tmp_path, monkeypatch)
    return tmp_path


def file(folder, name, activation=OWN, recipe=""):
    (folder / f"{name}.yaml").write_text(TEXT.format(activation=activation, recipe=recipe))
    return f"{name}.yaml"


@pytest.fixture
def trained(own, command, monkeypatch):
    """The directory of a run with a layer of one's own, as another process finds it."""
    code, _, error = command("train", file(own, "softplus"))
    assert (code, error) == (0, "")
    forgotten(monkeypatch)
    return own / "runs" / "softplus"


def stored_layers(path):
    return json.loads((path / "config.json").read_text())["config"]["architecture"]["layers"]


def test_files_name_classes_by_their_module(trained, own):
    assert times_imported(own) == 1
    assert [layer["type"] for layer in stored_layers(trained)] == ["Flatten", "Dense", f"{NAME}:Softplus", "Dense"]


@pytest.mark.parametrize("arguments", [("analyze", "runs/softplus"), ("status", "runs"), ("doctor", "runs")])
def test_reading_a_run_imports_nothing(trained, own, command, arguments):
    before = times_imported(own)
    code, text, error = command(*arguments)
    assert (code, error) == (0, "")
    assert "softplus" in text
    assert times_imported(own) == before


def test_analyses_without_the_classes_say_what_is_stored(trained, own, command):
    assert command("analyze", "runs/softplus")[0] == 0
    output = own / "runs" / "analysis-softplus"
    logits = read_logits(trained / "logits.zarr")["test"]
    means = read_tables(output)["mean_logits"]["mean"].sel(run="softplus")
    np.testing.assert_allclose(means[:, -6:], logits.mean(1), rtol=1e-5, atol=1e-6)  # float32 sums of six
    described = json.loads((output / "runs.json").read_text())[0]
    assert f"Dense(w_std=1.0, b_std=0.0, features=4), {NAME}:Softplus(nodes=" in described["architecture"]


def test_theory_takes_the_class_and_says_what_to_type(trained, own, command):
    code, _, error = command("analyze", "runs/softplus", "--theory")
    assert code == 2
    assert f"layers[2].type '{NAME}:Softplus' is somebody's own" in error
    assert f"give --import {NAME}, or in Python open_run(path, modules=('{NAME}',))" in error
    assert times_imported(own) == 1
    assert not (own / "runs" / "analysis-softplus").exists()
    with pytest.raises(ConfigError, match="somebody's own"):
        _ = open_run(trained).architecture


def test_theory_of_ones_own_is_that_of_the_same_function(trained, own, command):
    """As an Elementwise layer, whose function is found by its name; both kernels are integrals of one function."""
    assert command("train", file(own, "elementwise", THEIRS))[0] == 0
    code, _, error = command("analyze", "runs", "--theory", "--import", NAME)
    assert (code, error) == (0, "")
    theory = read_tables(own / "runs" / "analysis")["mean_logits"].theory_mean
    assert float(np.abs(theory).max()) > 0.01
    np.testing.assert_array_equal(theory.sel(run="softplus"), theory.sel(run="elementwise"))


def test_a_run_is_trained_once_more_with_its_module(trained, own, command):
    code, _, error = command("train", str(trained / "config.json"), "--output", "again")
    assert code == 2
    assert f"give --import {NAME}" in error
    assert not (own / "again").exists()
    code, _, error = command("train", str(trained / "config.json"), "--output", "again", "--import", NAME)
    assert (code, error) == (0, "")
    for name, logits in read_logits(trained / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(own / "again" / "logits.zarr")[name], logits)


def test_empirical_kernels_take_the_module(trained, own, command):
    code, _, error = command("ntk", "runs/softplus", "--samples", "3")
    assert code == 2
    assert f"give --import {NAME}" in error
    assert not (trained / "ntk").exists()
    code, _, error = command("ntk", "runs/softplus", "--samples", "3", "--import", NAME)
    assert (code, error) == (0, "")
    assert (trained / "ntk" / "ntk.zarr").exists()


def rewritten(path, old, new):
    text = (path / "config.json").read_text()
    assert text.count(old) == 1
    (path / "config.json").write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ("named", "message"),
    [("Softplus", "'Softplus' is unknown"), ("__main__:Softplus", "belongs to a script or a notebook")],
)
def test_runs_of_earlier_versions_and_of_scripts_name_no_module(trained, own, command, named, message):
    """They are analysed, are built where their module is named, among others, and go on in their directory."""
    rewritten(trained, f"{NAME}:Softplus", named)
    assert command("analyze", "runs/softplus")[0] == 0
    code, _, error = command("analyze", "runs/softplus", "--theory", "--output", "theory")
    assert code == 2
    assert message in error
    assert "--import MODULE" in error
    imports = ("--import", "json", "--import", NAME)
    assert command("analyze", "runs/softplus", "--theory", "--output", "theory", *imports)[0] == 0
    code, text, _ = command("train", "softplus.yaml")
    assert (code, "finished, 6 members found" in text) == (0, True)


def test_orbits_of_ones_own_are_left_out_and_that_is_said(own, command):
    """Nobody knows how targets move on them."""
    assert command("train", file(own, "run", "{type: Relu}"), "--orbit", "{type: FullOrbit, group: C4}")[0] == 0
    assert command("analyze", "runs/run", "--output", "whole")[0] == 0
    assert "equivariance" in read_tables(own / "whole")
    rewritten(own / "runs" / "run", '"orbit": {\n      "type": "FullOrbit"', '"orbit": {\n      "type": "mine:Orbit"')
    assert command("analyze", "runs/run", "--output", "rest")[0] == 0
    assert "equivariance" not in read_tables(own / "rest")
    (said,) = [each for each in read_findings(own / "rest") if each.what == "run: orbits"]
    assert said.status == "warning"
    assert "left out: " in said.detail
    assert "--import mine" in said.detail
    for name in ("mean_logits", "training"):
        assert read_tables(own / "rest")[name].equals(read_tables(own / "whole")[name])


def test_everything_in_a_recipe_may_be_ones_own(own, command):
    """Optimizer, source and policy: the same numbers as of this package's classes that compute the same."""
    recipe = f", optimizer: {{type: '{NAME}:Halved'}}, augmentation: {NAME}.unchanged"
    text = (own / file(own, "own", "{type: Relu}", recipe)).read_text()
    source = f"data: {{type: '{NAME}:Few', count: 12}}"
    (own / "own.yaml").write_text(text.replace("data: digits\ntrain: 12\ntest: 6\ndata_seed: 3", source))
    file(own, "usual", "{type: Relu}")
    for name, rate in (("own", "0.1"), ("usual", "0.05")):
        options = ("--randomness", "shared", "--recipe.learning-rate", rate)
        code, _, error = command("train", f"{name}.yaml", *options)
        assert (code, error) == (0, "")
    found, expected = (read_logits(own / "runs" / name / "logits.zarr")["test"] for name in ("own", "usual"))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)  # 0.1 / 2 and 0.05 round alike, or by an ulp


def test_sweeps_and_their_workers_find_the_module(own, command, monkeypatch):
    text = "base:\n" + "\n".join("  " + line for line in (own / file(own, "one")).read_text().splitlines())
    (own / "many.yaml").write_text(text + "\nproduct: {seed: [0, 1]}\nmembers_a_job: 3\n")
    code, text, error = command("sweep", "many.yaml")
    assert (code, error) == (0, "")
    assert "2 of 2 runs finished" in text
    forgotten(monkeypatch)
    directory = own / "runs" / "many"
    job = next((directory / "jobs").glob("*.json")).stem
    code, _, error = command("work", str(directory), job)
    assert code == 2
    assert f"give --import {NAME}" in error
    assert command("work", str(directory), job, "--import", NAME)[0] == 0


def test_workers_are_told_the_modules():
    plan = StoredPlan({}, {}, "own")
    given = Assignment(SweepDirectory("out", ("a.b", "c")), plan, (), ExecutionOptions(), None)
    assert given.arguments == [*ExecutionOptions().arguments, "--import", "a.b", "--import", "c"]


def test_kernels_of_ones_own(own, command):
    layers = f"[{{type: Flatten}}, {{type: Dense, features: 2}}, {OWN}, {{type: Dense, features: 1}}]"
    text = f"architecture: {{type: Architecture, layers: {layers}}}\ndata: digits\ntrain: 9\ntest: 3\n"
    (own / "k.yaml").write_text(text)
    code, text, error = command("kernel", "k.yaml")
    assert (code, error) == (0, "")
    assert "NTK, 9 training inputs: accuracy" in text


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ("nowhere_at_all:Softplus", "nowhere_at_all cannot be imported (ModuleNotFoundError: No module named"),
        (f"{NAME}:Softplos", f"there is no Softplos in .*{NAME}.py; did you mean Softplus?"),
        (f"{NAME}:Thawed", "it must be a class with @dataclass(frozen=True) above it"),
        (f"{NAME}:unchanged", "it must be a class with @dataclass(frozen=True) above it"),
        (f"{NAME}:Softplus, width: 3", "field 'width' is unknown"),
        ("__main__:Softplus", "belongs to a script or a notebook; move Softplus into a module"),
    ],
)
def test_names_that_lead_nowhere(own, command, named, message):
    first, _, rest = named.partition(",")
    file(own, "wrong", f"{{type: '{first}'{',' * bool(rest)}{rest}}}")
    code, _, error = command("train", "wrong.yaml")
    assert code == 2
    assert error.startswith("widesym: wrong.yaml, architecture, layers[2]")
    assert re.search(re.escape(message).replace(r"\.\*", ".*"), error), error
    assert not (own / "runs").exists()


@pytest.mark.parametrize("name", ["os.getcwd", "jax.debug.breakpoint", "sys.exit", f"{NAME}.unchanged"])
def test_functions_that_stored_runs_name_are_not_called(trained, name):
    """A function of one number is called, to see what it makes of it: of a stranger's choice none is."""
    text = (trained / "config.json").read_text()
    named = f'"type": "Elementwise", "fn": "{name}"'
    (trained / "config.json").write_text(text.replace(f'"type": "{NAME}:Softplus"', named))
    with pytest.raises(ConfigError, match=f"fn '{name}' is somebody's own"):
        _ = open_run(trained).architecture


def test_numbers_do_not_depend_on_where_a_class_is_defined(own, monkeypatch):
    """Nor on the version: those before named classes alone, and runs of theirs go on with the same random numbers."""
    monkeypatch.syspath_prepend(own)
    softplus = __import__(NAME).Softplus()
    architecture = Architecture((Flatten(), Dense(3), softplus, Dense(1)))
    description = describe(architecture)
    assert description["layers"][2]["type"] == f"{NAME}:Softplus"
    assert without_modules(description)["layers"][2] == {"type": "Softplus", "nodes": softplus.nodes}
    recipe = TrainingRecipe(0.1)
    assert member_digests(architecture, recipe, "x") == member_digests(without_modules(description), recipe, "x")


def test_modules_that_a_file_names():
    content = {
        "architecture.layers.0.type": ["a:One", "Dense"],
        "base": {"layers": [{"type": "b.c:Two"}, {"fn": "d.three"}], "recipe.augmentation": "e.four", "data": "x:y"},
    }
    assert modules_named(content) == ("a", "b.c", "d", "e")
