"""Options of `widesym train` that replace what its file says."""

import re
from dataclasses import fields

import pytest
import yaml

from tests.support.small_configs import SMALL, created
from widesym.ensembles import Adam, CrossEntropy, TrainingRecipe, log_spaced_steps
from widesym.launch.commands import train
from widesym.launch.config.options import option, options_of
from widesym.launch.config.specs import made
from widesym.launch.errors import ConfigError
from widesym.launch.training.config import TrainConfig, TrainOptions, with_changes
from widesym.models import (
    Architecture,
    Dense,
    Flatten,
    GroupConv,
    GroupPool,
    LiftingConv,
    OrbitAverage,
    cyclic,
    dihedral,
)
from widesym.models.zoo import mlp

RecipeOptions = options_of(TrainingRecipe)
FILE = yaml.safe_load(SMALL) | {"recipe": {"learning_rate": 0.1}}


@pytest.fixture(autouse=True)
def no_trial(monkeypatch):
    monkeypatch.setattr(train, "predicted_time", lambda run: "a while")


def config(options, file=FILE):
    return made(TrainConfig, with_changes(file, options.changes()), "run.yaml")


@pytest.mark.parametrize(("of", "above"), [(TrainConfig, ""), (TrainingRecipe, "recipe.")])
def test_every_field_of_a_file_has_an_option_with_help(widesym, of, above):
    names = {field.name for field in fields(of)}
    code, text, _ = widesym(None, "--help")
    assert code == 0
    unframed = " ".join(text.replace("│", " ").split())
    for name in names - {"recipe"}:
        of_one = re.search(rf" {option(above + name)} ((?:(?!\(default).)*) \(default: as in the file", unframed)
        assert of_one, name
        metavar, _, description = re.sub(r" \[\w+ \.\.\.\]", "", of_one[1]).partition(" ")
        assert metavar in ("YAML", "INT", "FLOAT", "GROUP", "own|shared")
        assert description


def test_options_replace_what_the_file_says(widesym, tmp_path):
    numbers = "--members 3 --architecture mlp --width 64 --ood blur letters --steps 100 --recipe.learning-rate 0.5"
    optimizer = ("--recipe.optimizer", "{type: Adam, b1: 0.8}")
    code, text, error = widesym(SMALL, "run.yaml", *numbers.split(), *optimizer, "--dry-run")
    assert (code, error) == (0, "")
    assert f"3 members of {64 * 64 + 64 * 64 + 64 * 10:,} parameters" in text
    assert "100 steps on 48 samples" in text
    assert "learning_rate: 0.5 optimizer: {type: Adam, b1: 0.8," in text
    assert "ood: [blur, letters]" in text
    assert created(tmp_path) == set()


def test_values_are_those_of_the_file_where_none_are_given():
    assert TrainOptions().changes() == {}
    assert config(TrainOptions()) == made(TrainConfig, FILE, "run.yaml")


def test_text_is_read_as_in_a_file():
    recipe = RecipeOptions(learning_rate=(0.1, 0.2), optimizer="{type: Adam, eps: 1e-3}", loss="{type: CrossEntropy}")
    found = config(TrainOptions(recipe=recipe, orbit="null", snapshots="[]", ood=("{type: Digits, test: 4}",)))
    assert found.recipe == TrainingRecipe((0.1, 0.2), Adam(eps=1e-3), loss=CrossEntropy())
    assert (found.orbit, found.snapshots) == (None, ())
    assert type(found.ood[0]).__name__ == "Digits"
    assert config(TrainOptions(ood=())).ood == ()


def test_one_learning_rate_is_that_of_all_members():
    assert config(TrainOptions(recipe=RecipeOptions(learning_rate=(0.5,)))).recipe.learning_rate == 0.5


@pytest.mark.parametrize(
    ("recorded", "options", "steps"),
    [
        ({"steps": 4, "records": 3}, TrainOptions(steps=50), log_spaced_steps(50, 3)),
        ({"steps": 4, "records": 3}, TrainOptions(records=4), log_spaced_steps(4, 4)),
        ({"steps": 4, "records": 3}, TrainOptions(record_steps=(0, 7)), (0, 7)),
        ({"record_steps": [0, 2]}, TrainOptions(steps=50), log_spaced_steps(50, 10)),
        ({"record_steps": [0, 2]}, TrainOptions(steps=50, records=4), log_spaced_steps(50, 4)),
        ({"record_steps": [0, 2]}, TrainOptions(record_steps=(3,)), (3,)),
    ],
)
def test_steps_that_are_given_replace_those_of_the_file(recorded, options, steps):
    without = {name: value for name, value in FILE.items() if name not in ("steps", "records")}
    assert config(options, without | recorded).record_steps == steps


