"""Where the files of a run directory are."""

import re
from dataclasses import dataclass
from pathlib import Path

LONGEST = 80  # characters of a set's name in that of its file


@dataclass(frozen=True)
class RunPaths:
    """The files and folders of the run in the directory `root`, whether they are there (yet) or not."""

    root: Path

    @property
    def config(self) -> Path:
        """What was trained (`RunRecord`), and the circumstances it was made in."""
        return self.root / "config.json"

    @property
    def store(self) -> Path:
        """The zarr store of logits, metrics and snapshots."""
        return self.root / "logits.zarr"

    @property
    def metrics(self) -> Path:
        """A row of metrics for each recorded step."""
        return self.root / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints, one a step."""
        return self.root / "checkpoints"

    @property
    def strategy(self) -> Path:
        """How members share a device, measured once."""
        return self.root / "strategy.json"

    @property
    def finished(self) -> Path:
        """That the run has ended: seconds, memory, and the digests of all that is recorded."""
        return self.root / "finished.json"

    def data(self, index: int, name: str) -> Path:
        """The data set of this number and name, as it went in."""
        return self.root / "data" / f"{index}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)[:LONGEST]}.npz"
