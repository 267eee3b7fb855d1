"""The console command `widesym`."""

import importlib.metadata
import io
import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from launch.interrupts import PreemptedError, sigterm_raises
from launch.process import BAD_INPUT, INTERRUPTED, PREEMPTED, compile_anew, configure_jax

USAGE = """\
usage: widesym reproduce NAME [OPTIONS]
       widesym train CONFIG [--dry-run] [OPTIONS]
       widesym sweep SWEEP [--dry-run] [--executor in-process | pool | slurm] [OPTIONS]
       widesym status DIR [--once]
       widesym kernel CONFIG [--info] [OPTIONS]
       widesym ntk RUN [OPTIONS]
       widesym analyze RUN… [--theory] [OPTIONS]
       widesym plot DIR | report DIR
       widesym data list | show NAME | prepare NAME | verify [OPTIONS]
       widesym models [OPTIONS]
       widesym doctor [DIR]
       widesym completion bash|zsh|tcsh

reproduce    run a named experiment. NAME is one of: {recipes}
train        train the ensemble that a file describes, or that of a run directory once more
sweep        train all ensembles that a file describes, here or on a cluster, each once
status       show how the runs of a sweep stand
kernel       compute the analytic kernels of a data set, and what infinitely wide networks learn of it
ntk          compute how the empirical NTKs of a trained ensemble have changed, from its run directory
analyze      hold trained ensembles against each other and against theory: tables and figures
plot         draw the figures of an analysis again
report       make one HTML page of an analysis
data         list data sets, draw a contact sheet of one, cache one before it is used, check the cache
models       list the model zoo
doctor       say whether runs are whole and where they would go on; without DIR, what there is on this machine
completion   print the script by which a shell completes commands and options

options:
  -h, --help    show this message; after a command and its NAME, the command's options
  --version     show the version
"""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `widesym` and exit: 0 if all went well, 1 if the doctor finds damage, 2 on bad input, 130 when interrupted,
    75 when preempted (SIGTERM).
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # of names and signs that the terminal cannot show
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
    if "--dry-run" in arguments:
        compile_anew()
    # Imported here: these take seconds, and an interrupt in them is one like any other.
    from launch.recipes import RECIPES
    from models.errors import UserError

    asks_help = len(arguments) == 2 and arguments[0] in ("reproduce", "data") and arguments[1] in ("-h", "--help")
    if not arguments or arguments[0] in ("-h", "--help") or asks_help:
        print(USAGE.format(recipes=", ".join(RECIPES)), end="")
        return
    try:
        obey(arguments[0], arguments[1:])
    except (UserError, OSError) as error:
        fail(str(error))


def obey(command: str, options: Sequence[str]) -> None:
    """Carry out one command."""
    import tyro
    from rich.console import Console

    from launch.commands import COMMANDS, GROUPS
    from launch.completion import CompletionCommand, completion_script
    from launch.numeric_options import numbers_as_in_files

    def asked(kind: Any, options: Sequence[str], prog: str) -> Any:
        with numbers_as_in_files():
            return tyro.cli(kind, args=options, prog=f"widesym {prog}")

    name, console = next(iter(options), None), Console(emoji=False)  # names may have colons
    if command in COMMANDS:
        asked(COMMANDS[command], options, command).run(console)
    elif command == "completion":
        shell = asked(CompletionCommand, options, command).shell
        print(completion_script(shell, {**COMMANDS, **GROUPS, command: CompletionCommand}), end="")
    elif command == "data":
        action = chosen("action", name, GROUPS[command])
        asked(action, options[1:], f"data {name}").run(console)
    elif command == "reproduce":
        recipe = chosen("recipe", name, GROUPS[command])
        asked(recipe, options[1:], f"reproduce {name}").reproduce(name, console)
    else:
        fail(f"unknown command {command!r}; the commands are: {', '.join([*COMMANDS, *GROUPS, 'completion'])}")


def chosen(kind: str, name: str | None, choices: Mapping[str, Any]) -> Any:
    """What has that name; exits with 2, and the names that there are, where nothing has."""
    if name is None or name not in choices:
        what = f"unknown {kind} {name!r}" if name else f"no {kind} named"
        fail(f"{what}; the {kind}s are: {', '.join(choices)}")
    return choices[name]


def fail(message: str) -> NoReturn:
    """Say what was wrong with the input, and exit."""
    print(f"widesym: {message}", file=sys.stderr)
    sys.exit(BAD_INPUT)
