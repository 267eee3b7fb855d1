"""The console command `widesym`."""

import importlib.metadata
import io
import shlex
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from widesym.launch.commands import COMMANDS, GROUPS
from widesym.launch.lazily import Lazily, loaded
from widesym.launch.process import BAD_INPUT, INTERRUPTED, PREEMPTED, compile_anew, configure_jax
from widesym.launch.recipes import RECIPES
from widesym.launch.runs.interrupts import PreemptedError, sigterm_raises
from widesym.launch.sweep.executors import EXECUTORS
from widesym.models.errors import UserError

USAGE = """\
usage: widesym reproduce NAME [OPTIONS]
       widesym train CONFIG [--dry-run] [OPTIONS]
       widesym sweep SWEEP [--dry-run] [--executor {executors}] [OPTIONS]
       widesym status DIR [--once] [--only STATE] [--json]
       widesym results SWEEP [--step STEP] [--csv | --json]
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
results      show what the runs of a sweep have come to, side by side
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
HELP = ("-h", "--help")
KINDS = {"data": "action", "reproduce": "recipe"}  # of what each group is one


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
    asks_help = len(arguments) == 2 and arguments[0] in GROUPS and arguments[1] in HELP
    if not arguments or arguments[0] in HELP or asks_help:
        print(USAGE.format(recipes=", ".join(RECIPES), executors=" | ".join(EXECUTORS)), end="")
        return
    command = find_command(arguments)
    try:
        command()
    except (UserError, OSError) as error:
        fail(str(error))
    except MemoryError as error:
        reason = str(error) or "nothing more is known"
        fail(f"there is not enough memory for what is asked ({reason}); ask for less at a time")
    except OverflowError as error:
        fail(
            f"a number is too large ({error}); what is asked for, or one of the files that it leads to, has such a one"
        )


def find_command(arguments: Sequence[str]) -> Callable[[], None]:
    """What carries out a command; exits with 2, and the names that there are, where nothing has that name."""
    command, *options = arguments
    if command in COMMANDS:
        return partial(run_command, COMMANDS[command], options, f"widesym {command}")
    if command == "completion":
        return partial(print_completion, options)
    if command not in GROUPS:
        fail(f"unknown command {command!r}; the commands are: {', '.join([*COMMANDS, *GROUPS, 'completion'])}")
    kind, name = KINDS[command], next(iter(options), None)
    if name is None or name not in GROUPS[command]:
        what = f"unknown {kind} {name!r}" if name else f"no {kind} named"
        fail(f"{what}; the {kind}s are: {', '.join(GROUPS[command])}")
    choice, program = GROUPS[command][name], f"widesym {command} {name}"
    return partial(reproduce if command == "reproduce" else run_command, choice, options[1:], program)


def run_command(choice: Lazily, options: Sequence[str], program: str) -> None:
    """Build the command from its options, and run it with a console on standard output."""
    from rich.console import Console

    parse_options(prepared(choice, options), options, program).run(Console(emoji=False))  # names may have colons


def reproduce(choice: Lazily, options: Sequence[str], program: str) -> None:
    """Carry out a recipe, whose files bear its name."""
    from rich.console import Console

    parse_options(prepared(choice, options), options, program).reproduce(program.split()[-1], Console(emoji=False))


def prepared(choice: Lazily, options: Sequence[str]) -> Any:
    """The class of a command, in a process that is set up for it. That takes seconds, unless it is light."""
    if not choice.light:
        configure_jax()
        if "--dry-run" in options:
            compile_anew()
    return choice.load()


def parse_options(kind: Any, options: Sequence[str], program: str) -> Any:
    """The command with its options; exits with 2 where they are not right."""
    import tyro

    from widesym.launch.config.numeric_options import numbers_as_in_files

    with numbers_as_in_files():
        return tyro.cli(kind, args=options, prog=program)


def print_completion(options: Sequence[str]) -> None:
    """Print the script of `widesym completion`."""
    from widesym.launch.commands.completion import CompletionCommand, kept_script

    shell = parse_options(CompletionCommand, options, "widesym completion").shell
    print(kept_script(shell) or made_script(shell), end="")


def made_script(shell: str) -> str:
    """The script for a shell, made of all commands; raises ConfigError where that takes a package that is missing."""
    from widesym.launch.commands.completion import CompletionCommand, completion_script

    groups = {name: loaded(choices) for name, choices in GROUPS.items()}
    return completion_script(shell, {**loaded(COMMANDS), **groups, "completion": CompletionCommand})


def fail(message: str) -> NoReturn:
    """Say what was wrong with the input, and exit."""
    from widesym.launch.console import printable

    print(f"widesym: {printable(message)}", file=sys.stderr)
    sys.exit(BAD_INPUT)
