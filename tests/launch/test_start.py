"""What is often asked for, or while one waits, imports neither JAX nor what takes as long."""

import ast
import json
import subprocess
import sys

import numpy as np
import pytest

from tests.support.stored_runs import LINEAR, trained
from widesym.launch.runs.stored import open_run

HEAVY = {"jax", "flax", "optax", "orbax", "xarray", "sklearn", "matplotlib", "scipy"}
RUN = """
import sys
from widesym.launch import cli
try:
    cli.main(sys.argv[1:])
finally:
    print({name.partition(".")[0] for name in sys.modules}, file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [("completion", "bash"), ("completion", "zsh"), ("--help",), ("--version",), ("trian",), ("data", "lst")],
)
def test_commands_that_compute_nothing_import_nothing_that_does(arguments):
    done = subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, text=True)
    assert done.returncode == (2 if arguments[0] in ("trian", "data") else 0)
    imported = ast.literal_eval(done.stderr.splitlines()[-1])
    assert imported & HEAVY == set()


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A sweep's directory with a finished run, and one that was submitted to a SLURM that is not there (any more)."""
    directory = tmp_path_factory.mktemp("sweep")
    trained(directory / "runs" / "a", LINEAR)
    for kind, content in {
        "plans/small": {
            "runs": {"a": {"seed": 5}, "b": {"seed": 6}},
            "jobs": {"a": ["a"], "b": ["b"]},
            "unstated": "own",
        },
        "slurm/submitted": {"b": "7_0"},
    }.items():
        (directory / kind).parent.mkdir()
        (directory / f"{kind}.json").write_text(json.dumps(content))
    return directory


def test_status_imports_nothing_that_computes(sweep):
    done = subprocess.run([sys.executable, "-c", RUN, "status", sweep, "--json"], capture_output=True, text=True)
    assert done.returncode == 0
    assert ast.literal_eval(done.stderr.splitlines()[-1]) & HEAVY == set()
    first, second = json.loads(done.stdout)
    assert (first["run"], first["state"], second["state"]) == ("a", "finished", "waiting")
    with open_run(sweep / "runs" / "a").store() as store:
        assert first["loss"] == np.median(store.loss.values[-1])
        assert first["accuracy"] == np.median(store.accuracy.values[-1])
