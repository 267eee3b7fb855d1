"""`widesym kernel`: kernels, learning curves, and what it says when something is wrong."""

import json

import numpy as np
import pytest
import yaml

from widesym.analysis import analytic_kernel
from widesym.analysis.gram import read_gram
from widesym.ensembles.data import CrossProduct, Digits, IsingEnergies
from widesym.launch.config.specs import made
from widesym.launch.training.config import TrainConfig
from widesym.models.zoo import mlp

MLP = "architecture: mlp\ndata: digits\ntrain: 20\ntest: 10\nseed: 3\ndraws: 2\n"
TRAINING = """
architecture: c4-gcnn
width: 4
group: C2
data: {type: IsingEnergies, size: 6, train: 1, test: 1}
train: 8
test: 3
data_seed: 5
recipe: {learning_rate: 1, augmentation: mymodule.turned}
members: 2
seed: 7
steps: 2
orbit: {type: FullOrbit, group: C4}
"""


@pytest.fixture
def widesym(command, tmp_path):
    """`widesym kernel …`, with this text in run.yaml."""

    def run(text, *arguments):
        if text is not None:
            (tmp_path / "run.yaml").write_text(text)
        return command("kernel", *arguments)

    return run


def test_kernels_and_learning_curves_are_those_of_the_data(widesym, tmp_path):
    code, text, _ = widesym(MLP, "run.yaml")
    assert code == 0
    train, test = Digits(20, 10, 3).load()
    kernel, output = analytic_kernel(mlp(512)), tmp_path / "runs" / "run"
    for name, expected in (("train", kernel(train.inputs)), ("test", kernel(test.inputs, train.inputs))):
        found = read_gram(output / name / "gram.zarr")
        # Tiles of other shapes round differently; Θ of an input with itself to the root of that.
        np.testing.assert_allclose(found.nngp, expected.nngp, rtol=2e-5)
        np.testing.assert_allclose(found.ntk, expected.ntk, rtol=1e-3)
    curves = json.loads((output / "regression.json").read_text())
    assert set(curves) == {"NTK", "NNGP"}
    assert curves["NTK"]["coords"]["size"]["data"] == [8, 16, 20]
    theta, cross = (np.asarray(read_gram(output / name / "gram.zarr").ntk, float) for name in ("train", "test"))
    predicted = cross @ np.linalg.solve(theta, np.eye(10)[train.labels] - 0.1)
    accuracy = (predicted.argmax(1) == test.labels).mean()
    assert curves["NTK"]["data_vars"]["accuracy"]["data"][0][-1] == accuracy
    assert f"NTK, 20 training inputs: accuracy {accuracy:.3f}" in text
    for figure in ("gram", "learning-curve"):
        assert (output / f"{figure}.png").read_bytes().startswith(b"\x89PNG")
    assert "train: finished, 20 × 20 kernels found" in widesym(None, "run.yaml")[1]


def test_values_give_errors_in_their_units(widesym, tmp_path):
    text = """
    architecture: {type: Architecture, layers: [{type: Flatten}, {type: Dense, features: 8}, {type: Relu},
                                                {type: Dense, features: 3}]}
    data: {type: CrossProduct, train: 12, test: 6}
    sizes: [4, 12]
    draws: 1
    """
    code, printed, _ = widesym(text, "run.yaml", "--output", "here")
    assert code == 0
    assert "mean absolute error" in printed
    assert "((u × v)_x)" in printed
    curve = json.loads((tmp_path / "here" / "regression.json").read_text())["NTK"]
    assert curve["data_vars"]["mae"]["dims"] == ["draw", "size", "quantity"]
    assert curve["attrs"]["quantities"] == [quantity.name for quantity in CrossProduct(1, 1).load().train.quantities]
    assert not (tmp_path / "here" / "gram.png").exists()  # there are no classes to sort by


def test_a_file_for_training_is_one_for_kernels(widesym, tmp_path):
    """Of the network that would be trained, with one logit for the energy, on the data that it would be trained on;
    what would be imported for training alone is not.
    """
    code, said, _ = widesym(TRAINING, "run.yaml")
    assert code == 0
    assert "run.yaml is for widesym train; left out here: recipe, members, seed, steps, orbit train:" in said
    content = yaml.safe_load(TRAINING) | {"recipe": {"learning_rate": 1}}
    run = made(TrainConfig, content, "run.yaml").run()
    assert run.architecture.layers[-1].features == 1
    kernel, (test,) = analytic_kernel(run.architecture), run.evaluation_sets
    x = run.training_set.inputs
    for name, expected in (("train", kernel(x)), ("test", kernel(test.inputs, x))):
        found = read_gram(tmp_path / "runs" / "run" / name / "gram.zarr")
        # Tiles of other shapes round differently; Θ of an input with itself to the root of that.
        np.testing.assert_allclose(found.nngp, expected.nngp, rtol=2e-5)
        np.testing.assert_allclose(found.ntk, expected.ntk, rtol=1e-3)


def test_options_replace_fields_of_a_file_for_training(widesym, tmp_path):
    """--seed is that of the data, as in other files for kernels."""
    options = ("--architecture", "mlp", "--seed", "4", "--train", "9")
    assert widesym(TRAINING.replace("group: C2\n", ""), "run.yaml", *options)[0] == 0
    train, _ = IsingEnergies(6, train=9, test=3, seed=4).load()
    found = read_gram(tmp_path / "runs" / "run" / "train" / "gram.zarr")
    # Tiles of other shapes round differently.
    np.testing.assert_allclose(found.nngp, analytic_kernel(mlp(4))(train.inputs).nngp, rtol=2e-5)


