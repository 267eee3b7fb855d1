"""Plain lines, and tables, on a console of 80 columns."""

import io
import re
from collections import Counter

import numpy as np
import pytest
import xarray as xr
from rich.console import Console

from widesym.analysis.estimators.convergence import add_member, bootstrap_weights, convergence, no_moments
from widesym.analysis.estimators.kernel_evolution import kernel_evolution
from widesym.launch.analyses.results_table import results_table
from widesym.launch.commands import ntk
from widesym.launch.commands.data import ListSets
from widesym.launch.commands.models import ModelsTable
from widesym.launch.console import print_plain
from widesym.launch.kernels import sampled_report
from widesym.launch.recipes import ntk_drift
from widesym.launch.runs.heartbeat import Heartbeat
from widesym.launch.sweep.states import JobState
from widesym.launch.sweep.status import Row
from widesym.launch.sweep.status_table import StatusTable

WIDTH = 80
SMALL = 1.7234e-5  # in its widest form: eight characters


def test_a_plain_line_is_printed_as_it_is():
    """However long it is, and whatever a path holds that rich would read as markup, as an emoji, or as a number."""
    text = f"written: runs/[bold]:fire:/{'deep/' * 40}1.5 [0.2, 0.3]"
    out = io.StringIO()
    print_plain(Console(file=out, width=WIDTH, force_terminal=True, color_system="truecolor"), text)
    assert out.getvalue() == text + "\n"


def comparison(console):
    """The demo's last table, with all its columns."""
    coordinates = {"run": ["augmented", "control"], "time": [0.0, 512.3], "evaluation_set": ["test", "letters"]}
    numbers = xr.DataArray(np.full((2, 2, 2), SMALL), coordinates)
    names = ("divergence", "noise_floor", "predicted_divergence", "distance", "expected_distance", "rms_z")
    table = xr.Dataset(dict.fromkeys(names, numbers)).assign_coords(pairing=("run", ["independent", "paired"]))
    console.print(results_table({"divergence": table, "theory": table, "mean_logits": table}))


def runs(console):
    """A sweep's, one of them failed, with a message."""
    beat = Heartbeat("node-with-a-long-name.cluster", 1234567, 5, 123456, 1000000, 64, 98765.4)
    failure = "DivergedError: no member's numbers are finite at step 12; lower the learning rate"
    rows = [
        Row("9f2c7a1b6e04", {"recipe.learning_rate": 0.015625}, (("9f2c7a1b6e04", JobState("running", beat)),), ()),
        Row("0b6e4f2c7a1d", {"members": 256}, (("0b6e4f2c7a1d", JobState("failed", beat, failure)),), ()),
    ]
    console.print(StatusTable(rows, 9))


def empirical_kernels(factor=1e-5):
    """Of three members whose kernels grow a little."""
    growth = factor * np.array([0.8, 1.0, 1.3])
    kernels = np.eye(4) * np.stack([np.ones(3), 1 + growth])[..., None, None]
    return kernel_evolution(kernels, [0, 1_000_000], np.array([0, 1.5]), np.eye(4) - 0.25)


def drifts(console):
    """Of more widths than stand beside each other."""
    found = {width: empirical_kernels(1 / width**2) for width in (16, 32, 64, 128, 256, 512, 1024, 2048, 4096)}
    console.print(ntk_drift.table(dict.fromkeys(("mlp", "cnn", "maxpool"), found)))


def sampled_kernels(console):
    """Of networks so wide that errors are thousandths of a percent."""
    rng, exact = np.random.default_rng(0), np.array([[1.0, 0.5], [0.5, 2.0]])
    moments = {}
    for width in (4096, 65536):
        moments[width] = no_moments(exact.shape, 50)
        for member in range(30):
            drawn = exact * (1 + 4 / width + 1e-4 * rng.standard_normal(exact.shape))
            moments[width] = add_member(moments[width], drawn, bootstrap_weights(0, width, member, 50))
    console.print(sampled_report.convergence_table("NTK", convergence(moments, exact)))


TABLES = {
    "comparison": comparison,
    "status": runs,
    "models": ModelsTable(width=4096).run,
    "data": ListSets().run,
    "ntk": lambda console: console.print(ntk.evolution_table(empirical_kernels())),
    "drift": drifts,
    "sampled": sampled_kernels,
}


def printed(table, width):
    """What it prints on so many columns."""
    out = io.StringIO()
    table(Console(file=out, width=width, emoji=False))
    return out.getvalue()


def numbers_in(text):
    """How often each stands there by itself, or in an interval."""
    return Counter(re.findall(r"(?<![^\s\[])\d[\d.,/]*(?:e[+-]\d+)?(?=[\s,\]])", text))


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_tables_keep_their_numbers_on_80_columns(table, monkeypatch):
    """None is cut short or broken over lines: they are those that are printed where there is room for all."""
    monkeypatch.setenv("WIDESYM_CACHE", "/nowhere")
    narrow, wide = printed(table, WIDTH), printed(table, 400)
    assert max(map(len, narrow.splitlines())) <= WIDTH
    assert narrow.count("…") == wide.count("…")
    left_out = {"98765", "1234567"} if table is runs else set()  # the rate, and which process
    assert numbers_in(narrow) == Counter({each: n for each, n in numbers_in(wide).items() if each not in left_out})
    assert numbers_in(narrow)


def test_numbers_are_cut_where_there_is_no_room_at_all():
    """So that the test above can fail."""
    assert "…" in printed(comparison, 40)
    assert numbers_in(printed(comparison, 40)) != numbers_in(printed(comparison, 400))
