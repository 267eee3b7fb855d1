"""Where an analysis goes if nobody says, and what is there already."""

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from widesym.launch.analyses.directory import FINDINGS
from widesym.launch.analyses.files import write_figures, write_tables
from widesym.launch.analyses.matching import match
from widesym.launch.analyses.options import AnalysisOptions, config_of
from widesym.launch.errors import RunDirectoryError
from widesym.launch.runs.directory import Contents, check_config, claim, read_description
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.stored import StoredRun
from widesym.launch.sweep.labels import is_sweep

PLAIN = "analysis"
LONGEST = 48  # characters of runs' names in that of a directory
KERNELS = "theory"
OTHERS = (FINDINGS, "agreement.json", "runs.json", "report.html", "figures/captions.json")
ANALYSIS = Contents(
    "another analysis", "--overwrite replaces it; or name another directory with --output", aside=(KERNELS,)
)


def default_output(asked: AnalysisOptions, runs: Mapping[str, StoredRun], named: Sequence[Path]) -> Path:
    """Beside the runs, in the innermost directory that holds all of them: `analysis` where that is what was named, and
    else `analysis-` with the names of the runs; of a sweep's runs, in the sweep's directory. Where `analysis` holds
    this very analysis, as earlier versions called all of them, it stays there.
    """
    around = Path(os.path.commonpath([Path(os.path.abspath(run.path)).parent for run in runs.values()]))
    around = around.parent if is_sweep(around.parent) else around
    if [Path(os.path.abspath(path)) for path in named] == [around] or _holds(around / PLAIN, asked, runs):
        return around / PLAIN
    return around / f"{PLAIN}-{label_of(list(runs))}"


def label_of(names: Sequence[str]) -> str:
    """The names in one, as far as there is room; with a digest of all, where these are not all of it."""
    words = [re.sub(r"[^\w.=-]+", "-", name) for name in names]
    whole = "+".join(words)
    if words == list(names) and len(whole) <= LONGEST:
        return whole
    shown = next((count for count in range(len(words), 1, -1) if len("+".join(words[:count])) <= LONGEST), 1)
    more = [f"{len(words) - shown}-more"] if shown < len(words) else []
    digest = hashlib.sha256("\n".join(names).encode(errors="surrogateescape")).hexdigest()[:8]
    return "+".join(["+".join(words[:shown])[:LONGEST], *more, digest])


def _holds(directory: Path, asked: AnalysisOptions, runs: Mapping[str, StoredRun]) -> bool:
    """Whether the directory is of this very analysis."""
    try:
        found = read_description(directory)["config"]
        if not is_of_analysis(found) or found["runs"].keys() != runs.keys():
            return False
        matched = match(runs, asked.sick)
        check_config(directory, config_of(asked, matched, matched.named(asked.reference)))
    except (FileNotFoundError, NotADirectoryError, RunDirectoryError):
        return False
    return True


def is_of_analysis(config: Mapping[str, Any]) -> bool:
    """Whether a configuration is one of an analysis, of whatever version."""
    return isinstance(config.get("runs"), dict) and {"reference", "draws"} <= config.keys()


def make_room(directory: Path, config: dict[str, Any]) -> None:
    """Remove what is in the directory of another analysis, but for kernels, which are found by what they are of.

    What others have put there stays. Raises RunDirectoryError for a directory that is of anything but an analysis.
    """
    try:
        found = read_description(directory)["config"]
    except FileNotFoundError:
        return
    if not is_of_analysis(found):
        raise RunDirectoryError(
            f"{directory} is of something else than an analysis, and --overwrite replaces no more than that; name "
            "another directory with --output"
        )
    try:
        check_config(directory, config)
    except RunDirectoryError:
        with claim(directory, found, ANALYSIS):
            _remove(directory)


def _remove(directory: Path) -> None:
    """What an analysis has written, its claim last."""
    write_tables(directory, {})
    write_figures(directory, {})
    inputs = [path for path in (directory / "data").glob("*.npz") if path.stem.isdecimal()]
    others = [directory / name for name in OTHERS]
    for path in (*inputs, *others, RunPaths(directory).config):
        path.unlink(missing_ok=True)
