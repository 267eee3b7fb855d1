"""Files for `train`, `sweep` and `kernel` that take the fields of another one."""

import json
from pathlib import Path

import pytest
import yaml

from tests.support.small_configs import SMALL, created
from widesym.launch.commands.train import plan_of_file
from widesym.launch.runs.paths import RunPaths
from widesym.launch.sweep.config import points_of, read_sweep
from widesym.launch.training.based import read_based

OWN = "base: folder/middle.yaml\nrecipe.learning_rate: 0.5\narchitecture.layers.1.features: 6\nrecord_steps: [0, 2]\n"
# What SMALL is with these changes, and those of middle.yaml, by hand: wholes go, parts stay, steps make way.
WHOLE = yaml.safe_load(SMALL) | {
    "members": 3,
    "record_steps": [0, 2],
    "recipe": {"learning_rate": 0.5, "augmentation": {"type": "NoAugmentation"}},
}
WHOLE["architecture"]["layers"][1]["features"] = 6
del WHOLE["steps"], WHOLE["records"]


@pytest.fixture
def chain(tmp_path):
    """Three files, each based on the next: that of this folder, one in a folder below, and that one's in this."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "small.yaml").write_text(SMALL)
    (tmp_path / "folder" / "middle.yaml").write_text(
        "base: ../small.yaml\nmembers: 3\nrecipe.learning_rate: 7\nrecipe.augmentation: {type: NoAugmentation}\n"
    )
    (tmp_path / "run.yaml").write_text(OWN)
    (tmp_path / "whole.yaml").write_text(yaml.safe_dump(WHOLE))
    return tmp_path


def test_fields_of_the_base_are_taken_but_for_those_of_the_file(chain):
    assert read_based(chain / "run.yaml") == WHOLE


def test_what_is_stored_has_no_base(chain, command):
    assert command("train", "run.yaml")[0] == 0
    stored = json.loads(RunPaths(Path("runs/run")).config.read_text())["config"]
    expected = plan_of_file(chain / "whole.yaml", {}, chain / "elsewhere").run.config
    assert stored == json.loads(json.dumps(expected))


def test_options_come_last(chain, command):
    said = command("train", "run.yaml", "--dry-run", "--recipe.learning-rate", "0.25", "--steps", "4")[1]
    assert "learning_rate: 0.25" in said
    assert "record_steps: [0, 2]" not in said


@pytest.mark.parametrize(
    ("base", "changes"),
    [("run.yaml", {}), ({"base": "run.yaml"}, {}), ({"base": "folder/middle.yaml"}, yaml.safe_load(OWN))],
    ids=["path", "fields with a base", "fields of their own"],
)
def test_bases_of_sweeps_have_bases(chain, base, changes):
    own = {name: value for name, value in changes.items() if name != "base"}
    base = base if isinstance(base, str) else base | own
    (chain / "sweep.yaml").write_text(yaml.safe_dump({"base": base, "product": {"seed": [4]}}))
    sweep = read_sweep(chain / "sweep.yaml", {}, {})
    assert sweep.base == WHOLE
    assert [point.config.seed for point in points_of(sweep, "sweep")] == [4]


def test_kernels_of_a_base(tmp_path):
    (tmp_path / "small.yaml").write_text("architecture: mlp\ndata: {type: Digits, train: 20, test: 10}\ndraws: 2\n")
    (tmp_path / "run.yaml").write_text("base: small.yaml\ndata.train: 12\n")
    found = read_based(tmp_path / "run.yaml")
    assert found == {"architecture": "mlp", "data": {"type": "Digits", "train": 12, "test": 10}, "draws": 2}


ON_RUN = "base: run.yaml\n"
CYCLE = "run.yaml, base: other.yaml, base: run.yaml is based on itself"


@pytest.mark.parametrize("word", ["train", "kernel", "sweep"])
@pytest.mark.parametrize(
    ("own", "other", "message"),
    [
        ("base: run.yaml\n", "", "run.yaml is based on itself"),
        ("base: other.yaml\n", ON_RUN, CYCLE),
        ("base: ./folder/../other.yaml\n", "base: ../here/run.yaml\n", "run.yaml is based on itself"),
        ("base: none.yaml\n", "", "run.yaml, base: none.yaml cannot be read: No such file"),
        ("base: other.yaml\n", "base: none.yaml\n", "run.yaml, base: other.yaml, base: none.yaml cannot be read"),
        ("base: other.yaml\n", "- 1\n", "run.yaml, base: other.yaml holds list, not fields"),
        ("base: other.yaml\n", "base: 3\n", "other.yaml: base is 3; it must be the path of a file"),
        ("base: other.yaml\n1: 2\n", "members: 3\n", "run.yaml: 1 is no field"),
        ("base: other.yaml\nmembers.1: 2\n", "members: 3\n", "run.yaml: members.1 cannot be set: members is 3"),
    ],
    ids=lambda value: value.strip().replace("\n", ";")[:24],
)
def test_what_cannot_be_a_base_is_named(command, tmp_path, monkeypatch, word, own, other, message):
    (tmp_path / "here" / "folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    Path("run.yaml").write_text(own)
    Path("other.yaml").write_text(other)
    asked = "run.yaml"
    if word == "sweep":
        asked = "sweep.yaml"
        Path(asked).write_text("base: run.yaml\n")
    code, _, error = command(word, asked)
    assert code == 2
    assert message in error
    assert created(Path()) == {"other.yaml", "folder"} | ({asked} if word == "sweep" else set())
