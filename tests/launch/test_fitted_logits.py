"""Networks of the zoo take their number of logits from the data, and what is stored says which it is."""

import json

import numpy as np
import pytest
import yaml

from tests.support.stored_pictures import pictures
from tests.support.sweeps import runs_by_changes, sweep_file
from widesym.ensembles.data import CrossProduct, Dataset
from widesym.ensembles.recorder import read_logits
from widesym.launch.commands.train import plan_of_file
from widesym.launch.config.specs import made
from widesym.launch.training.config import TrainConfig, described
from widesym.models import LiftingConv, cyclic
from widesym.models.zoo import invariant_mlp

FILE = {
    "architecture": "mlp", "width": 8, "data": "three.npz", "train": 12, "test": 6, "recipe": {"learning_rate": 0.1},
    "members": 2, "steps": 2,
}  # fmt: skip
LAST = {"type": "Dense", "features": 10}


@pytest.fixture(autouse=True)
def three(tmp_path, monkeypatch):
    """A set of pictures of three classes, in the directory that commands run in."""
    monkeypatch.chdir(tmp_path)
    images, labels = pictures(30, (8, 8, 1), 0)
    np.savez(tmp_path / "three.npz", images=images, labels=labels)


def test_a_run_on_three_classes_has_three_logits_and_says_so(widesym, tmp_path):
    assert widesym(yaml.safe_dump(FILE), "run.yaml", "--output", "out")[0] == 0
    stored = json.loads((tmp_path / "out" / "config.json").read_text())["config"]
    assert stored["architecture"]["layers"][-1]["features"] == 3
    assert read_logits(tmp_path / "out" / "logits.zarr")["test"].shape[-1] == 3
    plan = plan_of_file(tmp_path / "run.yaml", {}, tmp_path / "out")  # what --dry-run prints
    assert plan.resolved["architecture"]["layers"][-1]["features"] == 3
    assert "width" not in plan.resolved
    # What is printed and what was typed are one run, which is there already.
    code, text, _ = widesym(yaml.safe_dump(plan.resolved), "run.yaml", "--output", "out")
    assert code == 0
    assert "out: finished, 2 members found" in text


def config(**changes):
    return made(TrainConfig, {**FILE, **changes}, "run.yaml")


@pytest.mark.parametrize(
    ("changes", "logits"),
    [
        ({"data": "digits"}, 10),
        ({"architecture": "cnn"}, 3),
        ({"architecture": "resnet"}, 3),
        ({"architecture": "orbit-averaged-mlp"}, 3),
        ({"architecture": "c4-gcnn", "group": "D4"}, 3),
        ({"data": "ising"}, 1),
        ({"data": "toy"}, 1),
        ({"data": "cross-product"}, 3),
        ({"recipe": {"learning_rate": 0.1, "loss": {"type": "CrossEntropy"}}}, 3),
    ],
    ids=str,
)
def test_logits_are_as_many_as_classes_or_values(changes, logits):
    run = config(**changes).run()
    run.check()
    assert run.layout.logits == logits == run.data[1].shape[1]


def test_the_rest_of_the_file_holds():
    run = config(architecture="c4-gcnn", group="D4", width=6).run()
    lifting = run.architecture.layers[0]
    assert isinstance(lifting, LiftingConv)
    assert (lifting.features, str(lifting.group)) == (6, "D4")
    assert config(group="C2", architecture="c4-gcnn").network.layers[0].group == cyclic(2)
    train = CrossProduct(20, 5).load().train
    found = config(architecture="invariant-mlp", width=None).fitted(train)
    assert (found.architecture, found.width) == (invariant_mlp(512, 3), None)
    assert made(TrainConfig, described(found), "again") == found == found.fitted(train)


def test_numbers_that_are_given_and_do_not_fit_are_refused_with_both(widesym):
    layers = [{"type": "Flatten"}, {"type": "Dense", "features": 8}, {"type": "Relu"}, LAST]
    given = {**FILE, "architecture": {"type": "Architecture", "layers": layers}}
    code, _, error = widesym(yaml.safe_dump({name: given[name] for name in given if name != "width"}), "run.yaml")
    assert code == 2
    assert "run.yaml: targets have shape (12, 3); for 12 inputs (at least one is needed) and this" in error
    assert "logits it must be (12, 10)" in error


def test_data_without_labels_or_values_are_refused():
    data = Dataset("noise", np.ones((4, 8, 8, 1), "f"), None, (), "made")
    with pytest.raises(ValueError, match="noise: there are neither labels nor values to make targets of"):
        config().fitted(data)


def test_a_sweep_over_data_sets_fits_each(tmp_path, command):
    base = {**FILE, "ood": [], "snapshots": [], "records": 2}
    path = sweep_file(tmp_path, base=base, product={"data": ["digits", "three.npz"], "width": [4, 8]})
    assert command("sweep", str(path), "--output", "out")[0] == 0
    found = runs_by_changes(tmp_path / "out")
    assert len(found) == 4
    for (data, width), run in found.items():
        stored = json.loads((run / "config.json").read_text())["config"]["architecture"]["layers"]
        assert [layer["features"] for layer in stored if layer["type"] == "Dense"] == [
            *[int(width)] * 2,
            10 if data == "digits" else 3,
        ]
    for job in (tmp_path / "out" / "jobs").glob("*.json"):  # workers are told, and need not find out
        assert isinstance(json.loads(job.read_text())["config"]["architecture"], dict)
