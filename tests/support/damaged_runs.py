"""Whole runs on digits, what damages them, and what is then found."""

import json
from pathlib import Path

import pytest
import zarr
from rich.console import Console

from tests.support.stored_runs import CONV, TEST, TRAIN, trained
from widesym.ensembles import Strategy, TrainingRecipe, recorder
from widesym.launch.config.snapshots import Parameters
from widesym.launch.integrity.files import Check
from widesym.launch.integrity.run import examine
from widesym.launch.runs.run import Run
from widesym.launch.training.execution import Execution, run_ensemble

RUN = Run(CONV, TrainingRecipe(0.1), 3, 5, (0, 1, 4), TRAIN, (TEST,), snapshots=(Parameters(),))


def whole_run(path: Path) -> Path:
    """A finished run, each member in a chunk of its own, with a checkpoint of every record."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(recorder, "CHUNK_BYTES", 1)
        return trained(path, members=3, kept=9, snapshots=(Parameters(),))


def problems(path):
    """Checks that are not ok, by file."""
    return {check.file: check for check in examine(path).checks if check.status != "ok"}


def only(path) -> Check:
    """The one check that is not ok."""
    (check,) = problems(path).values()
    return check


def store(path):
    return zarr.open_group(path / "logits.zarr", mode="r+", use_consolidated=False)


def halve(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def flip(file, place=0.5, bit=0):
    content = bytearray(file.read_bytes())
    content[int(place * len(content))] ^= 1 << bit
    file.write_bytes(content)


def edit(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def without_digests(path):
    """As runs of earlier versions were finished."""
    edit(path / "finished.json", lambda content: content.pop("sha256"))
    return path


def start_again(path, run=RUN):
    """What the run says when it is started again."""
    console = Console(record=True, width=200)
    run_ensemble(run, path, console, Execution(Strategy(1), checkpoints_kept=9))
    return console.export_text()


def unlink(file):
    file.unlink()
