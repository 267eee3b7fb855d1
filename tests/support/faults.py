"""Faults, in processes that may die of them. Run by test_faults.py; prints what happened as JSON.

python tests/support/faults.py kill OUTPUT TRIES   # SIGKILL at so many moments of a run, then finish it
python tests/support/faults.py full OUTPUT         # OUTPUT is on a small file system, which fills up meanwhile
"""

import json
import mmap
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from widesym.ensembles import FullOrbit, IndependentDraws, Strategy, TrainingRecipe
from widesym.ensembles.checkpoints import Checkpoints
from widesym.ensembles.data import Digits
from widesym.ensembles.trainer import Trainer
from widesym.launch import cli
from widesym.launch.runs import records
from widesym.launch.runs.run import Run
from widesym.launch.training import execution
from widesym.launch.training.execution import Execution, run_ensemble
from widesym.models import Architecture, Conv, Dense, Flatten, Relu, cyclic

EXECUTION = Execution(Strategy(1), checkpoint_seconds=0.0)


def the_run() -> Run:
    """Records and checkpoints all the time."""
    train, test = Digits(train=24, test=20).load()
    arch = Architecture((Conv(4, 3, w_std=2**0.5), Relu(), Flatten(), Dense(10, w_std=0.25)))
    recipe = TrainingRecipe(0.05, batches=IndependentDraws(8), augmentation=FullOrbit(cyclic(4)))
    return Run(arch, recipe, 5, 0, tuple(range(0, 301, 5)), train, (test,))


def told(stage: mmap.mmap, name: bytes, function, after: bytes = b""):
    """The function, which says that it is at work."""

    def wrapped(*arguments):
        before, stage[:5] = bytes(stage[:5]), name
        result = function(*arguments)
        stage[:5] = after or before
        return result

    return wrapped


def child(output: Path, stage: mmap.mmap) -> None:
    """Start or resume the run, as the command does."""
    for module, name in ((execution, "create_store"), (records, "write_record"), (records, "add_rows")):
        setattr(module, name, told(stage, b"store", getattr(module, name)))
    Trainer.advance = told(stage, b"train", Trainer.advance, after=b"train")
    cli.configure_jax()
    run_ensemble(the_run(), output, Console(quiet=True), EXECUTION)


def started(output: Path, stage: mmap.mmap) -> int:
    """A forked process at the run; JAX has not started anything here yet."""
    stage[:5] = b"start"
    process = os.fork()
    if process == 0:
        code = 1
        try:
            child(output, stage)
            code = 0
        finally:
            os._exit(code)
    return process


def half_written(output: Path) -> bool:
    return any((output / "checkpoints").glob("*.orbax-checkpoint-tmp*"))


def wait_for(moment: str, output: Path, stage: mmap.mmap, rng: random.Random) -> None:
    """Until the process is at what is asked for, and a little longer; not for ever, as it may be over already."""
    deadline = time.monotonic() + 20
    if moment != "start":
        while stage[:5] == b"start" and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(rng.uniform(0, 1.5))  # not always at the first
    at = {
        "start": lambda: True,
        "train": lambda: stage[:5] == b"train",
        "store": lambda: stage[:5] == b"store",
        "checkpoint": lambda: half_written(output),
    }[moment]
    while not at() and time.monotonic() < deadline:
        time.sleep(0.0002)
    time.sleep(rng.uniform(0, {"start": 0.5, "train": 0.3, "store": 0.003, "checkpoint": 0.01}[moment]))


def kill(output: Path, tries: int) -> None:
    """Kill the run again and again, at moments of all kinds; then let it finish."""
    rng, stage = random.Random(0), mmap.mmap(-1, 8)
    for number in range(tries):
        process = started(output, stage)
        wait_for(("start", "train", "store", "checkpoint")[number % 4], output, stage, rng)
        os.kill(process, signal.SIGKILL)
        _, status = os.waitpid(process, 0)
        at, in_checkpoint = stage[:5].decode(), half_written(output)
        steps = [int(entry.name) for entry in (output / "checkpoints").glob("*") if entry.name.isdigit()]
        killed = os.WIFSIGNALED(status)
        found = {"killed": killed, "at": at, "in checkpoint": in_checkpoint, "step": max(steps, default=None)}
        print(json.dumps(found), flush=True)
    process = started(output, stage)
    _, status = os.waitpid(process, 0)
    print(json.dumps({"finished": os.waitstatus_to_exitcode(status) == 0}))


def fill(directory: Path) -> None:
    """Until there is no space left."""
    with (directory / "ballast").open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass


def full(output: Path) -> None:
    """The disk fills up before a record, then before a checkpoint; each time space is made, and the run goes on."""
    cli.configure_jax()
    calls = 0

    def then_full(function, call):
        def wrapped(*arguments):
            nonlocal calls
            calls += 1
            if calls == call:
                fill(output.parent)
            return function(*arguments)

        return wrapped

    write_record, save = records.write_record, Checkpoints.save
    for owner, name, function in ((records, "write_record", write_record), (Checkpoints, "save", save)):
        calls = 0
        setattr(owner, name, then_full(function, 7))
        try:
            run_ensemble(the_run(), output, Console(quiet=True), EXECUTION)
            print(json.dumps({"stage": name, "error": None}))
        except OSError as error:
            print(json.dumps({"stage": name, "error": f"{type(error).__name__}: {error}"}))
        setattr(owner, name, function)
        (output.parent / "ballast").unlink()
    run_ensemble(the_run(), output, Console(quiet=True), EXECUTION)
    logits = launch_logits(output)
    np.save(sys.argv[3], logits)


def launch_logits(output: Path) -> np.ndarray:
    from widesym.ensembles.recorder import read_logits

    return np.concatenate(list(read_logits(output / "logits.zarr").values()), axis=2)


if __name__ == "__main__":
    if sys.argv[1] == "kill":
        kill(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        full(Path(sys.argv[2]))
