"""Directories as analyses leave them, with text that would break a page which did not escape it."""

import json

import numpy as np
from PIL import Image

NASTY = "<script>alert(1)</script> & \"quoted\" 'text'"
CONFIG = {
    "config": {"name": "digits, C4", "runs": ["augmented", "gcnn"], "note": NASTY},
    "versions": {"python": "3.11.2", "jax": "0.10"},
    "git_commit": "0123abc+changes",
    "device": {"platform": "cpu", "kind": "cpu", "count": 2},
}
HEALTH = [
    {"what": "members", "status": "ok", "detail": "all 64 are healthy"},
    {"what": "noise floor", "status": "warning", "detail": NASTY},
    {"what": "theory", "status": "problem", "detail": "the learning rate is above the largest stable one"},
]
AGREEMENT = [
    {"what": "augmented and gcnn", "evaluation_set": "test", "verdict": "not distinguishable", "detail": "at most 2 %"},
    {"what": "gcnn and theory", "evaluation_set": "test", "verdict": "differ", "detail": f"by 162 % {NASTY}"},
]
RUNS = [
    {
        "name": "augmented",
        "path": "/runs/digits-c4/" + "augmented-on-the-full-orbit",
        "members": 64,
        "steps": 600,
        "seed": 0,
        "training_time": 512.25,
        "architecture": "Conv(64, size=3)\nRelu()\nDense(10)  # " + 60 * "wide ",
        "provenance": NASTY + 80 * "long",
    },
    {
        "name": "gcnn",
        "path": "/runs/digits-c4/gcnn",
        "members": 64,
        "steps": 600,
        "seed": None,
        "training_time": 512.25,
    },
]
CAPTIONS = {"second": f"Divergence over time. {NASTY}", "first": "Mean logits.", "gone": "Not there."}
SHORT = "run,evaluation_set,divergence,size\naugmented,letters,0.0312345678,64\n<b>gcnn</b>,letters,nan,032\n"
LONG_ROWS = 700


def make(directory):
    """An analysis directory of all parts."""
    for folder in ("tables", "figures"):
        (directory / folder).mkdir(parents=True)
    parts = {"config": CONFIG, "health": HEALTH, "agreement": AGREEMENT, "runs": RUNS, "figures/captions": CAPTIONS}
    for name, value in parts.items():
        (directory / f"{name}.json").write_text(json.dumps(value))
    for name, width in {"first": 900, "second": 1500, "third": 300}.items():
        pixels = np.random.default_rng(width).integers(0, 255, (40, width, 3), np.uint8)
        Image.fromarray(pixels).save(directory / "figures" / f"{name}.png")
    (directory / "tables" / "divergence.csv").write_text(SHORT)
    columns = [f"column_{number}_of_many" for number in range(12)]
    rows = [
        ",".join(
            [*columns],
        ),
        *(",".join(f"{row}.{k}" for k in range(12)) for row in range(LONG_ROWS)),
    ]
    (directory / "tables" / "divergence_by_size.csv").write_text("\n".join(rows) + "\n")
    return directory
