"""Configuration files: what `describe` writes is read back, and what is wrong is named with its place."""

import json
from dataclasses import dataclass, field

import pytest
import yaml

from tests.support.small_configs import read_config
from widesym.ensembles import (
    Adam,
    Compose,
    Cosine,
    CrossEntropy,
    Exponential,
    FixedRotations,
    FullOrbit,
    IndependentDraws,
    Piecewise,
    RandomElement,
    Sgd,
    ShuffledEpochs,
    TrainingRecipe,
)
from widesym.ensembles.augmentation import Points, RegularSolid
from widesym.ensembles.data import SETS, Digits, Npz
from widesym.launch.config.snapshots import EmpiricalNtk, Parameters
from widesym.launch.config.specs import architecture_of, built, source_of
from widesym.launch.errors import ConfigError
from widesym.models import Architecture, Conv, GroupConv, Relu, cyclic, dihedral
from widesym.models.description import describe
from widesym.models.zoo import MODELS


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


def test_numbers_are_those_of_yaml_and_json_alike(tmp_path):
    numbers = [1e-05, 1e3, -2.5e-3, 12345678901.5, 3.0, 7]
    for text in (json.dumps(numbers), "[1e-05, 1E3, -2.5e-3, 12345678901.5, 3., 7]"):
        found = read_config(write(tmp_path / "run.yaml", f"architecture: {text}"), Settings).architecture
        assert list(map(repr, found)) == list(map(repr, numbers))


@dataclass(frozen=True)
class Descent:
    recipe: TrainingRecipe = field(metadata={"spec": TrainingRecipe})


def test_a_field_of_one_class_needs_no_type(tmp_path):
    for text in ("{learning_rate: 0.1}", "{type: TrainingRecipe, learning_rate: 0.1}"):
        assert read_config(write(tmp_path / "run.yaml", f"recipe: {text}"), Descent).recipe == TrainingRecipe(0.1)
    with pytest.raises(ConfigError, match=r"run\.yaml, recipe: learning_rate is 0; "):
        read_config(write(tmp_path / "run.yaml", "recipe: {learning_rate: 0}"), Descent)


RUNS = [  # one of each kind of spec that a run is described by
    TrainingRecipe((0.1, 0.2), Sgd((0.0, 0.5)), Cosine(9, 2), CrossEntropy(), ShuffledEpochs(3), FullOrbit(cyclic(8))),
    TrainingRecipe(1, Adam(), Piecewise((2,), (0.5,)), augmentation=Compose((RandomElement(cyclic(2)),))),
    TrainingRecipe(1, schedule=Exponential(0.5, 3), batches=IndependentDraws(2, "common")),
    FixedRotations(RegularSolid("octahedron"), Points(3)),
    (Parameters(), EmpiricalNtk(4)),
]  # fmt: skip


@pytest.mark.parametrize("spec", RUNS, ids=range(len(RUNS)))
def test_recipes_orbits_and_snapshots_are_read_back(spec):
    assert built(json.loads(json.dumps(describe(spec))), "here") == spec


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
