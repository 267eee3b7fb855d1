"""What a run leaves behind beyond logits: orbits, snapshots, its strategy, TensorBoard files, and who is sick."""

import io
import json
import struct
import sys
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from widesym.analysis.empirical import empirical_ntk
from widesym.ensembles import Adam, FullOrbit, IndependentDraws, ShuffledEpochs, Strategy, TrainingRecipe
from widesym.ensembles.data import Digits
from widesym.ensembles.data.generators.letters import letters
from widesym.ensembles.recorder import SickMembersError, read_logits, read_orbits
from widesym.ensembles.trial import state_bytes
from widesym.launch.config.snapshots import EmpiricalNtk, Parameters
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.disk import bytes_text
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.runs.run import Run
from widesym.launch.training import strategy as stored_strategy
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.launch.training.strategy import strategy_for
from widesym.models import Architecture, Conv, Dense, Flatten, Relu, cyclic

ARCH = Architecture((Conv(3, 3, w_std=2**0.5), Relu(), Flatten(), Dense(10, w_std=0.25, b_std=0.1)))
C4, STEPS = cyclic(4), (0, 3, 8)
EXECUTION = Execution(Strategy(1), tensorboard=True)


def make_run(recipe=TrainingRecipe(0.1, batches=IndependentDraws(4)), **options):  # noqa: B008 - frozen
    train, test = Digits(train=12, test=6).load()
    return Run(ARCH, recipe, 3, 0, STEPS, train, (test, letters(5, size=8)), **options)


@pytest.fixture(scope="module")
def run():
    return make_run(orbit=FullOrbit(C4), snapshots=(Parameters(), EmpiricalNtk(4)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory, run):
    path, console = tmp_path_factory.mktemp("runs") / "run", Console(file=io.StringIO(), width=200)
    run_ensemble(run, path, console, EXECUTION)
    return path, console.file.getvalue()


def params_at(store, time, member):
    """One member's parameters, as they were recorded."""
    tree = {}
    for name in store.data_vars:
        if name.startswith("parameters."):
            *path, leaf = name.split(".")[1:]
            node = tree
            for key in path:
                node = node.setdefault(int(key) if key.isdigit() else key, {})
            node[leaf] = jnp.asarray(store[name].values[time, member])
    return tree


def test_orbits_are_the_logits_on_moved_images(finished, run):
    """Of the recorded networks, on every image turned by every element; the training set is not moved."""
    path, _ = finished
    orbits, logits = read_orbits(path / "logits.zarr"), read_logits(path / "logits.zarr")
    assert {name: orbit.shape[2:4] for name, orbit in orbits.items()} == {
        "train": (1, 12),
        "test": (4, 6),
        "letters": (4, 5),
    }
    with xr.open_zarr(path / "logits.zarr") as store:
        for time in (0, 2):
            for member in (0, 2):
                params = params_at(store, time, member)
                for data in run.evaluation_sets:
                    for element in C4.elements:
                        expected = ARCH.apply(params, np.rot90(data.inputs, element, (1, 2)))
                        found = orbits[data.name][time, member, element]
                        # Another program: float32 rounding of sums over some hundred terms.
                        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
                    np.testing.assert_array_equal(logits[data.name], orbits[data.name][:, :, 0])


def test_kernels_are_those_of_the_recorded_networks(finished, run):
    """Means over their ten logits, by an algorithm that is not the recorder's."""
    path, _ = finished
    with xr.open_zarr(path / "logits.zarr") as store:
        assert store.ntk.dims == ("time", "member", "input", "other_input")
        for time, member in ((0, 0), (2, 1)):
            params = params_at(store, time, member)
            expected = empirical_ntk(ARCH, params, run.training_set.inputs[:4], method="jacobian")
            np.testing.assert_allclose(store.ntk[time, member], expected, rtol=1e-4)  # float32, other orders of sums
        assert np.abs(store.ntk[2] - store.ntk[0]).max() > 1e-3


def test_networks_of_any_end_have_kernels(tmp_path):
    """Here one that ends in ReLU, in another parametrization."""
    network = Architecture((Flatten(), Dense(6), Relu(), Dense(10), Relu()), parametrization="standard")
    made = replace(make_run(TrainingRecipe(0.01), snapshots=(Parameters(), EmpiricalNtk(3))), architecture=network)
    run_ensemble(made, tmp_path / "run", Console(quiet=True), Execution(Strategy(1)))
    with xr.open_zarr(tmp_path / "run" / "logits.zarr") as store:
        expected = empirical_ntk(network, params_at(store, 2, 1), made.training_set.inputs[:3], method="jacobian")
        np.testing.assert_allclose(store.ntk[2, 1], expected, rtol=1e-4, atol=1e-4)  # float32, other orders of sums
        assert np.abs(store.ntk[2, 1]).max() > 1


def test_the_size_on_disk_is_said_before(finished, run):
    """But for the metadata of its arrays, which are small: what is stored of each record, uncompressed."""
    path, said = finished
    data = sum(array.nbytes for each in run.sets for array in (each.inputs, each.labels))
    checkpoints = 3 * state_bytes(run.trainer(Strategy(1)), (8, 8, 1))
    assert f"run: takes about {bytes_text(run.layout.bytes + checkpoints + data)} on disk" in said
    with xr.open_zarr(path / "logits.zarr") as store:
        floats = [array for array in store.data_vars.values() if array.dims[:2] == ("time", "member")]
        assert sum(array.nbytes for array in floats if array.dtype == np.float32) == run.layout.bytes


def test_kernels_of_no_inputs_are_refused():
    with pytest.raises(ValueError, match="samples is 0; a kernel needs at least one input"):
        EmpiricalNtk(0)


def events(path):
    """(tag, step, value) of every scalar in an event file: records of length, checksum, message, checksum."""
    from tensorboardX.proto.event_pb2 import Event

    (file,) = path.glob("events.*")
    content, found, place = file.read_bytes(), [], 0
    while place < len(content):
        (length,) = struct.unpack_from("<Q", content, place)
        event = Event.FromString(content[place + 12 : place + 12 + length])
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        place += 16 + length
    return found


def test_tensorboard_gets_the_members_metrics(finished):
    path, _ = finished
    found = events(path / "tensorboard")
    assert ("members/frozen", 0, 0.0) in found
    with xr.open_zarr(path / "logits.zarr") as store:
        for time, step in ((1, 3), (2, 8)):
            for name in ("loss", "accuracy", "gradient_norm"):
                for of in ("mean", "min", "max"):
                    (value,) = [value for tag, at, value in found if (tag, at) == (f"{name}/{of}", step)]
                    np.testing.assert_allclose(value, getattr(store[name][time], of)(), rtol=1e-6)
    assert not [tag for tag, step, _ in found if step == 0 and tag != "members/frozen"]


def test_without_tensorboardx_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match=r"need tensorboardX: pip install 'widesym\[tracking\]'"):
        run_ensemble(make_run(), tmp_path / "run", Console(quiet=True), EXECUTION)


