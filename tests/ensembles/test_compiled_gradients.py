"""The gradient that a compiled training step descends along is that of the loss, in every formulation and strategy.

A compiler is no oracle, and two of its programs none for each other: steps are held against central differences of a
forward pass in NumPy (tests/support/forward_pass.py). Compiled with full optimisation, which the suite's quick run
turns off.
"""

import json
from itertools import product
from pathlib import Path

import pytest

from tests.support.gradient_networks import ALL_NETWORKS, INSTRUCTIONS, QUICK
from tests.support.jax_processes import run_processes
from tests.support.networks import partly_slow

SCRIPT = Path(__file__).parents[1] / "support" / "compiled_gradients.py"
# Formulation, members, and how many of them at once: one by one, and under a vmap.
TURNS = [(how, *who) for how, who in product(("reverse", "patches", "lax"), ((1, 1), (2, 1), (2, 2)))]
# Float32 sums of some hundred terms err by less than 1e-6 of a gradient's norm, and central differences by 1e-9 of the
# loss. One window or unit left out is 1e-3 or more: these networks have some hundred.
TOLERANCE = 1e-4


@pytest.mark.parametrize("instructions", partly_slow(INSTRUCTIONS, *(name for name in INSTRUCTIONS if name != "own")))
@pytest.mark.parametrize("turn", [None, *(pytest.param(turn, marks=pytest.mark.slow) for turn in range(len(TURNS)))])
def test_a_training_step_descends_along_the_gradient(turn, instructions, tmp_path):
    """A few networks in turn, the first of them in each formulation; and all, a ninth of them in each turn."""
    if turn is None:
        cases = [(name, *TURNS[index % len(TURNS)]) for index, name in enumerate(QUICK)]
        cases += [(QUICK[0], how, 2, 2) for how in ("reverse", "patches")]
    else:
        cases = [(name, *TURNS[turn]) for name in list(ALL_NETWORKS)[turn :: len(TURNS)]]
    (tmp_path / "cases.json").write_text(json.dumps(cases))
    own = [(tmp_path / "cases.json", tmp_path / "found.json")]
    codes, outputs = run_processes(SCRIPT, own, 1, ("-W", "error"), INSTRUCTIONS[instructions])
    assert codes == [0], outputs
    errors = zip(cases, json.loads((tmp_path / "found.json").read_text()), strict=True)
    assert not {str(case): error for case, error in errors if not error < TOLERANCE}
