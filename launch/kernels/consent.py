"""Kernels that take long are told of before they are begun, with the reasons, and asked for."""

import sys
from collections.abc import Sequence
from typing import NamedTuple

import jax
from rich.console import Console
from rich.text import Text

from widesym.analysis.gram import Gram, estimated_seconds, why_full
from widesym.launch.console import print_plain
from widesym.launch.errors import NotAgreedError

TOLD = 60.0  # seconds from which on it is said
LONG = 30 * 60.0  # seconds from which on it is asked


class Work(NamedTuple):
    """What kernels take that are not there yet: seconds, and why it is so many."""

    seconds: float
    causes: tuple[str, ...] = ()


def work_of(grams: Sequence[Gram]) -> Work:
    """Of these Gram matrices; small tiles are computed where they take more than seconds."""
    seconds = [estimated_seconds(gram) for gram in grams]
    pairs = " and ".join(" × ".join(f"{side:,}" for side in gram.shape) for gram in grams)
    full = dict.fromkeys(reason for gram in grams if (reason := why_full(gram)))
    causes = [f"kernels between {pairs} inputs, copies on orbits included"] if grams else []
    causes += [f"full covariances between all points of two inputs, as {reason}" for reason in full]
    return Work(sum(seconds), tuple(causes))


def agree(work: Work, yes: bool, console: Console, cheaper: str) -> None:
    """Say how long the work takes, and why, if that is long; ask where it is very long, unless the answer is given.

    Raises NotAgreedError where the answer is no, and where there is nobody to ask.
    """
    if work.seconds < TOLD:
        return
    print_plain(console, f"kernels take {duration(work.seconds)} on {jax.device_count()} devices, estimated: "
        f"{'; '.join(work.causes)}. What is computed stays, also if it is interrupted. {cheaper}")  # fmt: skip
    if yes or work.seconds < LONG or jax.process_count() > 1:
        return
    if not (console.is_terminal and sys.stdin.isatty()):
        raise NotAgreedError(
            f"kernels take {duration(work.seconds)}, which is more than {duration(LONG)}; give --yes to compute them"
        )
    if not _asked(console):
        raise NotAgreedError("nothing was begun; give --yes to compute without being asked")


def _asked(console: Console) -> bool:
    """Whether somebody says yes."""
    try:
        return console.input(Text("Compute them? [y/N] ")).strip().lower() in ("y", "yes")
    except EOFError:
        return False


def duration(seconds: float) -> str:
    """About how long, for people."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"about {seconds / length:.0f} {unit}"
    return f"about {seconds:.0f} seconds"
