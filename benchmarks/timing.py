"""Median times of compiled functions, and tables of them."""

import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import jax

REPEATS = 3


def median_seconds(function: Callable[[], Any], repeats: int = REPEATS) -> float:
    """Median wall time of a call that has been made once before (so compilation is left out)."""
    jax.block_until_ready(function())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(function())
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    print(f"\n### {title}\n", flush=True)
    for row in (header, ["---"] * len(header), *rows):
        print("| " + " | ".join(row) + " |")
