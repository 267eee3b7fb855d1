"""Kernels that take long are told of before they are begun, and asked for where they take very long."""

import io
import sys

import jax
import pytest
from rich.console import Console

from tests.support.stored_runs import CONV, TEST, TRAIN, trained
from widesym.analysis.gram import Gram, estimated_seconds, tiling, why_full
from widesym.ensembles import FullOrbit, TrainingRecipe
from widesym.launch.analyses.matching import match
from widesym.launch.analyses.named_runs import runs_in
from widesym.launch.analyses.theory import KernelStore, grams_left
from widesym.launch.errors import NotAgreedError
from widesym.launch.kernels import consent
from widesym.launch.kernels.consent import LONG, TOLD, Work, agree, duration
from widesym.models import Architecture, AvgPool, Conv, Dense, Flatten, Relu, cyclic

CAUSES = ("because",)
FULL = Architecture((Conv(2, 3), Relu(), AvgPool(2), Flatten(), Dense(1)))


def console_of(text, monkeypatch):
    """A terminal, at which somebody types this."""
    answers = io.StringIO(text)
    answers.isatty = lambda: True
    monkeypatch.setattr(sys, "stdin", answers)
    return Console(file=io.StringIO(), force_terminal=True, width=300)


@pytest.mark.parametrize(("seconds", "said"), [(0, False), (TOLD, True), (LONG - 1, True)])
def test_what_does_not_take_long_is_said_at_most(seconds, said):
    console = Console(file=io.StringIO(), width=300)
    agree(Work(seconds, CAUSES), False, console, "Cheaper")
    text = console.file.getvalue()
    assert ("because. What is computed stays, also if it is interrupted. Cheaper" in text) == said
    assert (duration(seconds) in text) == said


def test_where_nobody_can_be_asked_long_work_takes_a_yes():
    for yes in (True, False):
        console = Console(file=io.StringIO(), width=300)
        if yes:
            agree(Work(3 * 3600, CAUSES), yes, console, "")
        else:
            with pytest.raises(NotAgreedError, match="about 3 hours, which is more than about 30 minutes; give --yes"):
                agree(Work(3 * 3600, CAUSES), yes, console, "")
        assert "kernels take about 3 hours on" in console.file.getvalue()


@pytest.mark.parametrize(
    ("answer", "agreed"), [("y\n", True), ("YES\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_people_are_asked(monkeypatch, answer, agreed):
    console = console_of(answer, monkeypatch)
    if agreed:
        agree(Work(LONG, CAUSES), False, console, "")
    else:
        with pytest.raises(NotAgreedError, match="nothing was begun; give --yes"):
            agree(Work(LONG, CAUSES), False, console, "")
    assert "Compute them? [y/N]" in console.file.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(89, "89 seconds"), (150, "2 minutes"), (7200, "2 hours"), (10 * 86_400, "10 days")]
)
def test_durations_are_round(seconds, text):
    assert duration(seconds) == f"about {text}"


def test_seconds_are_those_of_all_pairs(monkeypatch):
    """Of a symmetric matrix the upper triangle; what takes seconds is not measured."""
    monkeypatch.setattr(tiling, "compile_and_pair_seconds", lambda gram, most: (10.0, 2.0))
    square, other = Gram(CONV, TRAIN.inputs), Gram(CONV, TEST.inputs, TRAIN.inputs)
    assert estimated_seconds(square) == 0.0
    monkeypatch.setattr(tiling, "UNMEASURED", 0)
    assert estimated_seconds(square) == pytest.approx(10 + 2 * (8 * 9 / 2) / jax.device_count())
    assert estimated_seconds(other) == pytest.approx(10 + 2 * 4 * 8 / jax.device_count())


def test_layers_that_mix_lags_are_named():
    found = {network: why_full(Gram(network, TRAIN.inputs)) for network in (CONV, FULL)}
    assert found == {CONV: "", FULL: "AvgPool mixes lags"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """One on orbits, which group-CNNs and CNNs have of different kinds."""
    recipe = TrainingRecipe(0.1, augmentation=FullOrbit(cyclic(4)))
    return trained(tmp_path_factory.mktemp("runs") / "run", recipe=recipe, members=5)


def test_kernels_are_foreseen(run, tmp_path, command):
    """All that theory takes, and none that is there."""
    store = KernelStore(tmp_path / "out" / "theory", Console(quiet=True), 2**30)
    matched = match(runs_in([run]), "refuse")
    foreseen = grams_left(matched, store)
    assert command("analyze", str(run), "--theory", "--output", "out")[0] == 0
    assert {store.place(gram) for gram in foreseen} == set(store.directory.iterdir())
    assert len(foreseen) == 2
    assert grams_left(matched, store) == []


def test_theory_that_takes_hours_is_not_begun_unasked(run, tmp_path, command, monkeypatch):
    monkeypatch.setattr(consent, "estimated_seconds", lambda gram: 3600.0)
    code, text, error = command("analyze", str(run), "--theory", "--output", "out")
    assert code == 2
    assert "kernels take about 2 hours on" in text
    assert "kernels between 32 × 32 and 12 × 32 inputs, copies on orbits included" in text
    assert "Without --theory the runs are compared with each other alone" in text
    assert "give --yes to compute them" in error
    assert not (tmp_path / "out").exists()
    assert command("analyze", str(run), "--output", "out")[0] == 0
    assert command("analyze", str(run), "--theory", "--yes", "--output", "theory")[0] == 0


def test_kernels_of_a_file_are_not_begun_unasked(tmp_path, command, monkeypatch):
    (tmp_path / "run.yaml").write_text("architecture: mlp\ndata: digits\ntrain: 9\ntest: 3\n")
    with monkeypatch.context() as patched:
        patched.setattr(consent, "estimated_seconds", lambda gram: 3600.0)
        code, text, error = command("kernel", "run.yaml")
        assert code == 2
        assert "Fewer inputs (--train, --test) take less" in text
        assert "give --yes" in error
        assert not (tmp_path / "runs").exists()
        assert command("kernel", "run.yaml", "--yes")[0] == 0
        assert command("kernel", "run.yaml")[0] == 0  # all is there
