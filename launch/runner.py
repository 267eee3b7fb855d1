"""One ensemble in one run directory: started, resumed where it stopped, or found finished."""

import resource
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
from rich.console import Console

from ensembles import checkpoints
from ensembles.data import Dataset
from ensembles.recorder import create_store, write_record
from ensembles.trainer import EnsembleState, Progress, Record, Trainer, train
from ensembles.training import TrainingRecipe
from launch.interrupts import interrupts_deferred
from launch.metrics import add_row, metrics_row
from launch.progress import training_progress
from launch.run_directory import check_config, claim, write_json
from models.architecture import Architecture
from models.description import describe


@dataclass(frozen=True)
class Run:
    """Everything an ensemble's numbers depend on, and the sets it is evaluated on."""

    architecture: Architecture
    recipe: TrainingRecipe
    members: int
    seed: int
    record_steps: tuple[int, ...]
    training_set: Dataset
    evaluation_sets: tuple[Dataset, ...]

    @property
    def config(self) -> dict:
        """The resolved configuration, as JSON values; data sets by name and fingerprint of their arrays."""
        fields = {name: describe(getattr(self, name)) for name in ("architecture", "recipe", "members", "seed")}
        sets = [self.training_set, *self.evaluation_sets]
        return {
            **fields,
            "record_steps": list(self.record_steps),
            "data": {
                data.name: {"samples": len(data), "fingerprint": data.fingerprint, "provenance": data.provenance}
                for data in sets
            },
        }

    @property
    def evaluation(self) -> dict[str, Float[Array, "sample row column channel"]]:
        """The inputs whose logits are recorded, the training set's among them."""
        return {data.name: jnp.asarray(data.images) for data in (self.training_set, *self.evaluation_sets)}


def run_ensemble(run: Run, path: Path, console: Console) -> None:
    """Train `run` in `path`, from its last checkpoint if it has one; does nothing if it is finished.

    An interrupt (KeyboardInterrupt) leaves a checkpoint of the step it came at.
    """
    check_config(path, run.config)
    if (path / "finished.json").exists():
        console.print(f"{path.name}: finished, {run.members} members found in {path}", highlight=False, markup=False)
        return
    began = time.perf_counter()
    with claim(path, run.config):
        _train(run, path, console)
        finish = {"seconds": time.perf_counter() - began, "process_peak_memory_bytes": peak_memory()}
        write_json(path / "finished.json", finish)


def peak_memory() -> int:
    """Largest resident size of this process so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _train(run: Run, path: Path, console: Console) -> None:
    trainer = Trainer(run.architecture, run.recipe, run.members, run.seed)
    data = (jnp.asarray(run.training_set.images), jnp.asarray(run.training_set.targets))
    if not (path / "logits.zarr").exists():  # without the records before it, a checkpoint is of no use
        shutil.rmtree(path / "checkpoints", ignore_errors=True)
    latest = _last_checkpoint(trainer, path / "checkpoints", run.training_set.images.shape[1:])
    start, last = latest[1] if latest else 0, run.record_steps[-1]
    if latest:
        console.print(f"{path.name}: resuming at step {start} of {last}", highlight=False, markup=False)
    with training_progress(console, path.name, run.members, last, start) as report:

        def watch(state: EnsembleState, progress: Progress) -> None:
            nonlocal latest
            latest = (state, progress.step)
            report(progress)

        try:
            for record in train(trainer, data, run.evaluation, run.record_steps, latest, watch):
                with interrupts_deferred():
                    _write(run, path, record)
        except KeyboardInterrupt:
            if latest is not None:
                with interrupts_deferred():
                    checkpoints.save(path / "checkpoints", latest[1], latest[0])
            raise


def _write(run: Run, path: Path, record: Record) -> None:
    """Logits before metrics before checkpoint: whatever a checkpoint vouches for is on disk already."""
    store = path / "logits.zarr"
    if not store.exists():
        sizes = {name: len(x) for name, x in run.evaluation.items()}
        classes = len(run.training_set.classes)
        create_store(store, run.record_steps, run.recipe.learning_rate, run.members, sizes, classes)
    write_record(store, record.position, record.logits)
    time_ = record.step * run.recipe.learning_rate
    row = metrics_row(
        record.step, time_, record.logits, run.training_set.targets, run.training_set, run.evaluation_sets
    )
    add_row(path / "metrics.csv", row)
    checkpoints.save(path / "checkpoints", record.step, record.state)


def _last_checkpoint(trainer: Trainer, saved: Path, input_shape: tuple[int, ...]) -> tuple[EnsembleState, int] | None:
    if not checkpoints.saved_steps(saved):
        return None
    return checkpoints.restore_newest(saved, jax.eval_shape(lambda: trainer.init(tuple(input_shape))))
