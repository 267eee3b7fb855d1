"""Progress of an ensemble's training: a bar on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ensembles.trainer import Progress as Standing

SECONDS_BETWEEN_LINES = 10.0

Report = Callable[[Standing], None]


@contextlib.contextmanager
def training_progress(console: Console, name: str, members: int, steps: int, start: int = 0) -> Iterator[Report]:
    """A function to be told where training stands; shows members × steps, rate, time left and the mean loss."""
    began = time.perf_counter()

    def rate(step: int) -> float:
        return members * (step - start) / max(time.perf_counter() - began, 1e-9)

    if not console.is_terminal:
        yield _lines(console, name, members, steps, rate)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn(f"{members} members × {{task.completed}}/{steps} steps"),
        TextColumn("{task.fields[rate]:.0f} member-steps/s"),
        TimeRemainingColumn(),
        TextColumn("loss {task.fields[loss]:.4f}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=steps, completed=start, rate=0.0, loss=float("nan"))
        yield lambda now: bar.update(task, completed=now.step, rate=rate(now.step), loss=float(now.loss.mean()))


def _lines(console: Console, name: str, members: int, steps: int, rate: Callable[[int], float]) -> Report:
    last = time.perf_counter()

    def report(now: Standing) -> None:
        nonlocal last
        if now.step < steps and time.perf_counter() - last < SECONDS_BETWEEN_LINES:
            return
        last, speed = time.perf_counter(), rate(now.step)
        left = members * (steps - now.step) / speed
        console.print(
            f"{name}: {members} members × {now.step}/{steps} steps, {speed:.0f} member-steps/s, "
            f"{left:.0f} s left, loss {now.loss.mean():.4f}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    return report
