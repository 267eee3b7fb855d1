"""What a run directory keeps of one recorded time: arrays in the store, and a row of metrics."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from widesym.ensembles.recorder import write_record
from widesym.ensembles.trainer import Record
from widesym.launch.runs.metrics import add_row, metrics_row
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.run import Run


def write_moment(run: Run, path: Path, record: Record, others: Mapping[str, Shaped[np.ndarray, "member ..."]]) -> None:
    """Write a record, its logits joined along samples, and the `others` of the store's arrays at that time.

    Writing them again replaces them.
    """
    arrays = {"logits": np.concatenate(list(record.logits.values()), axis=1), **others}
    write_record(RunPaths(path).store, record.position, arrays, record.healthy)
    upright = {name: logits[:, : run.layout.sets[name]] for name, logits in record.logits.items()}
    times = run.layout.times
    time = float(times[0, record.position]) if len(times) == 1 else None
    step = run.record_steps[record.position]
    row = metrics_row(step, time, upright, record.healthy, run.recipe.loss, run.training_set, run.evaluation_sets)
    add_row(RunPaths(path).metrics, row)
