"""Sweeps whose runs have parts in common, that change as they are carried out, or that others carry out as well."""

import json

import numpy as np
import pytest
from test_sweep import CONSOLE, arrays_of, assert_close, assert_same_run, swept

from tests.support.sweeps import plan_of, runs_by_changes, sweep_file
from widesym.launch.commands.sweep import SweepCommand
from widesym.launch.sweep import worker
from widesym.launch.sweep.directory import SweepDirectory
from widesym.launch.sweep.jobs import digest
from widesym.launch.sweep.worker import work
from widesym.launch.training import execution


@pytest.mark.parametrize("members", [[4, 6], [3, 4], [2, 3, 4]], ids=str)
def test_runs_that_have_parts_in_common_share_them(tmp_path, members):
    """Members 0 and 1 of four are those of six."""
    shared = sweep_file(tmp_path, "shared", product={"members": members}, members_a_job=2)
    whole = sweep_file(tmp_path, "whole", points=[{"members": each} for each in members], members_a_job=6)
    swept(shared, tmp_path / "shared")
    swept(whole, tmp_path / "whole")
    runs, others = (runs_by_changes(tmp_path / name, name) for name in ("shared", "whole"))
    for key, path in runs.items():
        assert_same_run(path, others[key], assert_close)
    assert not list((tmp_path / "shared" / "parts").glob("*"))


def test_sweeps_that_share_a_directory_do_not_take_parts_from_each_other(tmp_path):
    """Planned by one, done by the other, which needs some of the same; then the first is done as well."""
    first = sweep_file(tmp_path, "first", base={"members": 4}, members_a_job=2)
    second = sweep_file(tmp_path, "second", base={"members": 6}, members_a_job=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("widesym.launch.sweep.executors.in_process.in_process", lambda *arguments: None)
        swept(first, tmp_path / "out", code=1)
    swept(second, tmp_path / "out")
    assert "2 jobs to do" not in swept(first, tmp_path / "out")
    assert not list((tmp_path / "out" / "parts").glob("*"))


def save_images(path, rng):
    """Twelve training images, and six to test with."""
    arrays = {}
    for part, samples in (("train", 12), ("test", 6)):
        arrays[f"{part}_images"] = rng.integers(0, 256, (samples, 8, 8, 1), np.uint8)
        arrays[f"{part}_labels"] = np.arange(samples) % 10
    np.savez(path, **arrays)


def interrupted_after(jobs):
    """A function that does so many jobs of a sweep, and then is interrupted."""

    def some(directory, execution, console, names, ended):
        for name in names[:jobs]:
            work(directory, name, console, execution)
        raise KeyboardInterrupt

    return some


def stopped_after(file, output, jobs, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("widesym.launch.sweep.executors.in_process.in_process", interrupted_after(jobs))
        with pytest.raises(KeyboardInterrupt):
            SweepCommand(file, output).run(CONSOLE)


def test_parts_that_were_begun_go_on_when_the_sweep_grows(tmp_path, monkeypatch):
    """Ranges, of which one is trained: another number of members a job does not throw it away."""
    stopped_after(sweep_file(tmp_path, base={"members": 4}, members_a_job=2), tmp_path / "out", 1, monkeypatch)
    (trained,) = (tmp_path / "out" / "parts").glob("*/finished.json")
    file = sweep_file(tmp_path, base={"members": 4}, points=[{}, {"seed": 1}], members_a_job=1)
    with monkeypatch.context() as patch:
        patch.setattr("widesym.launch.sweep.executors.in_process.in_process", lambda *arguments: None)
        swept(file, tmp_path / "out", code=1)
    jobs = plan_of(tmp_path / "out")["jobs"]
    assert trained.parent.name in jobs
    assert len(jobs) == 2 + 4
    swept(file, tmp_path / "out")


def test_a_range_may_diverge_where_the_run_does_not(tmp_path):
    """One member's learning rate is far too large: whole and in single members the same run."""
    base = {"recipe": {"learning_rate": [0.1, 1e30, 0.1]}, "snapshots": []}
    whole, single = (sweep_file(tmp_path, name, base=base, members_a_job=most) for name, most in (("w", 3), ("s", 1)))
    swept(whole, tmp_path / "w")
    swept(single, tmp_path / "s")
    ((run,), (other,)) = (list((tmp_path / name / "runs").iterdir()) for name in "ws")
    assert_same_run(other, run, assert_close)
    assert not arrays_of(run)["healthy"].all()


def test_data_that_change_after_training_do_not_get_into_the_run(tmp_path, monkeypatch):
    """It is put together with those that its members were trained on."""
    rng = np.random.default_rng(0)

    def write_data():
        save_images(tmp_path / "data.npz", rng)

    write_data()
    base = {"data": str(tmp_path / "data.npz"), "ood": ["white noise"], "ood_samples": 5, "members": 4}
    file = sweep_file(tmp_path, base=base, members_a_job=2)
    with monkeypatch.context() as patch:
        patch.setattr("widesym.launch.sweep.worker.gather", lambda *arguments: {})
        stopped_after(file, tmp_path / "out", 2, monkeypatch)
    (name,) = plan_of(tmp_path / "out")["runs"]
    write_data()
    swept(file, tmp_path / "out")
    config = json.loads((tmp_path / "out" / "runs" / name / "config.json").read_text())["config"]
    assert digest(config) == name
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 2


def test_the_same_data_elsewhere_are_the_same_run(tmp_path):
    """Paths are not part of a run's name."""
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        save_images(tmp_path / place / "data.npz", np.random.default_rng(0))
    for place in ("here", "there"):
        base = {"data": str(tmp_path / place / "data.npz"), "ood": ["white noise"], "ood_samples": 5}
        swept(sweep_file(tmp_path, base=base), tmp_path / "out")
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 1


def test_what_others_have_done_meanwhile_is_not_done_again(tmp_path, monkeypatch):
    """Between a worker's first look and its lock, another one finishes the job."""
    file, output = sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2]}), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr("widesym.launch.sweep.executors.in_process.in_process", lambda *arguments: None)
        swept(file, output, code=1)
    (job,) = plan_of(output)["jobs"]
    claim, calls = execution.claim, []

    def late(*arguments):
        if not calls:
            calls.append("the other one")
            worker.work(SweepDirectory(output), job, CONSOLE)
        return claim(*arguments)

    monkeypatch.setattr(execution, "claim", late)
    monkeypatch.setattr(execution, "train", lambda *a, train=execution.train: calls.append("trained") or train(*a))
    worker.work(SweepDirectory(output), job, CONSOLE)
    assert calls == ["the other one", "trained"]
    assert all((path / "finished.json").exists() for path in runs_by_changes(output).values())
    assert not list((output / "parts").glob("*"))


