"""What config.json says of a run, written and read; and that every kind of directory is examined as whole."""

import json

import numpy as np
import pytest
from rich.console import Console

from tests.support.stored_runs import LINEAR, STEPS, TEST, TRAIN, trained
from widesym.ensembles import Adam, FullOrbit, ShuffledEpochs, Strategy, TrainingRecipe
from widesym.launch.config.snapshots import EmpiricalNtk, Parameters
from widesym.launch.errors import RunDirectoryError
from widesym.launch.integrity.run import examine
from widesym.launch.runs.record import RunRecord, read_record
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Dense, Relu, cyclic

KINDS = {
    "plain": {},
    "a part of an ensemble": {"member_numbers": (5, 6, 9)},
    "orbits": {"orbit": FullOrbit(cyclic(4))},
    "rates of members' own": {"recipe": TrainingRecipe((0.1, 0.2, 0.05), Adam())},
    "epochs, shared": {"recipe": TrainingRecipe(0.1, batches=ShuffledEpochs(4)), "randomness": "shared"},
    "snapshots": {"snapshots": (Parameters(), EmpiricalNtk(4))},
    "no evaluation sets": {"data": (TRAIN,)},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_is_read_as_it_was_written_and_is_whole(tmp_path, kind):
    options = {"architecture": LINEAR} | KINDS[kind]
    path = trained(tmp_path / "run", **options)
    (data, *evaluation), recipe = options.pop("data", (TRAIN, TEST)), options.pop("recipe", TrainingRecipe(0.1))
    run = Run(options.pop("architecture"), recipe, 3, 5, STEPS, data, tuple(evaluation), **options)
    assert read_record(path) == run.record
    assert RunRecord.from_json(json.loads(json.dumps(run.config)), path) == run.record
    assert {(check.file, check.status) for check in examine(path).checks if check.status != "ok"} == set()


def test_what_was_stopped_is_whole_before_and_after_it_went_on(tmp_path):
    path = trained(tmp_path / "run", LINEAR)
    (path / "finished.json").unlink()
    assert {check.status for check in examine(path).checks} == {"ok"}
    run = Run(LINEAR, TrainingRecipe(0.1), 3, 5, STEPS, TRAIN, (TEST,))
    run_ensemble(run, path, Console(quiet=True), Execution(Strategy(1)))
    assert {check.status for check in examine(path).checks} == {"ok"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"members": "3"}, "members is '3'; it must be their number"),
        ({"randomness": "own "}, "randomness is 'own '; it must be 'own' or 'shared'"),
        ({"member_numbers": [0, 1.5, 2]}, r"member_numbers is \[0, 1.5, 2\]; it must be a list of integers"),
        ({"record_steps": []}, r"record_steps is \[\]; it must be a list of integers"),
        ({"data": {"train": {"samples": 8}}}, "config.json names no training set"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_records_that_are_none_are_refused(tmp_path, change, message):
    run = Run(LINEAR, TrainingRecipe(0.1), 3, 5, STEPS, TRAIN, (TEST,))
    with pytest.raises(RunDirectoryError, match=message):
        RunRecord.from_json(run.config | change, tmp_path / "config.json")


def test_the_store_of_a_record_is_that_of_the_run():
    """Coordinates along its axes: a range of members by their numbers, orbits element by element."""
    orbit, recipe = FullOrbit(cyclic(4)), TrainingRecipe((0.1, 0.2))
    arch = Architecture((*LINEAR.layers[:1], Dense(3), Relu(), Dense(10)))
    run = Run(arch, recipe, 2, 5, (0, 3), TRAIN, (TEST,), orbit, member_numbers=(7, 4))
    found = run.record.coordinates(recipe, orbit)
    assert found["member"].tolist() == [7, 4]
    np.testing.assert_allclose(found["training_time"], [[0, 0], [0.3, 0.6]], rtol=1e-6)  # two roundings of float32
    assert found["evaluation_set"].tolist() == [0] * 8 + [1] * 16
    assert found["element"].tolist() == [0] * 8 + [0] * 4 + [1] * 4 + [2] * 4 + [3] * 4
    assert found["image"].tolist() == [*range(8), *[0, 1, 2, 3] * 4]
