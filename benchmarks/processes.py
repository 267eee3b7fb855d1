"""Worker processes: started, asked, and ended."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Variant:
    """A way of training, by the name in the table; `worker` is the module that knows it, "" if it cannot be run."""

    name: str
    worker: str
    kind: str
    cores: int = 1


class Worker:
    """A worker process (benchmarks/worker.py), idle between questions."""

    def __init__(self, variant: Variant, network: str, peers: str, cache: str):
        interpreter = sys.executable if variant.worker == "jax_worker" else peers
        cores = ",".join(map(str, sorted(os.sched_getaffinity(0))[: variant.cores]))
        self.name = variant.name
        self.process = subprocess.Popen(
            [interpreter, "-m", f"benchmarks.peers.{variant.worker}", variant.kind, network, cores],
            cwd=Path(__file__).parent.parent,
            env={**os.environ, "WIDESYM_CACHE": cache},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, **request: float) -> dict[str, float]:
        """The answer to one request; raises RuntimeError if the process has ended."""
        print(json.dumps(request), file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline() if self.process.stdout else ""
        if not answer:
            raise RuntimeError(f"{self.name}: the worker ended; its error stands above")
        return json.loads(answer)

    def end(self) -> None:
        """Close the pipe, which ends it, and wait."""
        self.process.communicate()


@contextmanager
def started(variants: Sequence[Variant], network: str, peers: str) -> Iterator[dict[str, Worker]]:
    """The workers of all variants that can be run, by name; compiled programs are kept from neither run to run."""
    with ExitStack() as stack:
        workers = {}
        for variant in variants:
            if variant.worker:
                cache = stack.enter_context(tempfile.TemporaryDirectory())  # its own: each compiles for itself
                workers[variant.name] = Worker(variant, network, peers, cache)
                stack.callback(workers[variant.name].end)
        yield workers
