"""The runs that are asked for: directories of one, of several, or of sweeps, and what each run is called."""

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from widesym.launch.config.own import Modules
from widesym.launch.errors import MismatchError
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.stored import StoredRun
from widesym.launch.sweep.labels import is_sweep, labelled_runs


def runs_in(
    paths: Sequence[Path], modules: Modules = (), say: Callable[[str], None] = lambda line: None
) -> dict[str, StoredRun]:
    """Runs by name, from their directories, from directories of such, or from those of sweeps, with classes of these
    modules.

    A name is the directory's own, or with its parents' as far as it takes to tell runs apart; runs of a sweep are named
    by what it varies (`labels_of`), and `say` hears of those that have recorded nothing. Raises RunDirectoryError for
    what holds no run, and MismatchError for one that is named twice, or by what cannot be printed.
    """
    found: list[Path] = []
    labels: dict[Path, str] = {}
    for path in paths:
        if is_sweep(path):
            of_sweep = labelled_runs(path)
            for line in of_sweep.lines_on_missing():
                say(f"{path}: {line}")
            labels |= {place: label for label, place in of_sweep.places.items()}
            found += [place for place in labels if place not in found]
            continue
        within = sorted(store.parent for store in path.glob("*/logits.zarr"))
        found += within if within and not RunPaths(path).store.exists() else [path]
    resolved = [path.resolve() for path in found]
    twice = [str(path) for path, whole in zip(found, resolved, strict=True) if resolved.count(whole) > 1]
    if twice:
        raise MismatchError(f"{twice[0]} is named twice; an ensemble would be compared with itself")
    names = _names(found, labels)
    for name in names:
        if not name.isprintable():
            raise MismatchError(f"{name!a} is no name that can be written down; rename the directory")
    return dict(zip(names, (StoredRun(path, modules) for path in found), strict=True))


def _names(found: Sequence[Path], labels: Mapping[Path, str]) -> list[str]:
    """Labels where there are any, with the sweep's name where two are alike; else what `_ends` gives."""
    ends = iter(_ends([Path(os.path.abspath(path)) for path in found if path not in labels]))
    others = {path: next(ends) for path in found if path not in labels}
    sweeps = {path: f"{os.path.basename(os.path.abspath(path.parents[1]))}: {label}" for path, label in labels.items()}
    for called in ({**others, **labels}, {**others, **sweeps}):
        if len(set(called.values())) == len(found):
            return [called[path] for path in found]
    return _ends([Path(os.path.abspath(path)) for path in found])


def _ends(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths, all of as many parts, that differ from each other."""
    longest = max((len(path.parts) for path in paths), default=1)
    by_depth = (["/".join(path.parts[-depth:]) for path in paths] for depth in range(1, longest + 1))
    return next(names for names in by_depth if len(set(names)) == len(names))
