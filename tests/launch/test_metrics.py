"""metrics.csv and the progress lines."""

import io
import re

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from tests.support.stored_runs import TRAIN, trained
from widesym.ensembles import CrossEntropy, MeanSquaredError, Sgd, TrainingRecipe
from widesym.ensembles.data import Dataset
from widesym.ensembles.data.dataset import Quantity
from widesym.ensembles.member import HEALTHY, Metrics
from widesym.ensembles.trainer import Moment
from widesym.launch.integrity.run import examine
from widesym.launch.runs import progress
from widesym.launch.runs.metrics import add_rows, metrics_row, read_metrics
from widesym.launch.runs.progress import training_line, training_progress
from widesym.launch.runs.scores import Scores, scores


def labelled(name, labels, classes=("a", "b")):
    return Dataset(name, np.ones((len(labels), 1, 1, 1)), np.array(labels), classes, "made up")


def test_row_by_hand():
    """Two members, two training samples; the mean of the members is right more often than they are."""
    train, test = labelled("train", [0, 1]), labelled("test", [1, 1])
    letters, noise = labelled("letters", [0, 1], ("x", "y")), Dataset("noise", np.ones((2, 1, 1, 1)), None, (), "")
    logits = {  # and a third member that is not healthy, and counts nowhere
        "train": np.array(
            [[[0.5, -0.5], [-0.5, 0.5]], [[1.5, -0.5], [-0.5, 2.5]], [[np.nan] * 2] * 2]
        ),  # 0, ½ (1 + 4)/2
        "test": np.array([[[0.0, 1.0], [1.0, 0.0]], [[0.0, 3.0], [0.0, 2.0]], [[9.0, 0.0]] * 2]),  # right: both, one
        "letters": np.zeros((3, 2, 2)),
        "noise": np.zeros((3, 2, 2)),
    }
    healthy, loss = np.array([True, True, False]), MeanSquaredError()
    row = metrics_row(7, 3.5, logits, healthy, loss, train, [test, letters, noise])
    assert row.keys() - metrics_row(7, 3.5, logits, healthy, loss, train, []).keys() == {
        "test_accuracy_of_members",
        "test_accuracy_of_mean",
    }
    assert row == {
        "step": 7,
        "time": 3.5,
        "healthy_members": 2,
        "train_loss_mean": 0.625,
        "train_loss_deviation": 0.625,
        "train_accuracy_of_members": 1.0,
        "train_accuracy_of_mean": 1.0,
        "test_accuracy_of_members": 0.75,
        "test_accuracy_of_mean": 1.0,
    }


def measured(name, values, *quantities):
    return Dataset(name, np.ones((len(values), 1, 1, 1)), None, (), "made up", np.array(values), quantities)


ENERGY, CHARGE = Quantity("energy", "eV"), Quantity("charge", "e")


def test_errors_by_hand():
    """Two members, two samples: errors 3, 1 and 1, 1, of the mean 1, 0; sets of other quantities have none."""
    train, test = measured("train", [[1.0], [2.0]], ENERGY), measured("test", [[1.0], [2.0]], ENERGY)
    others = [measured("charges", [[1.0], [2.0]], CHARGE), labelled("labels", [0, 1])]
    logits = {each.name: np.array([[[4.0], [3.0]], [[0.0], [1.0]]]) for each in (train, test, *others)}
    row = metrics_row(1, 0.5, logits, np.array([True, True]), MeanSquaredError(), train, [test, *others])
    errors = {"rmse_of_members": np.sqrt(12 / 4), "rmse_of_mean": np.sqrt(1 / 2)}
    expected = {f"{of}_{name}": value for of in ("train", "test") for name, value in errors.items()}
    found = {name: value for name, value in row.items() if "rmse" in name or "accuracy" in name}
    assert found == pytest.approx(expected, rel=1e-12)


def test_members_with_numbers_of_their_own_have_rows_of_their_own(tmp_path):
    """Members 0 and 2 of three at rate 0.1 and momentum 0, member 1 at 0.2 and 0.5: means of each, not of all."""
    recipe = TrainingRecipe((0.1, 0.2, 0.1), Sgd((0.0, 0.5, 0.0), weight_decay=0.01))
    path = trained(tmp_path / "run", recipe=recipe)
    rows = read_metrics(path / "metrics.csv")
    told = [(row["step"], row["learning_rate"], row["momentum"], row["healthy_members"]) for row in rows]
    kinds = [("0.1", "0.0", "2"), ("0.2", "0.5", "1")]
    assert told == [(step, *kind) for step in ("0", "1", "4") for kind in kinds]
    assert "weight_decay" not in rows[0]  # one for all
    target = np.eye(10)[TRAIN.labels] - 0.1
    with xr.open_zarr(path / "logits.zarr") as store:
        logits = store.logits.values[2, :, : len(TRAIN)].astype(float)
    losses = 0.5 * ((logits - target) ** 2).sum(-1).mean(-1)
    for row, members in zip(rows[-2:], ([0, 2], [1]), strict=True):
        assert float(row["train_loss_mean"]) == pytest.approx(losses[members].mean(), rel=1e-5)  # float32 sums of 80
        right = (logits[members].argmax(-1) == TRAIN.labels).mean()
        assert float(row["train_accuracy_of_members"]) == pytest.approx(right, rel=1e-12)
        assert float(row["time"]) == pytest.approx(4 * float(row["learning_rate"]), rel=1e-12)
    check = next(each for each in examine(path).checks if each.file == "metrics.csv")
    assert check[1:3] == ("ok", "6 rows, one or more for each recorded step")


