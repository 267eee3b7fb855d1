"""How much of the disk a run will take, said and checked before it begins."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

from ensembles.recorder import Layout
from ensembles.trainer import Trainer
from ensembles.trial import state_bytes
from launch.run_directory import RunDirectoryError


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
    checkpoints = (kept + 1) * state_bytes(trainer, input_shape)
    needed, free = layout.bytes + checkpoints + data, shutil.disk_usage(path).free
    present = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    parts = f"records {size(layout.bytes)}, checkpoints {size(checkpoints)}, data {size(data)}"
    say(f"takes about {size(needed)} on disk ({parts})")
    if needed - present > free:
        raise RunDirectoryError(
            f"{path} may grow to {size(needed)} (records {size(layout.bytes)}, {kept + 1} checkpoints "
            f"{size(checkpoints)}), but the disk has {size(free)} left; record fewer steps, samples or snapshots, "
            "train fewer members, or choose an output on another disk"
        )


def size(number: float) -> str:
    """Bytes for people."""
    power = max(0, min(4, int(math.log2(max(number, 1)) // 10)))
    return f"{number / 1024**power:.3g} {('B', 'KiB', 'MiB', 'GiB', 'TiB')[power]}"
