"""TensorBoard, through the `tracking` extra: the members' metrics while they train."""

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import numpy as np

from widesym.ensembles.member import HEALTHY
from widesym.ensembles.trainer import Moment
from widesym.launch.runs.scores import Scores


@contextlib.contextmanager
def tracked(path: Path, tensorboard: bool) -> Iterator[Callable[[Moment, Scores], None]]:
    """A function to be told where training stands, which writes it to `path`/tensorboard, or to nowhere.

    Per score the mean, the least and the largest over healthy members; and how many are frozen.
    """
    if not tensorboard or jax.process_index() > 0:
        yield lambda moment, scores: None
        return
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(path / "tensorboard"), write_to_disk=True) as writer:
        yield lambda moment, scores: _write(writer, moment, scores)


def check_installed() -> None:
    """Raise ValueError where tensorboardX is missing."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise ValueError("TensorBoard files need tensorboardX: pip install 'widesym[tracking]'")


def _write(writer, moment: Moment, scores: Scores) -> None:
    healthy = moment.frozen_at == HEALTHY
    writer.add_scalar("members/frozen", int((~healthy).sum()), moment.step)
    if moment.step and healthy.any():
        for name, values in scores.arrays.items():
            for statistic in (np.mean, np.min, np.max):
                writer.add_scalar(f"{name}/{statistic.__name__}", float(statistic(values[healthy])), moment.step)
