"""One variant in a process of its own, pinned to its cores: the worker's side of benchmarks/ensembles.py.

The driver writes one request a line to its standard input and reads one answer a line, both JSON:
`{"prepare": members}` → `{"compile": seconds, "step": seconds}`, and then any number of
`{"measure": seconds}` → `{"amount": images, "wall": seconds, "cpu": seconds}`. The standard library alone: PyTorch's
environment runs it, too.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


class Work(NamedTuple):
    """Something to time: `run(units)` blocks until that many units of `amount` images (or operations) are done."""

    run: Callable[[int], None]
    amount: float


def pin(cores: str) -> None:
    """Keep this process on some cores, such as "0" or "0,1"; before any library counts them."""
    os.sched_setaffinity(0, {int(core) for core in cores.split(",")})


def serve(make: Callable[[int], Work]) -> None:
    """Answer the driver's requests until it closes the pipe; `make(members)` sets the work up."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print does not meet the answers
    work, unit_seconds = Work(lambda units: None, 0.0), 1.0
    for line in sys.stdin:
        request = json.loads(line)
        if "prepare" in request:
            work = make(request["prepare"])
            first, second = seconds_of(work, 1), seconds_of(work, 1)
            unit_seconds = second["wall"]
            answer = {"compile": first["cpu"] - second["cpu"], "step": unit_seconds}
        else:
            units = max(1, round(request["measure"] / unit_seconds))
            answer = {"amount": units * work.amount, **seconds_of(work, units)}
        print(json.dumps(answer), file=answers, flush=True)


def seconds_of(work: Work, units: int) -> dict[str, float]:
    """Wall time and time on the processor of some units."""
    wall, cpu = time.perf_counter(), time.process_time()
    work.run(units)
    return {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}


def round_robin(step_member: Callable[[int], None], members: int, batch: int, steps: int = 4) -> Work:
    """A loop over members, each stepped a few times before the next one; a unit is one member's turn."""
    turn = 0

    def run(units: int) -> None:
        nonlocal turn
        for _ in range(units):
            for _ in range(steps):
                step_member(turn % members)
            turn += 1

    return Work(run, steps * batch)
