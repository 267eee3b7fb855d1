"""Where the files of a run directory are."""

from dataclasses import dataclass
from pathlib import Path


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
