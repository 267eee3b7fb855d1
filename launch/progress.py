"""Progress of training, of a Gram matrix, or of so many things: a bar on a terminal, plain lines elsewhere."""

import contextlib
import time
from collections.abc import Callable, Iterator

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from analysis.gram import Progress as GramProgress
from ensembles.member import HEALTHY
from ensembles.trainer import Moment

SECONDS_BETWEEN_LINES = 10.0

Report = Callable[[Moment], None]


@contextlib.contextmanager
def training_progress(console: Console, name: str, members: int, steps: int, start: int = 0) -> Iterator[Report]:
    """A function to be told where training stands; shows members × steps, rate, time left and the members' metrics."""
    began = time.perf_counter()

    def rate(step: int) -> float:
        return members * (step - start) / max(time.perf_counter() - began, 1e-9)

    if not console.is_terminal:
        yield _lines(console, name, members, steps, rate)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn(f"{members} members × {{task.completed}}/{steps} steps"),
        TextColumn("{task.fields[rate]:.0f} member-steps/s"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[standing]}"),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=steps, completed=start, rate=0.0, standing="")
        yield lambda now: bar.update(task, completed=now.step, rate=rate(now.step), standing=standing(now))


def standing(now: Moment) -> str:
    """Loss, accuracy and gradient norm of the last batches, over the healthy members; how many are not."""
    healthy = now.frozen_at == HEALTHY
    frozen = f", {(~healthy).sum()} of {len(healthy)} members frozen" if not healthy.all() else ""
    if now.step == 0:
        return "untrained" + frozen
    loss, accuracy, norm = (values[healthy] for values in now.metrics)
    return (
        f"loss {loss.mean():.4f} ± {loss.std():.4f}, accuracy {accuracy.mean():.3f}, |∇| {np.median(norm):.3g}{frozen}"
    )


def _lines(console: Console, name: str, members: int, steps: int, rate: Callable[[int], float]) -> Report:
    last = time.perf_counter()

    def report(now: Moment) -> None:
        nonlocal last
        if now.step < steps and time.perf_counter() - last < SECONDS_BETWEEN_LINES:
            return
        last, speed = time.perf_counter(), rate(now.step)
        left = f"{members * (steps - now.step) / speed:.0f} s left, " if speed else ""
        console.print(
            f"{name}: {members} members × {now.step}/{steps} steps, {speed:.0f} member-steps/s, {left}{standing(now)}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )

    return report


@contextlib.contextmanager
def gram_progress(console: Console, name: str) -> Iterator[Callable[[GramProgress], None]]:
    """A function to be told how many tiles are computed; shows them, pairs of inputs a second and the time left."""
    began = last = time.perf_counter()

    def rate(now: GramProgress) -> float:
        return now.done * now.pairs_a_tile / max(time.perf_counter() - began, 1e-9)

    def line(now: GramProgress) -> None:
        nonlocal last
        if now.done < now.total and (now.done == 0 or time.perf_counter() - last < SECONDS_BETWEEN_LINES):
            return
        last, speed = time.perf_counter(), rate(now)
        left = f", {(now.total - now.done) * now.pairs_a_tile / speed:.0f} s left" if 0 < now.done < now.total else ""
        text = f"{name}: {now.done}/{now.total} tiles, {speed:.0f} pairs/s{left}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if not console.is_terminal:
        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn("{task.completed}/{task.total} tiles"),
        TextColumn("{task.fields[rate]:.0f} pairs/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, rate=0.0)
        yield lambda now: bar.update(task, completed=now.done, total=now.total, rate=rate(now))


@contextlib.contextmanager
def counted_progress(console: Console, name: str, total: int, what: str) -> Iterator[Callable[[int], None]]:
    """A function to be told how many of `total` are done; shows them, how many a second, and the time left."""
    began = last = time.perf_counter()

    def rate(done: int) -> float:
        return done / max(time.perf_counter() - began, 1e-9)

    def line(done: int) -> None:
        nonlocal last
        if done < total and (done == 0 or time.perf_counter() - last < SECONDS_BETWEEN_LINES):
            return
        last, speed = time.perf_counter(), rate(done)
        left = f", {(total - done) / speed:.0f} s left" if done < total else ""
        text = f"{name}: {done}/{total} {what}, {speed:.3g} {what}/s{left}"
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    if not console.is_terminal:
        yield line
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TextColumn(f"{{task.completed}}/{{task.total}} {what}"),
        TextColumn(f"{{task.fields[rate]:.3g}} {what}/s"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(name, total=total, rate=0.0)
        yield lambda done: bar.update(task, completed=done, rate=rate(done))