def test_a_width_is_that_of_the_first_hidden_layer():
    assert config(TrainOptions(architecture="mlp", width=24)).network == mlp(24)
    layers = [{"type": "Flatten"}, *({"type": "Dense", "features": n} for n in (4, 6, 10))]
    file = FILE | {"architecture": {"type": "Architecture", "layers": layers}}
    assert config(TrainOptions(width=8), file).architecture == Architecture((Flatten(), Dense(8), Dense(12), Dense(10)))
    assert config(TrainOptions(), file | {"width": 8}) == config(TrainOptions(width=8), file)
    with pytest.raises(ConfigError, match=r"width is 7, but .* are as 2:3; take a positive multiple of 2"):
        config(TrainOptions(width=7), file)


def test_a_group_is_that_of_all_layers():
    body = (LiftingConv(dihedral(4), 2, 3), GroupConv(dihedral(4), 2, 3), GroupPool(), Dense(10))
    convs = [{"type": name, "group": "C4", "features": 2, "size": 3} for name in ("LiftingConv", "GroupConv")]
    layers = [*convs, {"type": "GroupPool"}, {"type": "Dense", "features": 10}]
    averaged = {"type": "OrbitAverage", "group": "C2", "body": layers}
    file = FILE | {"architecture": {"type": "Architecture", "layers": [averaged]}}
    assert config(TrainOptions(group="D4"), file).architecture.layers == (OrbitAverage(body, dihedral(4)),)
    found = config(TrainOptions(architecture="c4-gcnn", group="C2")).network.layers[0]
    assert isinstance(found, LiftingConv)
    assert found.group == cyclic(2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--members", "1.5"), "Error parsing --members"),
        (("--members", "None"), "Error parsing --members"),
        (("--steps", "many"), "Error parsing --steps"),
        (("--recipe.learning-rate", "fast"), "Error parsing --recipe.learning-rate"),
        (("--recipe.learning-rate", ".nan"), "run.yaml, recipe: learning_rate is nan"),
        (("--recipe.optimizer", "{type: Adam"), "--recipe.optimizer is '{type: Adam', which is not YAML: "),
        (("--recipe.optimizer", "None"), "run.yaml, recipe: optimizer is 'None'; it must be such as"),
        (("--recipe.loss", "{type: CrossEntropie}"), "run.yaml, recipe, loss.type 'CrossEntropie' is unknown; did you"),
        (("--recipe.learning-rte", "1"), "Unrecognized options: --recipe.learning-rte"),
        (("--steps", "5", "--record-steps", "0", "5"), "run.yaml: give either steps, with records, or record_steps"),
        (("--steps", "0"), "run.yaml: steps is 0; it must be a whole number from 1"),
        (("--width", "0"), "run.yaml: width is 0; it must be a whole number from 1 to 65536"),
        (("--width", "100000"), "run.yaml: width is 100000; it must be a whole number from 1 to 65536"),
        (("--group", "C4"), "run.yaml: group is C4, but the architecture has no layer on a group; leave it out"),
        (("--group", "Q8"), "run.yaml, group is 'Q8'; groups are C1, C2, … and D1, D2, …"),
        (("--group", "4"), "run.yaml: group is 4; it must be such as C4 or D4"),
        (("--architecture", "mpl"), "run.yaml: architecture 'mpl' is unknown; did you mean mlp"),
        (("--ood", "blurr"), "run.yaml: ood 'blurr' is unknown; did you mean blur"),
        (("--train", "0"), "train is 0; it must be a positive integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_values_that_are_none_are_refused(widesym, tmp_path, arguments, message):
    code, _, error = widesym(SMALL, "run.yaml", *arguments)
    assert code == 2
    assert message in error
    assert created(tmp_path) == set()


def test_a_stored_run_takes_no_other_changes(widesym, tmp_path):
    (tmp_path / "config.json").write_text("{}")
    code, _, error = widesym(
        None, "config.json", "--seed", "1", "--steps", "5", "--recipe.loss", "{type: CrossEntropy}"
    )
    assert code == 2
    assert "--steps, --recipe.loss cannot be given with config.json" in error
    assert "only --members and --seed can" in error
