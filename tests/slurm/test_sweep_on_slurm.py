"""A sweep on a real SLURM: submitted once, taken away by more urgent work, and with the numbers of one that was not."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
import zarr

from tests.support.cluster import told, wait_until
from widesym.launch.sweep.executors.slurm.queue import queued

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("cluster")]
ROOT = Path(__file__).parents[2]
SECONDS = 240
SWEEP = {
    "base": {
        "architecture": {"type": "Architecture", "layers": [{"type": "Flatten"}, {"type": "Dense", "features": 10}]},
        "data": "digits", "train": 12, "test": 6, "members": 3, "steps": 200000, "records": 12,
        "recipe": {"learning_rate": 0.01, "batches": {"type": "IndependentDraws", "size": 4}},
    },
    "product": {"recipe.learning_rate": [0.01, 0.02], "seed": [0, 1]},
    "points": [{}, {"members": 8, "steps": 5000}],
    "members_a_job": 6,
    "strategy": {"members_at_once": 1},
}  # fmt: skip


def sweep(file, output, *options):
    """What the command says."""
    command = [sys.executable, "-m", "widesym.launch", "sweep", str(file), "--output", str(output), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def status(output):
    command = [sys.executable, "-m", "widesym.launch", "status", str(output)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=True, env=os.environ).stdout


def arrays_of(run):
    group = zarr.open_group(run / "logits.zarr", mode="r")
    return {name: np.asarray(group[name]) for name in group.array_keys()}


def test_a_sweep_is_preempted_and_ends_as_one_that_was_not(tmp_path):
    """Folds, ranges and single runs in one array; a job that needs the whole machine comes between."""
    file, output = tmp_path / "sweep.yaml", tmp_path / "out"
    file.write_text(yaml.safe_dump(SWEEP, sort_keys=False))
    on_slurm = ("--executor", "slurm", "--slurm.partition", "low", "--slurm.minutes", "30", "--slurm.jobs-at-once", "2")
    said = sweep(file, output, *on_slurm)
    assert "10 jobs submitted to SLURM" in said
    assert "no jobs to submit: they are queued, running" in sweep(file, output, *on_slurm)
    numbers = list(json.loads((output / "slurm" / "submitted.json").read_text()).values())
    wait_until(lambda: any(path.name.isdigit() for path in output.glob("*/*/checkpoints/*")), SECONDS, "a checkpoint")
    told("sbatch", "--parsable", "--partition=urgent", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    wait_until(lambda: "PENDING" in queued(numbers).values(), SECONDS, "a requeue")
    assert "queued" in status(output)
    wait_until(lambda: not queued(numbers), 2 * SECONDS, f"the end of {numbers}")
    print(status(output))
    logs = "".join(log.read_text() for log in output.glob("slurm/**/*.out"))
    assert "resuming at step" in logs
    assert "8 runs: 8 finished" in status(output)
    sweep(file, tmp_path / "undisturbed")
    for run in (tmp_path / "undisturbed" / "runs").iterdir():
        found, expected = arrays_of(output / "runs" / run.name), arrays_of(run)
        assert found.keys() == expected.keys()
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values)