def test_rows_of_a_resumed_run_replace_those_it_makes_again(tmp_path):
    path = tmp_path / "metrics.csv"
    assert read_metrics(path) == []
    for step, loss in ((0, 1.0), (5, 0.5), (20, 0.25), (5, 0.125)):
        add_rows(path, [{"step": step, "loss": loss}])
    assert read_metrics(path) == [{"step": "0", "loss": "1.0"}, {"step": "5", "loss": "0.125"}]


METRICS = Metrics(np.array([1.0, 2.0, 9.0]), np.array([0.25, 0.5, 0.0]), np.array([3.0, 5.0, 9.0]))
SCORES = Scores(METRICS.loss, METRICS.gradient_norm, METRICS.accuracy)
WELL = np.full(3, HEALTHY)


def shown(console, frozen_at=WELL):
    """What is printed about 4 members that go from step 10 to 100 in three calls."""
    with training_progress(console, "cnn", members=4, steps=100, start=10) as report:
        for step in (40, 70, 100):
            report(Moment(step, None, METRICS, frozen_at, None), SCORES)
    return console.file.getvalue()


def test_the_line_is_of_the_healthy_members():
    assert training_line(Moment(5, None, METRICS, WELL, None), SCORES) == "loss 4.0000 ± 3.5590, accuracy 0.250, |∇| 5"
    told = training_line(Moment(5, None, METRICS, np.array([HEALTHY, HEALTHY, 3]), None), SCORES)
    assert told == "loss 1.5000 ± 0.5000, accuracy 0.375, |∇| 4, 1 of 3 members frozen"
    assert training_line(Moment(0, None, METRICS, WELL, None), SCORES) == "untrained"


def told(data, loss=MeanSquaredError()):  # noqa: B008
    return training_line(Moment(5, None, METRICS, WELL, None), scores(METRICS, data, loss))


def test_the_line_of_values_is_their_error():
    """√(2L/K) of L = 1, 2, 9, K the quantities."""
    mean = np.sqrt([2.0, 4.0, 18.0]).mean()
    assert told(measured("train", [[1.0]], ENERGY)) == f"loss 4.0000 ± 3.5590, error {mean:.3g} eV, |∇| 5"
    pure = [Quantity("x"), Quantity("y")]
    assert told(measured("train", [[1.0, 2.0]], *pure)) == f"loss 4.0000 ± 3.5590, error {mean / 2**0.5:.3g}, |∇| 5"


@pytest.mark.parametrize(
    ("data", "loss"),
    [
        (measured("train", [[1.0, 2.0]], ENERGY, CHARGE), MeanSquaredError()),
        (measured("train", [[0.5, 0.5]], ENERGY, ENERGY), CrossEntropy()),
        (labelled("train", [0, 0], ("only",)), CrossEntropy()),
        (labelled("train", [0, 0], ("only",)), MeanSquaredError()),
    ],
    ids=["two units", "values under cross-entropy", "one class", "one class, squared"],
)
def test_where_neither_is_defined_neither_is_told(data, loss):
    assert told(data, loss) == "loss 4.0000 ± 3.5590, |∇| 5"


def frames(width, name="digits-c4-augmented", members=1000, steps=1_000_000):
    """Lines of the bar before the first step is done, and once one of three members is frozen."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width, color_system=None)
    with training_progress(console, name, members, steps) as report:
        report(Moment(123_456, None, METRICS, np.array([HEALTHY, HEALTHY, 3]), None), SCORES)
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    return [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]


def test_the_bar_fits_a_terminal_of_80_columns():
    first, *_, last = frames(80)
    assert first.endswith("compiling …")  # a step that takes minutes to compile is no standstill
    assert len(last) <= 80
    assert "123456/1000000 steps" in last
    assert re.search(r" [0-9.]+[kM]? steps/s .*loss 1\.5, 1 frozen$", last)
    assert last.split()[1].startswith("digits-c4-")
    wide = frames(200)[-1]
    assert "1000 members × 123456/1000000 steps" in wide
    assert wide.endswith("loss 1.5000 ± 0.5000, accuracy 0.375, |∇| 4, 1 of 3 members frozen")


def test_plain_lines_are_few_and_end_with_the_last_step():
    lines = shown(Console(file=io.StringIO(), width=40)).splitlines()
    assert len(lines) == 1  # not a line a call
    assert re.fullmatch(r"cnn: 4 members × 100/100 steps, \d+ member-steps/s, 0 s left, loss 4\.0000 .*", lines[0])


def test_plain_lines_come_at_intervals(monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    lines = shown(Console(file=io.StringIO())).splitlines()
    assert [re.search(r"(\d+)/100", line)[1] for line in lines] == ["40", "70", "100"]


def test_time_left_is_work_over_speed(monkeypatch):
    """30 of 90 steps done in two seconds: four seconds for the rest, whatever was done before the start."""
    monkeypatch.setattr(progress, "SECONDS_BETWEEN_LINES", 0.0)
    clock = iter([0.0, 0.0, *[2.0] * 20])
    monkeypatch.setattr(progress.time, "perf_counter", lambda: next(clock))
    first = shown(Console(file=io.StringIO())).splitlines()[0]
    assert "40/100 steps, 60 member-steps/s, 4 s left" in first


@pytest.mark.parametrize("colours", ["truecolor", None])
def test_a_terminal_gets_a_bar(colours):
    text = shown(Console(file=io.StringIO(), force_terminal=True, color_system=colours, width=160))
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)
    assert "4 members × 100/100 steps" in plain
    assert "loss 4.0000" in plain
