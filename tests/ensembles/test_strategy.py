"""How members share a device changes speed, and of the numbers no more than rounding."""

import jax
import numpy as np
import pytest
from test_trainer import CNN, RECIPE, data, records

from widesym.ensembles import Strategy, Trainer, sharding, trial
from widesym.ensembles.sharding import Placement, placement
from widesym.ensembles.trial import Trial, measured_strategy
from widesym.models import Architecture, Dense

STEPS = (0, 100)


@pytest.fixture(scope="module")
def one_by_one():
    return records(5, STEPS, strategy=Strategy(1))


@pytest.mark.parametrize(
    "strategy",
    [
        Strategy(2),
        Strategy(3),
        Strategy(5),
        Strategy(64),
        Strategy(2, "lax"),
        Strategy(1, "lax"),
        Strategy(3, "patches"),
    ],
    ids=str,
)
def test_a_hundred_steps_agree_to_rounding(one_by_one, strategy):
    """The law of independence's bound, of the logits' size; several numbers do not divide the five members."""
    found = records(5, STEPS, strategy=strategy)
    for one, other in zip(found, one_by_one, strict=True):
        for name, logits in one.record.logits.items():
            expected = other.record.logits[name]
            np.testing.assert_allclose(logits, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(
    ("members", "at_once", "devices", "expected"),
    [
        (5, None, 1, Placement(5, 1, 5, 1)),  # a CPU's default: one by one
        (5, 2, 1, Placement(5, 1, 3, 2)),
        (7, 4, 1, Placement(7, 1, 2, 4)),
        (9, 4, 1, Placement(9, 1, 3, 3)),  # even rounds
        (5, 64, 1, Placement(5, 1, 1, 5)),
        (10, 2, 4, Placement(10, 4, 2, 2)),
        (3, None, 4, Placement(3, 3, 1, 1)),
    ],
)
def test_placement(members, at_once, devices, expected, monkeypatch):
    monkeypatch.setattr(sharding.jax, "device_count", lambda: devices)
    found = placement(members, Strategy(at_once))
    assert found == expected
    assert found.places >= members


def test_an_accelerator_runs_all_at_once_by_default(monkeypatch):
    monkeypatch.setattr(sharding.jax, "default_backend", lambda: "gpu")
    assert placement(6, Strategy()) == Placement(6, 1, 1, 6)


@pytest.fixture
def told(monkeypatch):
    """Trials as `speeds` says (member-steps per second, by number at once and formulation), and which were made."""
    made = []

    def choose(speeds, members=64, steps=10**6, memory=1, free=1e9, state=0, arch=CNN, trials=None):
        def measured(trainer, strategy, data):
            made.append((strategy.members_at_once, strategy.formulation))
            speed = speeds[made[-1]]
            if isinstance(speed, Exception):
                raise speed
            return Trial(strategy, 1 / speed, 1.0, memory * strategy.members_at_once)

        monkeypatch.setattr(trial, "timed_trial", measured)
        monkeypatch.setattr(trial, "free_memory", lambda: free)
        monkeypatch.setattr(trial, "state_bytes", lambda trainer, shape: state)
        x, y, _ = data()
        inputs = (x, y) if arch is CNN else (x.reshape(3, -1), y)
        strategy, found = measured_strategy(Trainer(arch, RECIPE, members), inputs, steps)
        assert [(t.strategy.members_at_once, t.strategy.formulation) for t in found] == (trials or made)
        return (strategy.members_at_once, strategy.formulation), made

    return choose


R, P, L = "reverse", "patches", "lax"


def test_trials_climb_until_more_at_once_is_no_faster(told):
    speeds = {(1, R): 10, (4, R): 20, (16, R): 20.5, (4, P): 20.5, (4, L): 15}
    assert told(speeds) == ((4, R), [(1, R), (4, R), (16, R), (4, P), (4, L)])


def test_another_formulation_may_win(told):
    assert told({(1, R): 10, (4, R): 9, (1, P): 11, (1, L): 12}) == ((1, L), [(1, R), (4, R), (1, P), (1, L)])


def test_trials_end_with_all_members_at_once(told):
    speeds = {(1, R): 1, (4, R): 4, (6, R): 6, (6, P): 6, (6, L): 5}
    assert told(speeds, members=6) == ((6, R), [(1, R), (4, R), (6, R), (6, P), (6, L)])


def test_trials_stop_short_of_the_memory(told):
    speeds = {(1, R): 1, (4, R): 4, (4, P): 4, (4, L): 4}
    assert told(speeds, memory=100, free=500) == ((4, R), [(1, R), (4, R), (4, P), (4, L)])


def test_the_state_of_all_members_takes_its_share_of_the_memory(told):
    """Twice: before a call and after it."""
    speeds = {(1, R): 1, (1, P): 1, (1, L): 1}
    assert told(speeds, memory=100, free=500, state=60) == ((1, R), [(1, R), (1, P), (1, L)])


def test_a_trial_that_the_device_cannot_do_is_passed_over(told):
    """And the climb ends there."""
    speeds = {(1, R): 1, (4, R): jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED"), (1, P): 2}
    speeds |= {(1, L): speeds[4, R]}
    assert told(speeds, trials=[(1, R), (1, P)]) == ((1, P), [(1, R), (4, R), (1, P), (1, L)])


def test_a_short_run_is_not_held_up(told):
    """64 members × 9 steps at 64 member-steps a second: nine seconds, not ten trials' worth."""
    assert told({(1, R): 64}, steps=9) == ((1, R), [(1, R)])


def test_without_convolutions_there_is_no_other_formulation(told):
    assert told({(1, R): 2, (4, R): 1}, arch=Architecture((Dense(2),))) == ((1, R), [(1, R), (4, R)])


def test_a_real_trial():
    x, y, _ = data()
    made = []
    strategy, trials = measured_strategy(Trainer(CNN, RECIPE, 5), (x, y), 10**7, made.append)
    assert list(trials) == made
    assert len(trials) >= 3
    assert strategy in [each.strategy for each in trials]
    for each in trials:
        assert 0 < each.seconds_a_member_step < 1
        assert 0 < each.compile_seconds < 100
        assert each.bytes_a_device > 100
    assert "1 at once, reverse: " in str(trials[0])
    # At least two members' parameters and optimiser states, twice (before and after), more than one's.
    assert trials[1].bytes_a_device > trials[0].bytes_a_device


@pytest.mark.parametrize("number", [0, -1, 2.5, True])
def test_strategy_refuses(number):
    with pytest.raises(ValueError, match=f"members_at_once is {number}; it must be a positive whole number, or None"):
        Strategy(number)


def test_strategy_refuses_another_formulation():
    with pytest.raises(ValueError, match="formulation is 'fft'; it must be one of patches, reverse, lax, or None"):
        Strategy(1, "fft")


def test_free_memory_is_this_machines():
    assert 2**28 < trial.free_memory() < 2**50
    assert jax.device_count() == 1
