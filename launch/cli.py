"""The console command `widesym`."""

import importlib.metadata
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from launch.interrupts import PreemptedError, sigterm_raises

BAD_INPUT = 2
INTERRUPTED = 130
PREEMPTED = 75  # EX_TEMPFAIL: what is to be tried again
USAGE = """\
usage: widesym reproduce NAME [OPTIONS]
       widesym models [OPTIONS]

reproduce    run a named experiment. NAME is one of: {recipes}
models       list the model zoo

options:
  -h, --help    show this message; after a command and its NAME, the command's options
  --version     show the version
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `widesym` and exit: 0 if all went well, 2 on bad input, 130 when interrupted, 75 when preempted (SIGTERM)."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with sigterm_raises():
            run(arguments)
    except (KeyboardInterrupt, PreemptedError) as stop:
        again = shlex.join([sys.argv[0], *arguments])
        print(f"\ninterrupted; finished and recorded work is kept. Go on with: {again}", file=sys.stderr)
        sys.exit(INTERRUPTED if isinstance(stop, KeyboardInterrupt) else PREEMPTED)


def run(arguments: Sequence[str]) -> None:
    """Do what the arguments ask; exits with 2 if they, or the files they lead to, are not right."""
    if list(arguments) == ["--version"]:
        print(importlib.metadata.version("widesym"))
        return
    configure_jax()
    # Imported here: these take seconds, and an interrupt in them is one like any other.
    import tyro
    from rich.console import Console

    from ensembles.recorder import SickMembersError
    from ensembles.trainer import DivergedError
    from launch.models_table import ModelsTable
    from launch.recipes import RECIPES
    from launch.run_directory import RunDirectoryError

    if not arguments or arguments[0] in ("-h", "--help") or arguments in (["reproduce", "-h"], ["reproduce", "--help"]):
        print(USAGE.format(recipes=", ".join(RECIPES)), end="")
        return
    command, name, options = arguments[0], next(iter(arguments[1:]), None), list(arguments[2:])
    if command == "models":
        tyro.cli(ModelsTable, args=list(arguments[1:]), prog="widesym models").show(Console())
        return
    if command != "reproduce":
        fail(f"unknown command {command!r}; the commands are: reproduce, models")
    if name not in RECIPES:
        fail(f"{f'unknown recipe {name!r}' if name else 'no recipe named'}; the recipes are: {', '.join(RECIPES)}")
    recipe = tyro.cli(RECIPES[name], args=options, prog=f"widesym reproduce {name}")
    try:
        recipe.reproduce(name, Console())
    except (RunDirectoryError, DivergedError, SickMembersError, OSError) as error:
        fail(str(error))


def configure_jax() -> None:
    """Set up the process: one JAX device per CPU core, full float32 products, compiled programs kept between runs."""
    import jax

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    jax.config.update("jax_num_cpu_devices", cores)
    jax.config.update("jax_default_matmul_precision", "float32")
    cache = Path(os.environ.get("WIDESYM_CACHE", Path.home() / ".cache" / "widesym"))
    jax.config.update("jax_compilation_cache_dir", str(cache / "compiled"))


def fail(message: str) -> NoReturn:
    """Say what was wrong with the input, and exit."""
    print(f"widesym: {message}", file=sys.stderr)
    sys.exit(BAD_INPUT)
