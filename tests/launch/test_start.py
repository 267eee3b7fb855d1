"""What is often asked for, or while one waits, imports neither JAX nor what takes as long."""

import ast
import subprocess
import sys

import pytest

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
