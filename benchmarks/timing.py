"""Median times of compiled functions, and tables of them."""

import os
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

REPEATS = 3


def processor_seconds(function: Callable[..., Any], *arguments: Any, repeats: int = REPEATS) -> float:
    """Median processor time of a call that has been made once before; on one idle core that is wall time."""
    times = []
    for _ in range(repeats + 1):
        began = time.process_time()
        jax.block_until_ready(function(*arguments))
        times.append(time.process_time() - began)
    return statistics.median(times[1:])


def pin_to_one_core() -> None:
    """Keep this process, and the threads that JAX starts later, on one core, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def number(value: float) -> str:
    """Three digits."""
    return f"{value:.3g}"


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    print(f"\n### {title}\n", flush=True)
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |")
