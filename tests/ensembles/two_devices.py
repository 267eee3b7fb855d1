"""Run by test_devices.py in a process of its own: the number of CPU devices is fixed before JAX starts."""

import sys
from pathlib import Path

import jax
import numpy as np

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_default_matmul_precision", "highest")
jax.config.update("jax_compilation_cache_dir", sys.argv[2])
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)

from test_trainer import CNN, RECIPE, STEPS, data  # noqa: E402

from ensembles import Trainer, checkpoints, train  # noqa: E402


def main(output: Path) -> None:
    """Members on both devices, all at once and from a checkpoint; save logits and where the members were."""
    (x, y, x_eval), trainer = data(), Trainer(CNN, RECIPE, members=4)
    records = list(train(trainer, (x, y), {"eval": x_eval, "train": x}, STEPS))
    checkpoints.save(output, records[1].step, records[1].state)
    resume = checkpoints.restore(output, records[1].step, records[0].state), records[1].step
    resumed = list(train(trainer, (x, y), {"eval": x_eval, "train": x}, STEPS, resume))
    three = list(train(Trainer(CNN, RECIPE, members=3), (x, y), {"eval": x_eval, "train": x}, STEPS))
    devices = {len(leaf.devices()) for record in records for leaf in jax.tree.leaves(record.state.params)}
    np.savez(
        output / "found.npz",
        logits=[record.logits["eval"] for record in records],
        resumed=[record.logits["eval"] for record in resumed],
        three=[record.logits["eval"] for record in three],
        devices=sorted(devices),
    )


main(Path(sys.argv[1]))
