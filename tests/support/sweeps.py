"""Small sweeps, for tests, and for the processes that these start."""

import json
from pathlib import Path

import yaml

SMALL = {
    "base": {
        "architecture": {
            "type": "Architecture",
            "layers": [{"type": "Flatten"}, {"type": "Dense", "features": 4}, {"type": "Relu"},
                       {"type": "Dense", "features": 10}],
        },
        "data": "digits", "train": 12, "test": 6, "ood": ["letters"], "ood_samples": 5,
        "recipe": {"learning_rate": 0.1, "augmentation": {"type": "FullOrbit", "group": "C4"}},
        "members": 3, "steps": 6, "records": 4, "snapshots": [{"type": "Parameters"}],
    },
    "strategy": {"members_at_once": 1},
}  # fmt: skip


def sweep_file(folder: Path, name: str = "small", base=None, **fields) -> Path:
    """A file for `widesym sweep`."""
    whole = {**SMALL["base"], **base} if isinstance(base, dict) else base or SMALL["base"]
    content = {**SMALL, "base": whole, **fields}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def plan_of(output: Path, name: str = "small") -> dict:
    return json.loads((output / "plans" / f"{name}.json").read_text())


def runs_by_changes(output: Path, name: str = "small") -> dict[tuple, Path]:
    """Run directories by the values that set them apart."""
    return {
        tuple(map(str, changes.values())): output / "runs" / run
        for run, changes in plan_of(output, name)["runs"].items()
    }
