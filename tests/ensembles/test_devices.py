"""Members split over several devices."""

import os
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
from test_trainer import STEPS, records

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def on_two(tmp_path_factory):
    """What four members gave on two CPU devices, in another process."""
    output = tmp_path_factory.mktemp("two")
    script = Path(__file__).with_name("two_devices.py")
    paths = os.pathsep.join([str(ROOT), str(script.parent)])
    cache = jax.config.jax_compilation_cache_dir
    command = [sys.executable, "-W", "error", str(script), str(output), cache]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONPATH": paths, "JAX_PLATFORMS": "cpu"})
    with np.load(output / "found.npz") as found:
        return dict(found)


def test_members_are_split_over_the_devices(on_two):
    assert on_two["devices"] == [2]


def test_the_number_of_devices_changes_rounding_alone(on_two):
    """Twelve steps in float32; found to be the same bits, but XLA promises that only for the same program."""
    expected = np.stack([record.logits["eval"] for record in records(members=4)])
    np.testing.assert_allclose(on_two["logits"], expected, rtol=1e-5, atol=1e-6)


def test_members_that_do_not_divide_over_the_devices(on_two):
    """Three on two: the place left over gives nobody's numbers. Rounding as above."""
    np.testing.assert_allclose(on_two["three"], on_two["logits"][:, :3], rtol=1e-5, atol=1e-6)


def test_a_checkpoint_is_gone_on_from_on_several_devices(on_two):
    assert len(on_two["resumed"]) == len(STEPS) - 1
    np.testing.assert_array_equal(on_two["resumed"], on_two["logits"][1:])
