"""What is told of sampled kernels: of simulated ones, whose bias is put in by hand."""

import io
import json
from functools import reduce

import numpy as np
import pytest
from rich.console import Console

from widesym.analysis.estimators.convergence import add_member, bootstrap_weights, no_moments
from widesym.analysis.kernels import Kernel
from widesym.launch.errors import SampleError
from widesym.launch.kernels.sampled_report import report

EXACT = Kernel(np.array([[1.0, 0.5], [0.5, 2.0]]), np.array([[3.0, 1.0], [1.0, 4.0]]))


def moments(biases, spread=0.5, members=25):
    """By width, of both kernels, with a bias and a spread relative to them."""
    rng, exact = np.random.default_rng(0), np.stack(EXACT)

    def added(start, width, bias):
        noise = spread * rng.standard_normal((members, *exact.shape))
        drawn = enumerate(exact * (1 + bias + noise))
        return reduce(
            lambda found, one: add_member(found, one[1], bootstrap_weights(0, width, one[0], 100)), drawn, start
        )

    return {width: added(no_moments(exact.shape, 100), width, bias) for width, bias in biases.items()}


def told(directory, biases):
    """The NTK's law of the bias in the summary, and what is printed of it."""
    console = Console(record=True, width=100, file=io.StringIO())
    report("small", EXACT, moments(biases), directory, console)
    lines = console.export_text().splitlines()
    summary = json.loads((directory / "summary.json").read_text())
    return summary["ntk"]["bias_fit"], next(line for line in lines if line.startswith("NTK: exponent"))


def test_a_bias_that_is_not_resolved_has_no_exponent(tmp_path):
    fit, line = told(tmp_path, {4: 0.0, 8: 0.0})
    assert fit is None
    assert "exponent of the bias not resolved above noise at two widths" in line


def test_a_resolved_bias_has_one(tmp_path):
    fit, line = told(tmp_path, {4: 20.0, 8: 10.0})
    assert abs(fit["exponent"] + 1) < 0.05
    low, high = fit["interval"]
    assert low <= fit["exponent"] <= high
    assert f"exponent of the bias −{-fit['exponent']:.2f} [−{-low:.2f}, −{-high:.2f}], expected −1" in line


def test_an_open_end_is_said(tmp_path):
    """A bias of which hardly anything is left at the second width."""
    fit, line = told(tmp_path, {4: 20.0, 8: 20 * 2**-3.9})
    assert fit["interval"][0] is None
    assert -4 < fit["interval"][1] < -3
    assert f"exponent of the bias −{-fit['exponent']:.2f} [open, −{-fit['interval'][1]:.2f}]" in line


def test_kernels_without_spread_are_refused_by_name(tmp_path):
    with pytest.raises(SampleError, match="NTK: kernels of width 4 are the same for all members"):
        report("small", EXACT, moments({4: 1.0, 8: 1.0}, spread=0.0), tmp_path, Console(quiet=True))
