"""How long a run takes, before it starts: the arithmetic on given trials, and a real run."""

import io
import json
from pathlib import Path

import jax
import pytest
import yaml
from rich.console import Console

from tests.support.small_configs import SMALL, read_config
from widesym.ensembles import CrossEntropy, Strategy, TrainingRecipe
from widesym.ensembles.trial import Trial
from widesym.launch.config.specs import made
from widesym.launch.training import duration as module
from widesym.launch.training.config import TrainConfig
from widesym.launch.training.duration import PredictedTime, RecordTime, duration_text, predicted_time, record_time
from widesym.launch.training.execution import run_ensemble
from widesym.models import Architecture, Conv, Dense, Flatten, Relu

EXAMPLE = Path(__file__).parents[2] / "examples" / "configs" / "digits-gcnn.yaml"
CONVOLUTION = Architecture((Conv(2, 3), Relu(), Flatten(), Dense(10)))


def run(loss=None, **fields):
    """The small run, without a loss that theory knows if another is given."""
    recipe = TrainingRecipe(0.1, loss=loss) if loss else TrainingRecipe(0.1)
    file = {name: value for name, value in yaml.safe_load(SMALL).items() if name not in ("steps", "records")}
    return made(TrainConfig, file | {"recipe": recipe} | fields, "run").run()


@pytest.mark.parametrize(
    ("run_", "trials", "compilations"),
    [
        # A short run: one trial, the program itself, and two for the stability of descent on the mean squared error.
        ({"record_steps": [0, 100]}, 1, 1 + 1 + 2),
        ({"record_steps": [0, 100], "loss": CrossEntropy()}, 1, 1 + 1),
        # A long one tries 4 and 16 members at once on each device, and two more formulations of convolutions.
        ({"record_steps": [0, 100_000]}, 3, 3 + 1 + 2),
        ({"record_steps": [0, 100_000], "architecture": CONVOLUTION}, 5, 5 + 1 + 2),
    ],
)
def test_the_parts_of_a_run_are_added(monkeypatch, run_, trials, compilations):
    devices, members = jax.device_count(), 16 * jax.device_count()
    trial = Trial(Strategy(1), seconds_a_member_step=1e-3 / devices, compile_seconds=3.0, bytes_a_device=0)
    monkeypatch.setattr(module, "timed_trial", lambda trainer, strategy, data: trial)
    monkeypatch.setattr(module, "record_time", lambda run, trainer: RecordTime(5.0, 0.25))
    asked = run(members=members, **run_)
    steps, records = asked.record_steps[-1], 2
    training = 1e-3 * 16 * steps
    expected = training + compilations * 3.0 + trials * 0.9 + 5.0 + records * members * 0.25
    assert predicted_time(asked).seconds == pytest.approx(expected, rel=1e-12)  # the same sum in another order


def test_untrained_networks_take_their_record_alone(monkeypatch):
    trial = Trial(Strategy(1), seconds_a_member_step=1e9, compile_seconds=3.0, bytes_a_device=0)
    monkeypatch.setattr(module, "timed_trial", lambda trainer, strategy, data: trial)
    monkeypatch.setattr(module, "record_time", lambda run, trainer: RecordTime(0.0, 0.0))
    assert predicted_time(run(record_steps=[0])).seconds == pytest.approx(2 * 3.0 + 0.9)


def test_records_are_timed_by_their_second_call(monkeypatch):
    times = iter([8.0, 3.0])

    def seconds_of(work):
        work()  # it runs
        return next(times)

    monkeypatch.setattr(module, "seconds_of", seconds_of)
    small = run(record_steps=[0, 1])
    assert record_time(small, small.trainer(Strategy(1))) == RecordTime(5.0, 1.5)  # of two members


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.2, "1 s"), (59.4, "59 s"), (130, "2 min 10 s"), (3600, "1 h"), (3 * 3600 + 5 * 60 + 7, "3 h 5 min"),
        (2 * 86400 + 30, "2 d"), (86400 + 3 * 3600, "1 d 3 h"), (119.6, "2 min"),
    ],
)  # fmt: skip
def test_durations_are_in_their_two_largest_units(seconds, text):
    assert duration_text(seconds) == text


def test_what_is_said_names_the_machine_and_the_trial():
    trial = Trial(Strategy(1), seconds_a_member_step=0.02, compile_seconds=2.34, bytes_a_device=0)
    text = str(PredictedTime(130.0, trial, 2))
    assert text.startswith("about 2 min 10 s on this machine (")
    assert text.endswith("), from a trial of 2 members: 50 member-steps/s, compiled in 2.3 s")


@pytest.mark.parametrize("error", [ValueError, jax.errors.JaxRuntimeError])
def test_a_trial_that_fails_does_not_hide_the_plan(widesym, monkeypatch, error):
    def failing(run):
        raise error("no memory left\nfor this")

    monkeypatch.setattr("widesym.launch.commands.train.predicted_time", failing)
    code, text, _ = widesym(SMALL, "run.yaml", "--dry-run")
    assert code == 0
    assert text.endswith("# how long it takes was not found out: no memory left")


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{"members": 8}, {"architecture": "mlp", "members": 32, "orbit": None}], ids=str)
def test_a_run_takes_about_as_long(tmp_path, changes):
    """Within a factor of 4: other work on the machine comes and goes, and compiled programs may be found in a cache."""
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(yaml.safe_load(EXAMPLE.read_text()) | changes))
    asked = read_config(tmp_path / "run.yaml", TrainConfig).run()
    predicted = predicted_time(asked).seconds
    run_ensemble(asked, tmp_path / "out", Console(file=io.StringIO()))
    actual = json.loads((tmp_path / "out" / "finished.json").read_text())["seconds"]
    assert actual / 4 < predicted < actual * 4
