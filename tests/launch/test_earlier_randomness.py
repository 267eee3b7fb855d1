"""What earlier versions have begun, all of whose runs of one seed shared random numbers, goes on with the same."""

import json
import shutil

import jax
import numpy as np
import pytest

from tests.support.small_configs import SMALL
from tests.support.stored_runs import TRAIN, trained
from tests.support.sweeps import plan_of, runs_by_changes, sweep_file
from widesym.ensembles import FullOrbit, TrainingRecipe
from widesym.ensembles.recorder import read_logits
from widesym.launch.runs.stored import StoredRun, stored_parameters
from widesym.models import cyclic

SAID = "begun by an earlier version, whose runs of one seed share random numbers"


def edit(file, change):
    """Change the JSON in a file."""
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def as_before(path):
    """Have a run directory say what earlier versions said."""

    def older(content):
        assert content["config"].pop("randomness") == "shared"
        content["schema"] = 2

    edit(path / "config.json", older)
    return path


@pytest.fixture
def begun(widesym, tmp_path):
    """A run that was stopped after one step, as an earlier version left it, and the whole run of that scheme."""
    code, _, _ = widesym(SMALL, "run.yaml", "--randomness", "shared", "--output", "whole")
    assert code == 0
    path = as_before(shutil.copytree(tmp_path / "whole", tmp_path / "old"))
    (path / "finished.json").unlink()
    shutil.rmtree(path / "checkpoints" / "4")
    return path, tmp_path / "whole"


def assert_same(found, expected):
    """Logits bit for bit."""
    for name, logits in read_logits(expected / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(found / "logits.zarr")[name], logits)


def test_a_run_goes_on_with_its_numbers(begun, widesym):
    old, whole = begun
    code, text, _ = widesym(None, "run.yaml", "--output", "old")
    assert code == 0
    assert f"old: {SAID}" in text
    assert "resuming at step" in text
    assert_same(old, whole)
    for member, found in enumerate(StoredRun(old).snapshots(0)["parameters.layers.1.weight"]):
        key = jax.random.fold_in(jax.random.fold_in(jax.random.key(1), member), 0)  # the scheme of these versions
        expected = StoredRun(old).architecture.init(key, (8, 8, 1))["layers"][1]["weight"]
        np.testing.assert_allclose(found, expected, rtol=1e-6)  # outside the ensemble's program
    assert StoredRun(old).record.randomness_identity == StoredRun(whole).record.randomness_identity


def test_a_run_is_not_gone_on_with_otherwise(begun, widesym):
    before = (begun[0] / "config.json").read_bytes()
    for dry in ((), ("--dry-run",)):
        code, _, error = widesym(None, "run.yaml", "--output", "old", "--randomness", "own", *dry)
        assert code == 2
        assert "old holds a run of another configuration: randomness: 'shared' on disk, 'own' asked for" in error
    assert (begun[0] / "config.json").read_bytes() == before


def test_a_run_is_trained_once_more_as_it_was(begun, widesym, tmp_path):
    old, whole = begun
    code, _, _ = widesym(None, str(old / "config.json"), "--output", "again")
    assert code == 0
    assert_same(tmp_path / "again", whole)
    stored = json.loads((tmp_path / "again" / "config.json").read_text())
    assert (stored["schema"], stored["config"]["randomness"]) == (3, "shared")


def test_a_run_says_what_it_draws_from(begun, widesym, tmp_path):
    """Without a word it is a run of its own, other than the shared one of the same seed."""
    code, text, _ = widesym(None, "run.yaml", "--output", "own")
    assert code == 0
    assert SAID not in text
    own = StoredRun(tmp_path / "own")
    assert own.record.randomness == "own"
    assert own.record.randomness_identity != StoredRun(begun[1]).record.randomness_identity
    ours, shared = (read_logits(path / "logits.zarr")["train"][0] for path in (own.path, begun[1]))
    assert np.abs(ours - shared).max() > 0.01

    def unsaid(content):
        del content["config"]["randomness"]

    edit(own.path / "config.json", unsaid)  # of this version, so that nothing follows from it
    code, _, error = widesym(None, str(own.path / "config.json"), "--output", "again")
    assert code == 2
    assert "randomness is None; it must be 'own' or 'shared'. Take the file from a copy" in error


