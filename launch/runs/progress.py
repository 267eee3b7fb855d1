"""Progress of an ensemble's training, kernels, or whatever is counted: a bar on a terminal, plain lines elsewhere."""

import contextlib
import math
import time
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.table import Column

from widesym.analysis.gram import GramProgress
from widesym.ensembles.member import HEALTHY
from widesym.ensembles.trainer import Moment
from widesym.launch.console import print_plain, printable
from widesym.launch.runs.scores import Scores

SECONDS_BETWEEN_LINES = 10.0
WIDE = 160  # columns of a terminal on which everything is said in a bar's line
COMPILING = "compiling …"  # until the first is done

Report = Callable[[Moment, Scores], None]


@contextlib.contextmanager
def training_progress(console: Console, name: str, members: int, steps: int, start: int = 0) -> Iterator[Report]:
    """A function to be told where training stands; shows members × steps, rate, time left and the members' scores."""
    began = time.perf_counter()

    def rate(step: int) -> float:
        return members * (step - start) / max(time.perf_counter() - began, 1e-9)

    if not console.is_terminal:
        yield _lines(console, name, members, steps, rate)
        return
    with _bar(console, name) as update:

        def report(now: Moment, scores: Scores) -> None:
            count, narrow = f"{now.step}/{steps} steps", _is_narrow(console)
            update(
                completed=now.step,
                total=steps,
                count=count if narrow else f"{members} members × {count}",
                rate=f"{_short(rate(now.step) / members)} steps/s"
                if narrow
                else f"{_short(rate(now.step))} member-steps/s",
                state=short_training_line(now, scores) if narrow else training_line(now, scores),
            )

        yield report


def training_line(now: Moment, scores: Scores) -> str:
    """Loss, accuracy or error, and gradient norm of the last batches, over the healthy members; how many are not."""
    healthy = now.frozen_at == HEALTHY
    frozen = f", {(~healthy).sum()} of {len(healthy)} members frozen" if not healthy.all() else ""
    if now.step == 0:
        return "untrained" + frozen
    if not healthy.any():
        return frozen.removeprefix(", ")
    of = {name: values[healthy] for name, values in scores.arrays.items()}
    parts = [f"loss {of['loss'].mean():.4f} ± {of['loss'].std():.4f}"]
    if "accuracy" in of:
        parts.append(f"accuracy {of['accuracy'].mean():.3f}")
    if "rmse" in of:
        parts.append(f"error {of['rmse'].mean():.3g} {scores.unit}".rstrip())
    return ", ".join([*parts, f"|∇| {np.median(of['gradient_norm']):.3g}"]) + frozen


def short_training_line(now: Moment, scores: Scores) -> str:
    """The loss of the last batches, over the healthy members, and how many are not."""
    healthy = now.frozen_at == HEALTHY
    frozen = f"{(~healthy).sum()} frozen" if not healthy.all() else ""
    if now.step == 0:
        return ", ".join(filter(None, ["untrained", frozen]))
    loss = f"loss {scores.arrays['loss'][healthy].mean():.3g}" if healthy.any() else ""
    return ", ".join(filter(None, [loss, frozen]))


def _lines(console: Console, name: str, members: int, steps: int, rate: Callable[[int], float]) -> Report:
    last = time.perf_counter()

    def report(now: Moment, scores: Scores) -> None:
        nonlocal last
        if now.step < steps and time.perf_counter() - last < SECONDS_BETWEEN_LINES:
            return
        last, speed = time.perf_counter(), rate(now.step)
        left = f"{members * (steps - now.step) / speed:.0f} s left, " if speed else ""
        done = f"{members} members × {now.step}/{steps} steps, {speed:.0f} member-steps/s"
        print_plain(console, f"{name}: {done}, {left}{training_line(now, scores)}")

    return report


@contextlib.contextmanager
def kernel_progress(console: Console, name: str = "kernel") -> Iterator[Callable[[int, int], None]]:
    """A function for `analytic_kernel(arch)(x1, x2, progress=…)`; shows pairs, pairs a second and time left."""
    with _counted(console, name, "pairs", "pairs/s") as report:
        yield lambda done, total: report(done, total, 1)


@contextlib.contextmanager
def gram_progress(console: Console, name: str) -> Iterator[Callable[[GramProgress], None]]:
    """A function to be told how many tiles are computed; shows them, pairs of inputs a second and the time left."""
    with _counted(console, name, "tiles", "pairs/s") as report:
        yield lambda now: report(now.done, now.total, now.pairs_a_tile)


@contextlib.contextmanager
def member_progress(
    console: Console, name: str, total: int, start: int = 0, things: str = "members"
) -> Iterator[Callable[[int], None]]:
    """A function to be told how many members, or other things, are done; shows them, how many a second, time left."""
    with _counted(console, name, things, f"{things}/s", start) as report:
        yield lambda done: report(done, total, 1)


@contextlib.contextmanager
def _counted(
    console: Console, name: str, things: str, unit: str, start: int = 0
) -> Iterator[Callable[[int, int, int], None]]:
    """A function to be told how many things of how many are done, and how many units one is worth."""
    began = last = time.perf_counter()

    def rate(done: int, worth: int) -> float:
        return (done - start) * worth / max(time.perf_counter() - began, 1e-9)

    def line(done: int, total: int, worth: int) -> None:
        nonlocal last
        if done < total and (done == start or time.perf_counter() - last < SECONDS_BETWEEN_LINES):
            return
        last, speed = time.perf_counter(), rate(done, worth)
        left = f", {(total - done) * worth / speed:.0f} s left" if start < done < total else ""
        text = f"{name}: {done}/{total} {things}, {_rounded(speed)} {unit}{left}"
        print_plain(console, text)

    if not console.is_terminal:
        yield line
        return
    with _bar(console, name) as update:
        yield lambda done, total, worth: update(
            completed=done,
            total=total,
            count=f"{done}/{total} {things}",
            rate=f"{_short(rate(done, worth))} {'/s' if _is_narrow(console) else unit}",
            state="",
        )


@contextlib.contextmanager
def _bar(console: Console, name: str) -> Iterator[Callable[..., None]]:
    """A function to be told how much is `completed` of which `total`, that in words, the `rate` and the `state`.

    A spinner turns from the start on: the first of anything is compiled, which takes a while.
    """
    narrow = _is_narrow(console)
    columns = (
        SpinnerColumn(finished_text=" "),
        TextColumn(
            "{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=12 if narrow else 40)
        ),
        BarColumn(bar_width=4 if narrow else 20),
        TextColumn("{task.fields[count]}", table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[rate]}", table_column=Column(no_wrap=True)),
        TimeRemainingColumn(compact=True),
        TextColumn("{task.fields[state]}", markup=False, table_column=Column(no_wrap=True)),
    )
    with Progress(*columns, console=console) as bar:
        yield partial(bar.update, bar.add_task(printable(name), total=None, count="", rate="", state=COMPILING))


def _is_narrow(console: Console) -> bool:
    return console.width < WIDE


def _rounded(rate: float) -> str:
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.2g}"


def _short(rate: float) -> str:
    """Three digits, with k, M or G for thousands, millions, thousands of these."""
    power = min(max(int(math.log10(max(rate, 1)) // 3), 0), 3)
    return f"{rate / 1000**power:.3g}{('', 'k', 'M', 'G')[power]}"
