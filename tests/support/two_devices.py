"""Run by test_devices.py in processes of its own: devices and processes are fixed before JAX starts.

Own argument: output directory.
"""

from pathlib import Path

import jax
import numpy as np

from tests.support.jax_processes import start_jax

PROCESSES, PROCESS, (OUTPUT,) = start_jax()

from tests.ensembles.test_trainer import CNN, RECIPE, TRAINED_ON, data  # noqa: E402
from widesym.ensembles import Trainer, train  # noqa: E402
from widesym.ensembles.checkpoints import Checkpoints, saved_steps  # noqa: E402

STEPS = (0, 3, 7, 100)


def main(output: Path) -> None:
    """Five members over all devices, from the newest checkpoint if there is one; save their logits at each step."""
    (x, y, x_eval), trainer = data(), Trainer(CNN, RECIPE, members=5, data_fingerprint=TRAINED_ON)
    checkpoints = Checkpoints(output / "checkpoints", trainer, kept=9)
    resume = checkpoints.restore_newest(x.shape[1:])
    found = {"devices": np.array(jax.device_count()), "saved": np.array(saved_steps(checkpoints.directory))}
    for moment in train(trainer, (x, y), {"eval": x_eval, "train": x}, STEPS, resume):
        if moment.record:
            found[f"logits{moment.step}"] = moment.record.logits["eval"]
            checkpoints.save(moment.step, moment.state)
        found["spread"] = np.array(len(moment.state.params["layers"][0]["weight"].sharding.device_set))
    checkpoints.wait()
    np.savez(output / f"found{PROCESS}.npz", **found)


main(Path(OUTPUT))
