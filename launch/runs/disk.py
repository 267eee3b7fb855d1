"""How much of the disk a run will take, said and checked before it begins."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from widesym.ensembles.recorder import Layout
from widesym.ensembles.trainer import Trainer
from widesym.ensembles.trial import state_bytes
from widesym.launch.errors import RunDirectoryError


class DiskSpace(NamedTuple):
    """Bytes that a run takes on disk, but for some KiB."""

    records: int
    checkpoints: int
    data: int

    @property
    def total(self) -> int:
        """The bytes of records, checkpoints and data together."""
        return sum(self)

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {bytes_text(number)}" for name, number in self._asdict().items())
        return f"{bytes_text(self.total)} on disk ({parts})"


def needed_space(layout: Layout, trainer: Trainer, input_shape: tuple[int, ...], kept: int, data: int = 0) -> DiskSpace:
    """What a run takes that keeps the newest `kept` checkpoints; the next one is written before the oldest goes."""
    return DiskSpace(layout.bytes, (kept + 1) * state_bytes(trainer, input_shape), data)


def check_space(
    path: Path,
    layout: Layout,
    trainer: Trainer,
    input_shape: tuple[int, ...],
    kept: int,
    say: Callable[[str], None],
    data: int = 0,
) -> None:
    """Say how much a run in `path` takes with `data` bytes of inputs, but for some KiB; raises RunDirectoryError where
    the disk has less.
    """
    needed, free = needed_space(layout, trainer, input_shape, kept, data), shutil.disk_usage(path).free
    present = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    say(f"takes about {needed}")
    if needed.total - present > free:
        raise RunDirectoryError(
            f"{path} may grow to {bytes_text(needed.total)} (records {bytes_text(needed.records)}, "
            f"{kept + 1} checkpoints {bytes_text(needed.checkpoints)}), but the disk has {bytes_text(free)} left; "
            "record fewer steps, samples or snapshots, train fewer members, or choose an output on another disk"
        )


def bytes_text(number: float) -> str:
    """A number of bytes as text with three digits and a binary unit: 1.5 GiB."""
    power = max(0, min(4, int(math.log2(max(number, 1)) // 10)))
    return f"{number / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
