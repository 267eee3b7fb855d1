"""The files of a run directory, one by one: whether each is as it was written, and what to do where it is not."""

import hashlib
import json
import shlex
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from widesym.ensembles.data import DataError
from widesym.ensembles.data.stored import load_dataset
from widesym.ensembles.files import read_text
from widesym.launch.runs.metrics import read_metrics
from widesym.launch.runs.paths import RunPaths
from widesym.launch.runs.record import RunRecord

RECORDS = ("config.json", "data", "logits.zarr", "metrics.csv", "stability.json", "strategy.json")
BEGUN = (".new", ".partial")  # suffixes of files that are being written
LEFT = (*(f"*{suffix}" for suffix in BEGUN), "*.orbax-checkpoint-tmp*", "*.unreadable")
COPY = "take it from a copy of the run"
ANEW = "start the run again in this directory, which writes it anew"


class Check(NamedTuple):
    """A file, how it is, and what to do about it."""

    file: str
    status: Literal["ok", "warning", "problem"]
    detail: str
    remedy: str = ""


def file_digests(path: Path) -> dict[str, str]:
    """The sha256 of every file of the records in `path`, by its name from there; checkpoints have sums of their own.

    Reads all of them: 1.4 GB/s on one core, where the disk is as fast.
    """
    found = [file for name in RECORDS for file in sorted([path / name, *(path / name).rglob("*")])]
    kept = [file for file in found if file.is_file() and file.suffix not in BEGUN]
    return {file.relative_to(path).as_posix(): _digest(file) for file in kept}


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def once_more(path: Path) -> str:
    """How to get back a file of a run whose config.json is whole; trained alike, it has the same numbers."""
    command = shlex.join(["widesym", "train", str(RunPaths(path).config), "--output", "ANOTHER"])
    return f"{COPY}, or train it once more: {command}"


def check_finished(path: Path, known: Collection[str]) -> list[Check]:
    """Hold the records against the digests in finished.json; files that are `known` to be damaged are left out."""
    file = RunPaths(path).finished
    if not file.exists():
        return []
    try:
        recorded = json.loads(read_text(file)).get("sha256")
        if recorded is not None and not isinstance(recorded, dict):
            raise TypeError(f"sha256 is {recorded!r}, not digests by file")
    except (ValueError, AttributeError, TypeError) as error:
        remedy = f"remove {file} and start the run again, which writes it anew"
        return [Check("finished.json", "problem", f"cannot be read ({type(error).__name__}: {error})", remedy)]
    if recorded is None:
        detail = "has no digests, as of earlier versions: bytes that changed may go unseen"
        return [Check("finished.json", "warning", detail, "none is needed, but a copy of the run is worth having")]
    return _changed(path, recorded, known) or [Check("finished.json", "ok", f"{len(recorded)} files held to digests")]


def _changed(path: Path, recorded: Mapping[str, str], known: Collection[str]) -> list[Check]:
    checks = []
    for name, digest in recorded.items():
        if name in known:
            continue
        remedy = COPY if name == "config.json" else once_more(path)
        if not (path / name).is_file():
            checks.append(Check(name, "problem", "is missing since the run was finished", remedy))
        elif _digest(path / name) != digest:
            checks.append(Check(name, "problem", "has changed since the run was finished (other sha256)", remedy))
    return checks


def check_data_digests(path: Path, record: RunRecord) -> tuple[tuple[int, ...] | None, list[Check]]:
    """Hold every data set against its digest in the record; and the shape of an input, if it is known."""
    shape, checks = None, []
    for index, (name, recorded) in enumerate(record.data.items()):
        file = RunPaths(path).data(index, name)
        label, remedy = file.relative_to(path).as_posix(), f"remove {file} and {ANEW}"
        if not file.exists():
            earlier = not file.parent.exists()
            detail = "is missing" + (", as in runs of earlier versions" if earlier else "")
            checks.append(Check(label, "warning" if earlier else "problem", detail, ANEW))
            continue
        try:
            data = load_dataset(file)
        except DataError as error:
            checks.append(Check(label, "problem", str(error).removeprefix(f"{file} "), remedy))
            continue
        if data.fingerprint == recorded.fingerprint:
            shape = data.inputs.shape[1:]
            checks.append(Check(label, "ok", f"{len(data)} samples, those that the run was made with"))
        else:
            detail = f"has digest {data.fingerprint}, but the run was made with {recorded.fingerprint}"
            checks.append(Check(label, "problem", detail, remedy))
    return shape, checks


def check_metrics(path: Path, recorded: Sequence[int], reached: float) -> Check:
    """Hold the rows of metrics.csv against the steps that are recorded; those after step `reached` come again."""
    try:
        rows = read_metrics(RunPaths(path).metrics)
        found = list(dict.fromkeys(int(row["step"]) for row in rows))
    except (ValueError, KeyError, TypeError) as error:
        return Check("metrics.csv", "problem", f"cannot be read ({type(error).__name__}: {error})", once_more(path))
    lacking = [step for step in recorded if step <= reached and step not in found]
    beyond = [step for step in found if step not in recorded]
    if lacking or beyond:
        parts = (("lacks steps", lacking), ("has steps that are not recorded:", beyond))
        detail = ", ".join(f"{what} {', '.join(map(str, steps))}" for what, steps in parts if steps)
        return Check("metrics.csv", "problem", detail, once_more(path))
    each = "one" if len(rows) == len(found) else "one or more"  # of members with numbers of their own
    return Check("metrics.csv", "ok", f"{len(rows)} rows, {each} for each recorded step")


def check_left(path: Path) -> Iterator[Check]:
    """What killed processes have left behind, and checkpoints that a resumed run has set aside."""
    found = {file for pattern in LEFT for file in path.rglob(pattern)}
    for file in sorted(file for file in found if not found & set(file.parents)):
        aside = file.suffix == ".unreadable"
        detail = "a damaged checkpoint, set aside" if aside else "left half-written by a process that was killed"
        yield Check(file.relative_to(path).as_posix(), "warning", detail, f"remove {file}; nothing reads it")