RATES_TOLD = ("0.01", "1e+30", "0.02")


def test_a_sick_member_is_told_everywhere(tmp_path):
    """The other two go on; whoever reads the logits has to say what is to be done with the third."""
    recipe = TrainingRecipe((0.01, 1e30, 0.02), Adam(eps=1e-30))
    console = Console(file=io.StringIO(), width=200)
    run_ensemble(make_run(recipe), tmp_path / "run", console, Execution(Strategy(1)))
    assert "1 of 3 members frozen" in console.file.getvalue()
    store = tmp_path / "run" / "logits.zarr"
    rows = read_metrics(tmp_path / "run" / "metrics.csv")
    healthy = {rate: [row["healthy_members"] for row in rows if row["learning_rate"] == rate] for rate in RATES_TOLD}
    assert healthy == {"0.01": ["1"] * 3, "1e+30": ["1", "0", "0"], "0.02": ["1"] * 3}
    with pytest.raises(SickMembersError, match=r"1 of 3 members .* \(members 1\)"):
        read_logits(store)
    assert read_logits(store, sick="exclude")["test"].shape[1] == 2
    with xr.open_zarr(store) as found:
        np.testing.assert_array_equal(found.healthy, [[True] * 3, [True, False, True], [True, False, True]])
        np.testing.assert_allclose(found.learning_rate, [0.01, 1e30, 0.02], rtol=1e-6)
        assert "time" not in found.variables


@pytest.fixture
def trials(monkeypatch):
    """Every trial that is made; they all find the same."""
    made = []

    def measured(trainer, data, steps, tell):
        made.append(trainer)
        return Strategy(2, "patches"), ()

    monkeypatch.setattr(stored_strategy, "measured_strategy", measured)
    return made


def strategy_in(path, given=None):
    run, said = make_run(), []
    path.mkdir(exist_ok=True)
    return strategy_for(run.trainer(Strategy()), run.data, 8, path, given, said.append), said


