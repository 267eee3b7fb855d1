"""One copy of each data set for all runs of a sweep: their files are hard links to it, and cost no bytes of their own.

Every run stays whole by itself, wherever it is copied or moved to.
"""

import hashlib
from pathlib import Path

from widesym.ensembles.files import share
from widesym.launch.sweep.directory import SweepDirectory


def share_data(directory: SweepDirectory, run: Path) -> None:
    """Link the data sets in the directory of a run to those that the sweep has, by their digests."""
    directory.data.mkdir(exist_ok=True)
    for file in (run / "data").glob("*.npz"):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        share(file, directory.data / f"{digest}{file.suffix}")
