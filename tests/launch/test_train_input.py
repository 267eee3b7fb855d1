"""What `widesym train` says of files that are not right: exit code 2, the place and what to do, and nothing written."""

import pytest
import yaml

from tests.support.small_configs import SMALL, created

RATE = "learning_rate: 1e-1"
LAST = "{type: Dense, features: 10}"
ORBIT = "orbit: {type: FullOrbit, group: C4}"
DRY = ("run.yaml", "--dry-run")


@pytest.mark.parametrize("dry", [False, True], ids=["to train", "dry"])
@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("members: 2", "member: 2", "run.yaml, field 'member' is unknown; did you mean members"),
        ("members: 2", "", "run.yaml lacks members"),
        ("members: 2", "members: 0", "run.yaml: members is 0; an ensemble needs at least one"),
        ("members: 2", "members: two", "run.yaml: members is 'two'"),
        ("data: digits", "data: digit", "run.yaml: data: there is no data set named 'digit', and no such file"),
        ("data: digits", "data: 3", "run.yaml: data is 3; give a name"),
        ("train: 12", "train: 2000", "run.yaml: data: digits, training samples: 2000 asked for"),
        ("train: 12", "train: many", "train is 'many'; it must be a positive integer"),
        ("test: 6", "test: 0", "test is 0; it must be a positive integer"),
        ("data_seed: 3", "data_seed: -3", "data_seed is -3; it must be a whole number"),
        ("[white noise, letters]", "[white nois]", "run.yaml: ood 'white nois' is unknown; did you mean white noise"),
        ("[white noise, letters]", "[mnits]", "run.yaml: ood 'mnits' is unknown; did you mean mnist"),
        ("[white noise, letters]", "[run.yaml]", "run.yaml: run.yaml is no data set; expected a .npz file"),
        ("[white noise, letters]", "[toy]", "run.yaml: ood 'toy': test: inputs have shape"),
        ("[white noise, letters]", "white noise", "ood is 'white noise'; it must be a list such as [white noise"),
        ("[white noise, letters]", "[blur, blur]", "data sets are named train, test, blur, blur"),
        ("ood_samples: 5", "ood_samples: 700", "run.yaml: ood 'letters': letters: 700 samples asked for; it must be"),
        (RATE, "learning_rate: 0", "run.yaml, recipe: learning_rate is 0; it must be a number, above 0"),
        (RATE, "learning_rate: fast", "run.yaml, recipe: learning_rate is 'fast'"),
        (RATE, "rate: 1", "run.yaml, recipe, field 'rate' is unknown; there are augmentation, batches, learning_rate"),
        (RATE, "learning_rate: [1, 2, 3]", "run.yaml: learning_rate has 3 values for 2 members"),
        (RATE, RATE + ", loss: {type: Sgd}", "run.yaml, recipe: loss is Sgd("),
        (RATE, RATE + ", optimizer: Adam", "run.yaml, recipe: optimizer is 'Adam'; it must be such as Sgd(momentum"),
        (RATE, RATE + ", batches: {type: ShuffledEpochs, size: 13}", "batches of 13 samples are asked for, but there"),
        ("recipe: {learning_rate", "recipe: {type: Sgd, momentum", "run.yaml, recipe, field 'augmentation' is unknown"),
        ("{type: FullOrbit, group: C4}}", "{type: CrossEntropy}}", "augmentation CrossEntropy() does not fit the data"),
        (LAST, "{type: Dense, features: 9}", "run.yaml: targets have shape (12, 10)"),
        (LAST, "{type: GlobalAvgPool}", "run.yaml: layer 3"),
        ("{type: Flatten}, ", "", "run.yaml: "),
        ("steps: 4", "", "run.yaml: give either steps, with records, or record_steps"),
        ("steps: 4", "steps: 1.5", "steps is 1.5; it must be a whole number from 1"),
        ("records: 3", "records: 1", "records is 1; it must be a whole number from 2"),
        ("records: 3", "record_steps: [0, 4]", "give either steps, with records, or record_steps"),
        ("steps: 4\nrecords: 3", "record_steps: [4, 0]", "record_steps are [4, 0]; they must be ascending"),
        ("steps: 4\nrecords: 3", "record_steps: [0, 1.5]", "record_steps is (0, 1.5); it must be a list such as"),
        ("seed: 1\n", "seed: -1\n", "seed is -1; it must be a whole number from 0"),
        ("seed: 1\n", "seed: 1\nrandomness: paired\n", "run.yaml: randomness is 'paired'; it must be 'own'"),
        (ORBIT, "orbit: {type: FixedElements, group: C4, elements: [1, 0]}", "whose first copy of test differs"),
        (ORBIT, "orbit: {type: RandomElement, group: C4}", "run.yaml: orbit is RandomElement("),
        ("[{type: Parameters}]", "[{type: Parameters}, {type: Parameters}]", "take each snapshot once"),
        ("[{type: Parameters}]", "[{type: EmpiricalNtk}]", "run.yaml, snapshots[0] lacks samples"),
        ("[{type: Parameters}]", "[{type: FullBatch}]", "snapshots is (FullBatch(),); it must be a list such as"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(widesym, tmp_path, old, new, message, dry):
    assert SMALL.count(old) == 1
    code, _, error = widesym(SMALL.replace(old, new), *(DRY if dry else DRY[:1]))
    assert code == 2
    assert message in error
    assert created(tmp_path) == set()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "CONFIG"),
        (("none.yaml",), "none.yaml cannot be read: No such file"),
        (("nowhere/config.json",), "there is no directory nowhere"),
        (("config.json",), "config.json is not"),
        (("run.yaml", "--members", "0"), "run.yaml: members is 0"),
        (("run.yaml", "--seed", "-1"), "run.yaml: seed is -1"),
        (("run.yaml", "--output", "run.yaml"), "--output is run.yaml, but"),
        (("run.yaml", "--checkpoint-seconds", "-1"), "checkpoint_seconds is -1.0"),
        (("run.yaml", "--checkpoints-kept", "0"), "0"),
        (("run.yaml", "--step", "3"), "Unrecognized options: --step"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_arguments_are_refused(widesym, tmp_path, arguments, message):
    if arguments == ("config.json",):
        (tmp_path / "config.json").write_text("[1]")
    code, _, error = widesym(SMALL, *arguments)
    assert code == 2
    assert message in error
    assert created(tmp_path) <= {"config.json"}


@pytest.mark.parametrize(
    ("name", "meaning"),
    [("digits", "data: 'digits' is the name of a data set"), ("letters", "ood 'letters': 'letters'")],
)
def test_a_name_is_not_guessed_at_beside_a_folder_of_that_name(widesym, tmp_path, name, meaning):
    for label in "ab":
        (tmp_path / name / label).mkdir(parents=True)
        (tmp_path / name / label / "0.png").touch()
    code, _, error = widesym(SMALL, *DRY[:1])
    assert code == 2
    assert f"run.yaml: {meaning}" in error
    assert f"{tmp_path}/{name} holds data, too; write ./{name} for these" in error
    assert created(tmp_path) == {name}


def test_the_directory_of_another_run_is_refused(widesym, tmp_path):
    assert widesym(SMALL, "run.yaml")[0] == 0
    before = sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "runs").rglob("*"))
    for arguments in (("run.yaml",), DRY):
        code, _, error = widesym(SMALL.replace("1e-1", "0.2"), *arguments)
        assert code == 2
        assert "recipe.learning_rate: 0.1 on disk, 0.2 asked for" in error
    assert sorted((path, path.stat().st_mtime_ns) for path in (tmp_path / "runs").rglob("*")) == before


def test_a_network_without_a_kernel_is_trained(widesym):
    layers = "[{type: Conv, features: 2, size: 3}, {type: MaxPool, size: 2}, {type: Flatten}, " + LAST + "]"
    text = yaml.safe_dump(yaml.safe_load(SMALL) | {"architecture": {"type": "Architecture", "layers": "LAYERS"}})
    code, printed, _ = widesym(text.replace("LAYERS", layers), *DRY)
    assert code == 0
    assert "members of 338 parameters" in printed  # 3·3·2 + 4·4·2·10


def test_brackets_without_end_are_no_yaml(widesym):
    code, _, error = widesym("a: " + "[" * 100_000, "run.yaml")
    assert code == 2
    assert "run.yaml is not YAML" in error