def test_a_strategy_is_measured_once(tmp_path, trials):
    """And kept: a resumed run that used another would round differently."""
    found, said = strategy_in(tmp_path / "run")
    assert found == Strategy(2, "patches")
    assert said == ["strategy: 2 members at once on each device, convolutions by patches"]
    assert strategy_in(tmp_path / "run") == (found, [])
    assert len(trials) == 1


@pytest.mark.parametrize("content", ["", "[]", '{"strategy": 3}', '{"strategy": {"members_at_once": 0}, "device": {}}'])
def test_a_strategy_that_cannot_be_read_is_measured_again(tmp_path, trials, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "strategy.json").write_text(content)
    assert strategy_in(tmp_path / "run")[0] == Strategy(2, "patches")
    assert len(trials) == 1


def test_on_another_kind_of_device_a_strategy_is_measured_again(tmp_path, trials):
    strategy_in(tmp_path / "run")
    file = tmp_path / "run" / "strategy.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"device": {"platform": "gpu", "kind": "A"}}))
    strategy_in(tmp_path / "run")
    assert len(trials) == 2


def test_a_run_measures_its_strategy_and_keeps_to_it(tmp_path):
    """All of it, for real: the trial, what is said of it, and the numbers of the strategy it found."""
    console = Console(file=io.StringIO(), width=200)
    run_ensemble(make_run(), tmp_path / "run", console)
    kept = json.loads((tmp_path / "run" / "strategy.json").read_text())
    strategy = Strategy(kept["strategy"]["members_at_once"], kept["strategy"]["formulation"])
    assert "run: trial: 1 at once, reverse: " in console.file.getvalue()
    assert f"run: strategy: {strategy.members_at_once} members at once" in console.file.getvalue()
    run_ensemble(make_run(), tmp_path / "given", Console(quiet=True), Execution(strategy))
    for name, logits in read_logits(tmp_path / "run" / "logits.zarr").items():
        np.testing.assert_array_equal(read_logits(tmp_path / "given" / "logits.zarr")[name], logits)


def test_a_given_strategy_is_kept_and_a_change_is_told(tmp_path, trials):
    assert strategy_in(tmp_path / "run", Strategy(1, "patches")) == (Strategy(1, "patches"), [])
    assert strategy_in(tmp_path / "run") == (Strategy(1, "patches"), [])
    found, said = strategy_in(tmp_path / "run", Strategy(2, "patches"))
    assert found == Strategy(2, "patches")
    assert "from here on, numbers differ by rounding" in said[0]
    assert not trials


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"record_steps": (5, 3)}, "must be ascending"),
        ({"snapshots": (EmpiricalNtk(2), EmpiricalNtk(3))}, "take each snapshot once"),
        ({"recipe": TrainingRecipe((0.1, 0.2))}, "learning_rate has 2 values for 3 members"),
        ({"recipe": TrainingRecipe(0.1, batches=ShuffledEpochs(13))}, "batches of 13 samples are asked for"),
    ],
    ids=["steps", "snapshots", "rates", "batches"],
)
def test_what_training_would_refuse_is_said_before_anything_is_written(tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        run_ensemble(replace(make_run(), **changes), tmp_path / "run", Console(quiet=True), EXECUTION)
    assert list(tmp_path.iterdir()) == []


def test_sets_of_one_name_are_refused():
    with pytest.raises(ValueError, match="data sets are named train, letters, letters; each needs a name of its own"):
        replace(make_run(), evaluation_sets=(letters(5, size=8), letters(5, size=8, seed=1)))


@pytest.mark.parametrize("file", ["zarr.json", "logits/zarr.json"])
def test_a_damaged_store_is_named(tmp_path, file):
    run_ensemble(make_run(), tmp_path / "run", Console(quiet=True), Execution(Strategy(1)))
    (tmp_path / "run" / "finished.json").unlink()
    (tmp_path / "run" / "logits.zarr" / file).write_bytes(b"")
    with pytest.raises(RunDirectoryError, match=r"logits.zarr cannot be read .*; remove it, and the run starts again"):
        run_ensemble(make_run(), tmp_path / "run", Console(quiet=True), Execution(Strategy(1)))


def test_execution_refuses():
    with pytest.raises(ValueError, match="0 checkpoints are to be kept"):
        Execution(checkpoints_kept=0)
    with pytest.raises(ValueError, match="checkpoint_seconds is -1"):
        Execution(checkpoint_seconds=-1)
