"""Whatever of a run directory is damaged is named, with a remedy that works."""

import json
import shutil

import numpy as np
import pytest

from tests.support.damaged_runs import (
    edit,
    flip,
    halve,
    only,
    problems,
    start_again,
    store,
    unlink,
    whole_run,
    without_digests,
)
from tests.support.failed_loads import FAILED_LOADS
from tests.support.stored_runs import TRAIN
from widesym.launch.integrity.files import Check, file_digests
from widesym.launch.integrity.run import examine

pytestmark = FAILED_LOADS


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A finished run, each member in a chunk of its own, with a checkpoint of every record."""
    return whole_run(tmp_path_factory.mktemp("doctor") / "run")


@pytest.fixture
def run(whole, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(whole, tmp_path / "run")


@pytest.mark.parametrize("spoil", [halve, flip, lambda file: file.write_bytes(b"")], ids=["torn", "flipped", "empty"])
@pytest.mark.parametrize("finished", [True, False], ids=["finished", "not finished"])
def test_a_damaged_chunk_is_named_and_the_remedy_restores_it(run, whole, spoil, finished):
    """At the last step, of member 1; taken up from the checkpoint of the step before, the numbers are the same."""
    if not finished:
        (run / "finished.json").unlink()
    spoil(run / "logits.zarr" / "logits" / "c.2.1.0.0")
    check = only(run)
    assert check[:2] == ("logits.zarr/logits/c.2.1.0.0", "problem")
    assert check.detail.startswith("cannot be read (")
    assert check.detail.endswith("): members 1 at step 4")
    removed = [run / "finished.json"] * finished + [run / "checkpoints" / "4"]
    assert check.remedy == (
        f"take it from a copy of the run; or remove {', '.join(map(str, removed))} and start the run again: it goes on "
        "from step 1 and writes this anew"
    )
    (run / "finished.json").unlink(missing_ok=True)
    shutil.rmtree(run / "checkpoints" / "4")
    assert "resuming at step 1 of 4" in start_again(run)
    np.testing.assert_array_equal(store(run)["logits"][:], store(whole)["logits"][:])
    assert {check.status for check in examine(run).checks} == {"ok"}


def test_the_first_record_comes_back_from_the_beginning(run, whole):
    """There is no checkpoint before step 0."""
    (run / "logits.zarr" / "logits" / "c.0.1.0.0").unlink()
    check = only(run)
    assert check.detail == "is missing: members 1 at step 0"
    assert check.remedy.endswith(
        f"or remove {run / 'finished.json'}, {run / 'logits.zarr'} and start the run again: it begins at step 0"
    )
    (run / "finished.json").unlink()
    shutil.rmtree(run / "logits.zarr")
    start_again(run)
    np.testing.assert_array_equal(store(run)["logits"][:], store(whole)["logits"][:])
    assert not examine(run).damaged


def test_damage_after_the_last_checkpoint_is_put_right_by_the_run(run):
    (run / "finished.json").unlink()
    shutil.rmtree(run / "checkpoints" / "4")
    halve(run / "logits.zarr" / "logits" / "c.2.1.0.0")
    check = only(run)
    assert check.status == "warning"
    assert check.remedy == "start the run again: it goes on from step 1 and writes this anew"
    start_again(run)
    assert not problems(run)


def spoiled_chunk(name, index, how):
    def spoil(path):
        how(path / "logits.zarr" / name / f"c.{index}")

    return spoil


def spoiled_array(name, place, value):
    def spoil(path):
        store(path)[name][place] = value

    return spoil


SPOILED = {
    "torn parameters": (spoiled_chunk("parameters.layers.3.bias", "1.2.0", halve), "cannot be read ("),
    "member's loss": (spoiled_chunk("loss", "1.1", unlink), "is missing: members 1 at step 1"),
    "health": (spoiled_chunk("healthy", "1.0", unlink), "is missing or empty: it calls no member healthy at step 1"),
    "torn health": (spoiled_chunk("healthy", "1.0", halve), "cannot be read ("),
    "NaN": (spoiled_array("logits", (2, 1, 3), np.nan), "holds numbers that are not finite: members 1 at step 4"),
    "recorded": (
        spoiled_array("recorded", 1, False),
        "says that nothing is recorded at step 1, though the run has gone",
    ),
    "torn recorded": (spoiled_chunk("recorded", "0", halve), "cannot be read ("),
    "steps": (spoiled_chunk("step", "0", unlink), "is missing"),
    "times": (spoiled_array("time", 2, 0.5), "holds other values than follow from config.json"),
    "sets": (spoiled_chunk("evaluation_set", "0", unlink), "is missing"),
    "images": (spoiled_array("image", 3, 7), "holds other values than follow from config.json"),
    "rate": (spoiled_array("learning_rate", 1, 0.2), "holds other values than follow from config.json"),
    "no array": (lambda path: unlink(path / "logits.zarr" / "loss" / "zarr.json"), "is missing or cannot be read ("),
    "no store": (lambda path: unlink(path / "logits.zarr" / "zarr.json"), "cannot be read (FileNotFoundError)"),
    "all of it": (lambda path: shutil.rmtree(path / "logits.zarr"), "is missing"),
}


@pytest.mark.parametrize(("spoil", "detail"), SPOILED.values(), ids=SPOILED)
@pytest.mark.filterwarnings("ignore:Object at")  # zarr's, of folders without zarr.json
def test_whatever_the_store_lacks_is_named(run, spoil, detail):
    """Not by digests, which runs that are not finished do not have."""
    spoil(without_digests(run))
    checks = examine(run).checks
    found = [check for check in checks if check.status == "problem"]
    assert any(check.file.startswith("logits.zarr") and check.detail.startswith(detail) for check in found), found
    assert all(check.remedy for check in found)
    assert "not healthy" not in str(checks)  # which nobody can know


def test_numbers_that_changed_after_the_end_are_seen_by_digests(run):
    """Values that are as good as any others."""
    store(run)["logits"][1, 2, 3] += 0.5
    check = only(run)
    assert check == Check(
        "logits.zarr/logits/c.1.2.0.0",
        "problem",
        "has changed since the run was finished (other sha256)",
        f"take it from a copy of the run, or train it once more: widesym train {run / 'config.json'} --output ANOTHER",
    )


@pytest.mark.parametrize(
    "name",
    ["config.json", "metrics.csv", "strategy.json", "stability.json", "data/1-test.npz", "logits.zarr/time/zarr.json"],
)
def test_no_bit_of_a_finished_run_changes_unseen(run, name):
    """Its last bytes, which mean nothing, among them."""
    flip(run / name, place=0.999)
    found = problems(run)
    assert found[name].status == "problem"
    assert found[name].remedy


def test_a_run_trained_once_more_has_the_lost_file(run, command):
    """As the remedy says."""
    before = (run / "metrics.csv").read_bytes()
    (run / "metrics.csv").unlink()
    assert only(run).detail == "lacks steps 0, 1, 4"
    code, _, _ = command("train", "run/config.json", "--output", "another")
    assert code == 0
    assert (run.parent / "another" / "metrics.csv").read_bytes() == before


def test_digests_are_those_of_sha256sum(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "0-train.npz").write_bytes(b"abc")
    (tmp_path / "data" / "1-test.npz.new").write_bytes(b"half")
    (tmp_path / "other").write_bytes(b"not a record")
    known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, example B.1
    assert file_digests(tmp_path) == {"data/0-train.npz": known}


def test_members_that_are_not_in_the_store_are_missed(run):
    edit(run / "config.json", lambda content: content["config"].update(members=4))
    detail = problems(run)["logits.zarr/logits/zarr.json"].detail
    assert detail == "has shape (3, 3, 12, 10), but the run has 3 times and 4 members"


@pytest.mark.parametrize("finished", [True, False], ids=["finished", "not finished"])
def test_a_damaged_checkpoint_is_named(run, finished):
    if not finished:
        (run / "finished.json").unlink()
    for file in (path for path in (run / "checkpoints" / "4").rglob("*") if path.is_file() and "d" in path.parts[-2]):
        halve(file)
    check = only(run)
    assert check[:2] == ("checkpoints/4", "problem")
    assert check.detail.startswith("cannot be read (")
    assert check.remedy == f"remove {run / 'checkpoints' / '4'}; the run goes on from the one before"
    assert finished or "it goes on at step 1 of 4" in examine(run).state
    assert (run / "checkpoints" / "4").exists()


def test_a_checkpoint_of_another_step_is_named(run):
    """Whole, but not what it says that it is."""
    shutil.rmtree(run / "checkpoints" / "4")
    (run / "checkpoints" / "1").rename(run / "checkpoints" / "4")
    check = only(run)
    assert check[:2] == ("checkpoints/4", "problem")
    assert "it is not what was saved" in check.detail


def test_what_killed_processes_leave_is_no_damage(run, command):
    (run / "metrics.csv.new").touch()
    (run / "logits.zarr" / "logits" / "c.1.0.0.0.1f.partial").touch()
    (run / "checkpoints" / "9.orbax-checkpoint-tmp").mkdir()
    (run / "checkpoints" / "9.orbax-checkpoint-tmp" / "half.new").touch()
    (run / "checkpoints" / "2.unreadable").mkdir()
    found = problems(run)
    assert set(found) == {
        "metrics.csv.new",
        "logits.zarr/logits/c.1.0.0.0.1f.partial",
        "checkpoints/9.orbax-checkpoint-tmp",
        "checkpoints/2.unreadable",
    }
    for name, check in found.items():
        assert check.status == "warning"
        assert check.remedy == f"remove {run / name}; nothing reads it"
    assert command("doctor", "run")[0] == 0


def test_data_are_held_against_their_digests_and_written_anew(run):
    shutil.copy(run / "data" / "0-train.npz", run / "data" / "1-test.npz")
    check = only(run)
    expected = json.loads((run / "config.json").read_text())["config"]["data"]["test"]["fingerprint"]
    assert check.detail == f"has digest {TRAIN.fingerprint}, but the run was made with {expected}"
    assert check.remedy.startswith(f"remove {run / 'data' / '1-test.npz'} and start the run again in this directory")
    halve(run / "data" / "1-test.npz")
    assert only(run).detail.startswith("holds no data set that can be read (")
    (run / "data" / "1-test.npz").unlink()
    assert only(run)[:3] == ("data/1-test.npz", "problem", "is missing")
    start_again(run)
    assert not problems(run)


def test_without_data_checkpoints_are_not_called_sound(run):
    shutil.rmtree(without_digests(run) / "data")
    found = problems(run)
    assert found["checkpoints/4"][1:3] == ("warning", "not checked, which takes the ensemble and its data")
    assert found["data/0-train.npz"].status == "warning"  # as of earlier versions
    assert not examine(run).damaged


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (lambda lines: lines[:2] + lines[3:], "lacks steps 1"),
        (lambda lines: [*lines, "7" + lines[-1][1:]], "has steps that are not recorded: 7"),
        (lambda lines: ["nothing", *lines[1:]], "cannot be read (KeyError: 'step')"),
    ],
    ids=["row missing", "row too many", "no header"],
)
def test_metrics_are_held_against_the_records(run, change, detail):
    file = without_digests(run) / "metrics.csv"
    file.write_text("\n".join(change(file.read_text().splitlines())) + "\n")
    assert problems(run)["metrics.csv"][1:3] == ("problem", detail)
