"""Members split over several devices, and over several processes; from one of these to another and back."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from test_trainer import records

from tests.support.jax_processes import run_processes

ROOT, STEPS = Path(__file__).parents[2], (0, 3, 7, 100)


def trained(output, devices, processes=1):
    """What five members gave on so many devices of so many processes, as the first and as the last process know it."""
    script = Path(__file__).parents[1] / "support" / "two_devices.py"
    codes, outputs = run_processes(script, [(output,)] * processes, devices, options=("-W", "error"))
    assert codes == [0] * processes, outputs
    found = [dict(np.load(output / f"found{process}.npz")) for process in range(processes)]
    return found[0], found[-1]


@pytest.fixture(scope="module")
def alone():
    """On one device, in this process."""
    return {moment.step: moment.record.logits["eval"] for moment in records(members=5, steps=STEPS)}


@pytest.fixture(scope="module")
def on_four(tmp_path_factory):
    """Five members on four devices of one process: three places are idle."""
    output = tmp_path_factory.mktemp("four")
    return output, trained(output, 4)[0]


@pytest.fixture(scope="module")
def in_two_processes(tmp_path_factory):
    output = tmp_path_factory.mktemp("processes")
    return output, trained(output, 2, processes=2)


def assert_close(found, expected, steps=STEPS):
    """To rounding, 1e-5 of the logits' size after a hundred steps; XLA promises bits for the same program alone."""
    for step in steps:
        bound = 1e-5 * np.abs(expected[step]).max()
        np.testing.assert_allclose(found[f"logits{step}"], expected[step], rtol=0, atol=bound)


def test_members_are_split_over_the_devices(on_four, alone):
    _, found = on_four
    assert found["devices"] == found["spread"] == 4
    assert_close(found, alone)


def test_members_are_split_over_processes(in_two_processes, alone):
    """Two processes with two devices each, and both know all members' logits."""
    _, (first, last) = in_two_processes
    assert first["devices"] == first["spread"] == 4
    assert_close(first, alone)
    for name, logits in first.items():
        np.testing.assert_array_equal(last[name], logits)


def resumed(output, tmp_path, step, devices, processes=1):
    """Go on from what `output` had at that step."""
    shutil.copytree(output / "checkpoints" / str(step), tmp_path / "checkpoints" / str(step))
    found, _ = trained(tmp_path, devices, processes)
    assert list(found["saved"]) == [step]
    assert f"logits{STEPS[0]}" not in found
    return found


def test_from_four_devices_to_one_and_back(on_four, alone, tmp_path):
    output, whole = on_four
    one = resumed(output, tmp_path / "one", STEPS[1], 1)
    assert one["devices"] == 1
    assert_close(one, alone, STEPS[1:])
    four = resumed(tmp_path / "one", tmp_path / "four", STEPS[2], 4)
    np.testing.assert_array_equal(four[f"logits{STEPS[3]}"], whole[f"logits{STEPS[3]}"])


@pytest.mark.slow
def test_from_two_processes_to_one_and_back(in_two_processes, alone, tmp_path):
    output, (whole, _) = in_two_processes
    one = resumed(output, tmp_path / "one", STEPS[1], 2)
    assert one["devices"] == 2
    assert_close(one, alone, STEPS[1:])
    two = resumed(tmp_path / "one", tmp_path / "two", STEPS[2], 2, processes=2)
    np.testing.assert_array_equal(two[f"logits{STEPS[3]}"], whole[f"logits{STEPS[3]}"])
