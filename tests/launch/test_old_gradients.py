"""Runs of earlier versions that were trained with a wrong gradient are named, others are not."""

import json
import shutil

import pytest

from tests.support.damaged_runs import edit, only
from tests.support.stored_runs import POOLED, trained
from widesym.launch.integrity.old_gradients import wrong_gradient
from widesym.launch.integrity.run import examine
from widesym.models import Architecture, AtomSum, Conv, Dense, Flatten, MaxPool, OrbitAverage, Relu, Residual, cyclic

CPU, GPU = ({"device": {"platform": platform}} for platform in ("cpu", "gpu"))
CONV, HEAD = Conv(4, 3, b_std=0.1), (Flatten(), Dense(2))
UNTILED = Architecture((Conv(4, 4, "VALID"), MaxPool(2), *HEAD))
UNTILED_ON_DIGITS = Architecture((Conv(3, 4, "VALID", b_std=0.1), MaxPool(2), Relu(), Flatten(), Dense(10)))


def named(layers, shape=(8, 8, 1), schema=2, circumstances=CPU):
    """What is said of such a run."""
    return wrong_gradient({"schema": schema, **circumstances}, Architecture(layers), shape)


@pytest.mark.parametrize(
    ("layers", "shape", "pools"),
    [
        (UNTILED.layers, (8, 8, 1), "MaxPool(2) on 5×5"),
        ((CONV, MaxPool(2), *HEAD), (8, 6, 1), ""),
        ((CONV, MaxPool(2), *HEAD), (8, 7, 1), "MaxPool(2) on 8×7"),
        ((CONV, MaxPool(2), CONV, MaxPool(3), *HEAD), (9, 9, 1), "MaxPool(2) on 9×9, MaxPool(3) on 4×4"),
        ((CONV, MaxPool(2, 1), MaxPool(3, 2), MaxPool(1), *HEAD), (9, 9, 1), ""),  # by views, which were right
        ((CONV, *HEAD), (9, 9, 1), ""),
        ((AtomSum((CONV, MaxPool(2), *HEAD)),), (3, 5, 5, 1), "MaxPool(2) on 5×5"),
        (
            (OrbitAverage((CONV, Residual((Relu(), CONV)), MaxPool(3), *HEAD), cyclic(4)),),
            (8, 8, 1),
            "MaxPool(3) on 8×8",
        ),
        ((CONV, MaxPool(2), *HEAD), None, "MaxPool(2)"),  # data that are not kept: nobody knows
    ],
    ids=str,
)
def test_pools_that_leave_pixels_over(layers, shape, pools):
    said = named(layers, shape)
    assert bool(said) is bool(pools)
    assert said.startswith(f"was trained with a wrong gradient: {pools}, whose" if pools else "")


def test_versions_and_devices():
    layers = UNTILED.layers
    assert not named(layers, schema=3)
    assert not named(layers, circumstances=GPU)
    for unknown in ({}, {"device": None}):
        assert named(layers, circumstances=unknown)
    assert wrong_gradient(CPU, UNTILED, (8, 8, 1))  # the first schema was not written down


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("old") / "run", UNTILED_ON_DIGITS)


def test_doctor_and_analyze_name_the_run(run, tmp_path, command):
    """As a warning: it can still be read."""
    old = shutil.copytree(run, tmp_path / "run")
    (old / "finished.json").write_text(json.dumps(json.loads((old / "finished.json").read_text()) | {"sha256": {}}))
    assert {check.status for check in examine(old).checks} == {"ok"}
    edit(old / "config.json", lambda found: found.update(schema=2))
    check = only(old)
    assert check[:2] == ("logits.zarr", "warning")
    assert check.detail.startswith("was trained with a wrong gradient: MaxPool(2) on 5×5, whose windows")
    assert check.remedy == f"train it again: widesym train {old / 'config.json'} --output ANOTHER"
    assert command("doctor", "run")[0] == 0
    trained(tmp_path / "tiled", POOLED)
    edit(tmp_path / "tiled" / "config.json", lambda found: found.update(schema=2))
    assert command("analyze", "run", "tiled", "--output", "out")[0] == 0
    findings = json.loads((tmp_path / "out" / "health.json").read_text())
    (found,) = (each for each in findings if "gradient" in each["what"])
    assert found["what"] == "run: gradient"
    assert found["status"] == "problem"
    assert found["detail"] == f"{check.detail}; train it again"
