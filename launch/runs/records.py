"""What a run directory keeps of one recorded time: arrays in the store, and a row of metrics."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from widesym.ensembles.hyperparameters import groups_of
from widesym.ensembles.recorder import write_record
from widesym.ensembles.trainer import Record
from widesym.launch.runs.metrics import Row, add_rows, metrics_row
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.run import Run


def write_moment(run: Run, path: Path, record: Record, others: Mapping[str, Shaped[np.ndarray, "member ..."]]) -> None:
    """Write a record, its logits joined along samples, and the `others` of the store's arrays at that time.

    Writing them again replaces them.
    """
    arrays = {"logits": np.concatenate(list(record.logits.values()), axis=1), **others}
    write_record(RunPaths(path).store, record.position, arrays, record.healthy)
    add_rows(RunPaths(path).metrics, _metrics_rows(run, record))


def _metrics_rows(run: Run, record: Record) -> list[Row]:
    """A row for all members, or for those of each number that members have of their own."""
    upright = {name: logits[:, : run.layout.sets[name]] for name, logits in record.logits.items()}
    times, step = run.layout.times[:, record.position], run.record_steps[record.position]
    rows = []
    for numbers, members in groups_of(run.recipe.numbers, run.members):
        time = float(times[members[0]] if len(times) > 1 else times[0])
        logits, healthy = {name: values[members] for name, values in upright.items()}, record.healthy[members]
        row = metrics_row(step, time, logits, healthy, run.recipe.loss, run.training_set, run.evaluation_sets)
        rows.append({"step": step, **numbers, **row})
    return rows