def test_information_comes_before_anything_is_written(widesym, tmp_path):
    code, text, _ = widesym(MLP.replace("mlp", "cnn"), "run.yaml", "--info")
    assert code == 0
    assert "train: 20 × 20 pairs, 64 lags" in text
    assert "test: 10 × 20 pairs, 64 lags" in text
    assert {path.name for path in tmp_path.iterdir()} <= {"run.yaml", "cache"}


def test_networks_that_take_long_are_told(widesym):
    layers = "{type: Conv, features: 1, size: 3}, {type: AvgPool, size: 4}, {type: Flatten}, {type: Dense, features: 1}"
    text = MLP.replace("mlp", f"{{type: Architecture, layers: [{layers}]}}").replace("20", "2").replace("10", "1")
    assert (
        "train: 2 × 2 pairs, full covariances, as lags mix, which is slow, " in widesym(text, "run.yaml", "--info")[1]
    )


@pytest.mark.parametrize(
    ("text", "arguments", "message"),
    [
        (None, ("none.yaml",), "none.yaml cannot be read: No such file"),
        (None, (), "CONFIG"),
        (MLP, ("run.yaml", "--memory", "0"), "--memory is 0; it must be a number of GiB above 0"),
        (MLP, ("run.yaml", "--memory", ".nan"), "--memory is nan"),
        (MLP, ("run.yaml", "--memory", "1e-7"), "run.yaml: memory is 107 bytes, but a single pair of inputs takes"),
        (MLP.replace("mlp", "mlq"), ("run.yaml",), "architecture 'mlq' is unknown; did you mean mlp"),
        (MLP.replace("mlp", "mnist-cnn"), ("run.yaml",), "MaxPool"),
        (MLP.replace("mlp", "cifar10-cnn"), ("run.yaml",), "run.yaml: "),
        (
            MLP.replace("digits", "digit"),
            ("run.yaml",),
            "no data set named 'digit', and no such file or folder; did you",
        ),
        (MLP.replace("20", "2000"), ("run.yaml",), "digits, training samples: 2000 asked for"),
        (MLP + "sizes: [30]\n", ("run.yaml",), "the largest of sizes is 30, but there are 20 training inputs"),
        (MLP + "sizes: [a]\n", ("run.yaml",), "sizes"),
        (MLP.replace("draws: 2", "draws: 0"), ("run.yaml",), "draws is 0"),
        (MLP + "precision: float16\n", ("run.yaml",), "precision is 'float16'; it must be one of float32, float64"),
        (MLP + "with: 3\n", ("run.yaml",), "field 'with' is unknown; did you mean width"),
        (MLP + "width: 0\n", ("run.yaml",), "run.yaml: width is 0; it must be a whole number from 1"),
        (MLP + "group: D4\n", ("run.yaml",), "run.yaml: group is D4, but the architecture has no layer on a group"),
        (MLP + "members: 3\n", ("run.yaml",), "field 'members' is unknown"),
        (TRAINING + "member: 3\n", ("run.yaml",), "field 'member' is unknown"),
        (TRAINING.replace("members: 2\n", ""), ("run.yaml",), "field 'data_seed' is unknown; did you mean seed"),
        (MLP.replace("train: 20", "train: many"), ("run.yaml",), "train is 'many'; it must be a positive integer"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_exits_with_2_and_computes_nothing(widesym, tmp_path, text, arguments, message):
    code, _, error = widesym(text, *arguments)
    assert code == 2
    assert message in error
    assert not (tmp_path / "runs").exists()


def test_the_directory_of_another_kernel_is_refused(widesym, tmp_path):
    assert widesym(MLP, "run.yaml")[0] == 0
    before = sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.json"))
    for change, key in ((("mlp", "cnn"), "architecture"), (("seed: 3", "seed: 4"), "x1")):
        code, _, error = widesym(MLP.replace(*change), "run.yaml")
        assert code == 2
        assert key in error
    assert sorted(path.stat().st_mtime_ns for path in tmp_path.rglob("*.json")) == before


def test_every_field_has_an_option_that_replaces_it(widesym, tmp_path):
    """What is not given stays as in the file."""
    file = "architecture: none\ndata: digits\nseed: 3\ntest: 10\nsizes: [4]\n"
    options = ["--architecture", "mlp", "--train", "12", "--sizes", "5", "12", "--draws", "2", "--precision", "float32"]
    code, _, _ = widesym(file, "run.yaml", *options)
    assert code == 0
    train, _ = Digits(12, 10, 3).load()
    output = tmp_path / "runs" / "run"
    # Tiles of other shapes round differently.
    expected = analytic_kernel(mlp(512))(train.inputs).nngp
    np.testing.assert_allclose(read_gram(output / "train" / "gram.zarr").nngp, expected, rtol=2e-5)
    assert json.loads((output / "regression.json").read_text())["NTK"]["coords"]["size"]["data"] == [5, 12]


def test_options_are_checked(widesym):
    code, _, said = widesym(MLP, "run.yaml", "--draws", "0")
    assert code == 2
    assert "draws is 0" in said
    code, _, said = widesym(MLP, "run.yaml", "--precision", "float16")
    assert code == 2
    assert "float16" in said
