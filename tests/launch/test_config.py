"""Configuration files: what `describe` writes is read back, and what is wrong is named with its place."""

import json
from dataclasses import dataclass

import pytest
import yaml

from ensembles.data import SETS, Digits, Npz
from launch.config import ConfigError, architecture_of, built, read_config, source_of
from models import Architecture, Conv, GroupConv, Relu, cyclic, dihedral
from models.description import describe
from models.zoo import MODELS


@dataclass(frozen=True)
class Settings:
    architecture: object
    steps: int = 3

    def __post_init__(self):
        if self.steps < 1:
            raise ValueError(f"steps is {self.steps}; it must be at least 1")


def write(path, text):
    path.write_text(text)
    return path


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_every_architecture_of_the_zoo_is_read_back(model):
    architecture = model.make(model.width)
    assert built(yaml.safe_load(yaml.safe_dump(describe(architecture))), "here") == architecture
    assert architecture_of(model.name) == architecture == architecture_of(architecture)


@pytest.mark.parametrize("name", SETS)
def test_every_named_source_is_read_back(name):
    source = SETS[name].source
    assert built(json.loads(json.dumps(describe(source))), "here") == source == source_of(name) == source_of(source)


def test_a_file_is_read_with_short_forms(tmp_path):
    text = """
    steps: 7
    architecture:
      type: Architecture
      layers:
        - {type: LiftingConv, group: C4, features: 8, size: 3}
        - type: Relu
        - {type: GroupConv, group: D4, features: 8, size: 3}
    """
    settings = read_config(write(tmp_path / "run.yaml", text), Settings)
    assert settings.steps == 7
    assert [getattr(layer, "group", None) for layer in settings.architecture.layers] == [cyclic(4), None, dihedral(4)]
    assert isinstance(settings.architecture.layers[1], Relu)
    assert isinstance(settings.architecture.layers[2], GroupConv)
    assert built({"type": "Npz", "path": "a.npz"}, "data") == Npz("a.npz")


LAYERS = "architecture: {type: Architecture, layers: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("steps: [", "is not YAML: while parsing"),
        ("just words", "holds str, not fields with values"),
        ("steps: 3", "lacks architecture"),
        ("architecture: cnn\nstep: 3", r"field 'step' is unknown; did you mean steps\?"),
        ("architecture: cnn\n7: 3", "field 7 is unknown; there are architecture, steps"),
        ("architecture: cnn\nsteps: 0", "steps is 0; it must be at least 1"),
        ("architecture: {layers: []}", "architecture has the fields layers but no type"),
        ("architecture: {type: Architectur}", r"architecture.type 'Architectur' is unknown; did you mean Architecture"),
        (LAYERS + "[{type: Cnv}]}", r"layers\[0\].type 'Cnv' is unknown; did you .*Conv"),
        (LAYERS + "[{type: Conv, features: 0, size: 3}]}", r"layers\[0\]: .*features"),
        (LAYERS + "[{type: Conv, size: 3}]}", r"layers\[0\] lacks features"),
        ("architecture: {type: GroupConv, group: E8, features: 1, size: 3}", "group is 'E8'; groups are C1, C2"),
        ("architecture: {type: [1]}", r"type \[1\] is unknown"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tmp_path, text, message):
    with pytest.raises(ConfigError, match=f"{tmp_path / 'run.yaml'}.*{message}"):
        read_config(write(tmp_path / "run.yaml", text), Settings)


def test_files_that_cannot_be_read_are_named(tmp_path):
    with pytest.raises(ConfigError, match=r"none.yaml cannot be read: No such file"):
        read_config(tmp_path / "none.yaml", Settings)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"bytes.yaml is not YAML"):
        read_config(tmp_path / "bytes.yaml", Settings)


def test_names_that_come_close_are_told():
    with pytest.raises(ConfigError, match=r"architecture 'c4-gcn' is unknown; did you mean c4-gcnn"):
        architecture_of("c4-gcn")
    with pytest.raises(ConfigError, match="data is 7; give a name"):
        source_of(7)
    assert source_of("digits") == Digits()
    assert architecture_of(Architecture((Conv(1, 3),))).layers == (Conv(1, 3),)
