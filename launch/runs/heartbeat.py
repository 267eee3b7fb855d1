"""A sign of life in a run directory, for those who look from other hosts: a count that goes on while a process works.

Whoever wants to know whether it does watches the count for a while. Clocks, which jump and differ between hosts, are
not asked.
"""

import contextlib
import itertools
import json
import math
import os
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from widesym.ensembles.files import read_text
from widesym.launch.runs.files import write_json

SECONDS_BETWEEN_BEATS = 3.0
BEATS_WATCHED = 3  # without one, nobody is there: file servers show what others write some seconds late


class Heartbeat(NamedTuple):
    """Who works, or did, on a run, and how far it is."""

    host: str
    pid: int
    beat: int
    step: int
    steps: int
    members: int
    rate: float  # member-steps a second, since the process began

    @property
    def process(self) -> str:
        """Who that is, for people."""
        return f"process {self.pid} on {self.host}"

    @property
    def seconds_left(self) -> float | None:
        """The seconds until the last step at this rate; None before there is a rate."""
        return self.members * (self.steps - self.step) / self.rate if self.rate > 0 else None


KINDS = tuple(Heartbeat.__annotations__.values())


class Pulse:
    """What the heart says at its next beat."""

    def __init__(self, members: int, steps: int):
        self.members, self.steps = members, steps
        self.begin(0)

    def begin(self, step: int) -> None:
        """Training starts, or goes on, from this step."""
        self.step = self._start = step
        self._began = time.monotonic()

    def heartbeat(self, beat: int) -> Heartbeat:
        """The heartbeat of number `beat`: this process, its step, and member-steps a second since it began."""
        done = self.members * (self.step - self._start)
        rate = done / max(time.monotonic() - self._began, 1e-9)
        return Heartbeat(socket.gethostname(), os.getpid(), beat, self.step, self.steps, self.members, round(rate, 3))


@contextlib.contextmanager
def beating(path: Path, pulse: Pulse) -> Iterator[Pulse]:
    """Within, `path`/heartbeat.json counts on, and says what the pulse does."""
    ended, last = threading.Event(), read_heartbeat(path)
    numbers = itertools.count(last.beat + 1 if last else 0)

    def beat() -> None:
        with contextlib.suppress(OSError):  # a full disk is for the training to tell
            write_json(path / "heartbeat.json", pulse.heartbeat(next(numbers))._asdict())

    def beat_on() -> None:
        beat()
        while not ended.wait(SECONDS_BETWEEN_BEATS):
            beat()

    heart = threading.Thread(target=beat_on, name="heartbeat", daemon=True)
    heart.start()
    try:
        yield pulse
    finally:
        ended.set()
        heart.join()
        beat()


def read_heartbeat(path: Path) -> Heartbeat | None:
    """The last one in a run directory; None where there is none, or none of ours."""
    try:
        found = Heartbeat(**json.loads(read_text(path / "heartbeat.json")))
    except (OSError, ValueError, TypeError):
        return None
    return found if all(_is(value, kind) for value, kind in zip(found, KINDS, strict=True)) else None


def _is(value: Any, kind: type) -> bool:
    """Whether a value is of this type, and finite if it is a number."""
    if kind is float:
        return type(value) in (int, float) and math.isfinite(value)
    return isinstance(value, kind) and not isinstance(value, bool)


def beating_now(paths: Sequence[Path]) -> set[Path]:
    """In which of these run directories a heart beats: all are watched for some beats, unless there are none."""
    before = {path: found.beat for path in paths if (found := read_heartbeat(path))}
    if not before:
        return set()
    beating: set[Path] = set()
    end = time.monotonic() + BEATS_WATCHED * SECONDS_BETWEEN_BEATS
    while time.monotonic() < end and len(beating) < len(before):
        time.sleep(0.1)
        now = {path: read_heartbeat(path) for path in before}
        beating = {path for path, found in now.items() if found and found.beat != before[path]}
    return beating
