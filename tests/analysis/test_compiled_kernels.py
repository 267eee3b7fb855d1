"""Empirical kernels, as they are compiled with full optimisation, are those of a Jacobian in NumPy float64."""

import json
from pathlib import Path

import pytest

from tests.support.gradient_networks import INSTRUCTIONS
from tests.support.jax_processes import run_processes
from tests.support.networks import partly_slow

SCRIPT = Path(__file__).parents[1] / "support" / "compiled_kernels.py"
# Float32 sums of some hundred products err by less than 1e-6 of the largest entry; a window left out is 1e-3 or more.
TOLERANCE = 1e-5


@pytest.mark.parametrize("instructions", partly_slow(INSTRUCTIONS, *(name for name in INSTRUCTIONS if name != "own")))
def test_kernels_and_their_largest_eigenvalue_are_those_of_the_jacobian(instructions, tmp_path):
    codes, outputs = run_processes(SCRIPT, [(tmp_path / "found.json",)], 1, ("-W", "error"), INSTRUCTIONS[instructions])
    assert codes == [0], outputs
    found = json.loads((tmp_path / "found.json").read_text())
    for errors in found.values():
        assert {"structured", "jacobian", "vector_products", "first logit", "largest"} == errors.keys()
        assert not {how: error for how, error in errors.items() if not error < TOLERANCE}