def test_a_run_that_was_begun_by_itself_is_not_replaced(tmp_path):
    """Put together it will not be, as somebody may be at it; it ends by itself."""
    file, output = sweep_file(tmp_path, product={"recipe.learning_rate": [0.1, 0.2]}), tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("widesym.launch.sweep.executors.in_process.in_process", lambda *arguments: None)
        swept(file, output, code=1)
    first, second = runs_by_changes(output).values()
    first.mkdir(parents=True)
    (first / "config.json").write_text("{}")
    (job,) = plan_of(output)["jobs"]
    work(SweepDirectory(output), job, CONSOLE)
    assert (second / "finished.json").exists()
    assert [path.name for path in first.iterdir()] == ["config.json"]
    assert list((output / "parts").glob("*"))  # still wanted


@pytest.mark.parametrize("what", ["jobs/*.json", "wanted/*.json", "plans/*.json", "parts/*/finished.json"])
@pytest.mark.parametrize("content", ["", "{}", '{"runs": null}'], ids=["empty", "another", "none"])
def test_damaged_files_of_a_sweep_are_written_anew(tmp_path, monkeypatch, what, content):
    """Or named, where only the owner knows; the others' work goes on, and nothing ends in a traceback."""
    file, output = sweep_file(tmp_path, base={"members": 4}, members_a_job=2), tmp_path / "out"
    stopped_after(file, output, 1, monkeypatch)
    for damaged in output.glob(what):
        damaged.write_text(content)
    said = swept(file, output, code=1 if what.startswith("parts") else 0)
    assert ("1 of 1 runs finished" in said) == (not what.startswith("parts"))
    assert ("is not put together" in said) == what.startswith("parts")
