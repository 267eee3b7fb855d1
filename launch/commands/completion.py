"""`widesym completion SHELL`: a script by which the shell completes commands, their options and files.

Making one takes seconds, as all commands are imported for it, so those of bash and zsh are kept beside this file, as
`make completion` writes them.
"""

import ast
import re
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from widesym.launch.errors import ConfigError

Commands = Mapping[str, Any]  # dataclasses by name, and mappings of more of these


@dataclass(frozen=True)
class CompletionCommand:
    """Print the script by which a shell completes what follows `widesym`.

    bash: eval "$(widesym completion bash)" in ~/.bashrc; zsh: widesym completion zsh > _widesym, in a directory of
    $fpath; tcsh: widesym completion tcsh > FILE, and source FILE in ~/.tcshrc.
    """

    shell: Annotated[Literal["bash", "zsh", "tcsh"], tyro.conf.Positional, tyro.conf.arg(metavar="bash|zsh|tcsh")]
    """The shell that the script is for (tcsh: needs the package shtab)."""


def kept(shell: str) -> Path:
    """Where the script for a shell is kept."""
    return Path(__file__).with_name(f"completion.{shell}")


def kept_script(shell: str) -> str | None:
    """The script that is kept for a shell; None where there is none."""
    return kept(shell).read_text(encoding="utf-8") if kept(shell).exists() else None


def completion_script(shell: str, commands: Commands) -> str:
    """The script for a shell; raises ConfigError where that takes a package that is missing."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script"
        try:
            tree(commands).cli(prog="widesym", args=["--tyro-write-completion", shell, str(file)])
        except SystemExit:  # tyro's way of saying that it is written
            return mended(file.read_text())
        except ImportError:
            raise ConfigError(f"completion for {shell} needs the package shtab: pip install shtab") from None
    raise AssertionError("tyro has read the arguments as a command")


def mended(script: str) -> str:
    """The script with every description on one line, whose lines are taken for suggestions; with the choices of an
    option in alphabetical order, as tyro has them in another one each time, and without None, which no option takes;
    and with names of files where no option fits.
    """
    script = script.replace("complete -F ", "complete -o default -F ")  # bash
    script = script.replace("completions' completion_array\n", "completions' completion_array || _files\n")  # zsh
    script = re.sub(r"(?<='choices': )\[[^]]*\]", lambda found: _in_order(found[0]), script)
    return re.sub(r"^COMPLETION_SPEC = .*$", lambda spec: spec[0].replace(r"\n", " "), script, flags=re.MULTILINE)


def _in_order(choices: str) -> str:
    return repr(sorted(choice for choice in ast.literal_eval(choices) if choice != "None"))


def tree(commands: Commands) -> tyro.extras.SubcommandApp:
    """All commands as one tyro application, groups of commands as subcommands with subcommands of their own."""
    app = tyro.extras.SubcommandApp()
    for name, command in commands.items():
        app.command(tree(command) if isinstance(command, Mapping) else command, name=name)
    return app