def test_stored_runs_tell_which_draw_alike(tmp_path):
    """By what was written down: parameters of step 0 that were not kept are drawn again, also of own classes."""
    names = {
        "a": {},
        "fewer": {"members": 2},
        "policy": {"recipe": TrainingRecipe(0.1, augmentation=FullOrbit(cyclic(4)))},
    }
    runs = {name: StoredRun(trained(tmp_path / name, **options)) for name, options in names.items()}
    assert (
        runs["a"].record.randomness_identity
        == runs["fewer"].record.randomness_identity
        != runs["policy"].record.randomness_identity
    )
    assert (runs["a"].record.numbers, runs["fewer"].record.numbers) == ((0, 1, 2), (0, 1))
    edit(
        runs["policy"].path / "config.json", lambda found: found["config"]["recipe"]["augmentation"].update(type="Own")
    )
    shutil.rmtree(runs["policy"].path / "checkpoints" / "0")
    for name in ("a", "fewer"):
        shutil.rmtree(runs[name].path / "checkpoints" / "0")
        run = StoredRun(runs[name].path)
        params = stored_parameters(run, TRAIN.inputs.shape[1:], 0)
        for member, logits in enumerate(run.initial_logits[:, : len(TRAIN)]):
            one = jax.tree.map(lambda leaf, member=member: leaf[member], params)
            # In another program: float32 sums of at most 64 terms.
            np.testing.assert_allclose(run.architecture.apply(one, TRAIN.inputs), logits, rtol=1e-4, atol=1e-5)
    stored_parameters(StoredRun(runs["policy"].path), TRAIN.inputs.shape[1:], 0)


@pytest.fixture
def swept_before(command, tmp_path):
    """A finished sweep of two learning rates, trained in one job, as an earlier version left it."""
    file = sweep_file(tmp_path, base={"randomness": "shared"}, product={"recipe.learning_rate": [0.1, 0.2]})
    code, _, _ = command("sweep", str(file), "--output", "out")
    assert code == 0

    def unsaid(content):
        assert content["config"].pop("randomness") == "shared"

    for path in (tmp_path / "out" / "runs").iterdir():
        as_before(path)
    for job in (tmp_path / "out" / "jobs").glob("*.json"):
        edit(job, unsaid)
    edit(tmp_path / "out" / "plans" / "small.json", lambda content: content.pop("unstated"))
    sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2]})
    return file, tmp_path / "out"


def test_a_sweep_finds_the_runs_that_it_had(swept_before, command, tmp_path):
    file, out = swept_before
    names = set(plan_of(out)["runs"])
    for dry in (("--dry-run",), (), ()):  # and so it stays
        code, text, _ = command("sweep", str(file), "--output", "out", *dry)
        assert code == 0
        assert f"out: {SAID}" in text
        assert "2 runs in" in text or "2 runs, 2 finished, 0 jobs to do" in text
    assert {path.name for path in (out / "runs").iterdir()} == names
    sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2, 0.3]})  # what is new is like the others
    assert command("sweep", str(file), "--output", "out")[0] == 0
    runs = [StoredRun(path) for path in runs_by_changes(out).values()]
    assert len(runs) == 3
    assert len({run.record.randomness_identity for run in runs}) == 1
    shutil.rmtree(out / "plans")  # as where runs alone were copied
    assert "3 runs, 3 finished" in command("sweep", str(file), "--output", "out")[1]


def test_a_sweep_goes_on_with_the_jobs_that_it_had(swept_before, command):
    """Of two runs that were trained in one job: as an earlier version was to begin it."""
    file, out = swept_before
    expected = {name: read_logits(path / "logits.zarr") for name, path in runs_by_changes(out).items()}
    (job,) = (path.stem for path in (out / "jobs").glob("*.json"))
    shutil.rmtree(out / "runs")
    assert command("sweep", str(file), "--output", "out")[0] == 0
    assert [path.stem for path in (out / "jobs").glob("*.json")] == [job]
    for name, path in runs_by_changes(out).items():
        for of_set, logits in read_logits(path / "logits.zarr").items():
            np.testing.assert_array_equal(logits, expected[name][of_set])
    assert command("sweep", str(file), "--output", "new")[0] == 0  # elsewhere nothing was begun
    identities = {StoredRun(path).record.randomness_identity for path in runs_by_changes(out.parent / "new").values()}
    assert len(identities) == 2
