"""Whether the store of a run holds all that it vouches for: every chunk of every recorded time, member by member."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zarr
from jaxtyping import Bool, Shaped

from widesym.ensembles.checks import listed
from widesym.ensembles.files import first_line, read_text
from widesym.ensembles.stores import METRICS, OF_VALUES, open_group

ALWAYS = ("logits", "healthy", "recorded", "step", *OF_VALUES)  # arrays of every store

Values = Shaped[np.ndarray, "..."]


class Damage(NamedTuple):
    """What is wrong with a file of the store, and the recorded step that it is of; None where several suffer."""

    file: str
    detail: str
    step: int | None = None


class Contents(NamedTuple):
    """Steps that are recorded, numbers of members that were not healthy at one of them, and what is wrong."""

    steps: list[int]
    sick: list[int]
    damages: list[Damage]


class Chunk(NamedTuple):
    """One file of an array, the part of the array that it is, and its values, or why these cannot be read."""

    file: str
    there: bool
    place: tuple[slice, ...]
    values: Values | None
    error: str


def examine_store(path: Path, members: int, expected: Mapping[str, Values]) -> Contents:
    """Read all of the store in `path`, chunk by chunk. Of `members` networks, and with these coordinates `expected`
    (`widesym.ensembles.recorder.coordinates`) but for `recorded`.
    """
    damages: list[Damage] = []
    arrays = dict(_arrays(path, {*ALWAYS, *expected}, damages))
    if damages:
        return Contents([], [], damages)
    step = expected.get("step", _gathered(path, arrays["step"], damages))
    recorded = _gathered(path, arrays["recorded"], damages).astype(bool)
    for name, array in arrays.items():
        if _of_members(array) and array.shape[:2] != (len(step), members):
            detail = f"has shape {array.shape}, but the run has {len(step)} times and {members} members"
            damages.append(Damage(f"{name}/zarr.json", detail))
    if damages:
        return Contents([], [], damages)
    healthy = _gathered(path, arrays["healthy"], damages, step).astype(bool)
    damages += _health_damages(path, arrays["healthy"], step, recorded & ~healthy.any(axis=1), damages)
    for name, array in arrays.items():
        if name in expected and name != "recorded":
            damages += _coordinate_damages(path, array, expected[name])
        elif _of_members(array) and name != "healthy":
            damages += _record_damages(path, array, step, recorded, healthy)
    known = recorded & healthy.any(axis=1)
    sick = np.flatnonzero(~healthy[known].all(axis=0)).tolist()
    return Contents(step[recorded].tolist(), sick, damages)


def _health_damages(
    path: Path,
    array: zarr.Array,
    step: Shaped[np.ndarray, " time"],
    nobody: Bool[np.ndarray, " time"],
    known: Sequence[Damage],
) -> Iterator[Damage]:
    """Files, but for those known to be damaged, that call `nobody` healthy at recorded times: training stops there."""
    for row in np.flatnonzero(nobody):
        file = _file(array, (int(row) // array.chunks[0], 0))
        if file not in [each.file for each in known]:
            detail = f"is missing or empty: it calls no member healthy at step {step[row]}"
            alone = array.chunks[0] == 1 or (path / file).exists()
            yield Damage(file, detail, int(step[row]) if alone else None)


def _arrays(path: Path, names: set[str], damages: list[Damage]) -> Iterator[tuple[str, zarr.Array]]:
    """Those of these names, and whatever else the store was made with."""
    try:
        made = json.loads(read_text(path / "zarr.json"))["consolidated_metadata"]["metadata"]
        root = open_group(path)
    except Exception as error:
        damages.append(Damage("zarr.json", f"cannot be read ({type(error).__name__})"))
        return
    for name in sorted({*names, *made}):
        try:
            array = root[name]
            assert isinstance(array, zarr.Array)
            yield name, array
        except Exception as error:
            damages.append(Damage(f"{name}/zarr.json", f"is missing or cannot be read ({type(error).__name__})"))


def _of_members(array: zarr.Array) -> bool:
    return (array.metadata.dimension_names or ())[:2] == ("time", "member")  # pyright: ignore[reportAttributeAccessIssue]


def _chunks(path: Path, array: zarr.Array, times: Bool[np.ndarray, " time"] | None = None) -> Iterator[Chunk]:
    """Every chunk, or those in which one of these times is."""
    for index in np.ndindex(*array.cdata_shape):
        sizes = zip(index, array.chunks, array.shape, strict=True)
        place = tuple(slice(at * size, min((at + 1) * size, end)) for at, size, end in sizes)
        if times is None or times[place[0]].any():
            file = _file(array, index)
            yield Chunk(file, (path / file).exists(), place, *_read(array, place))


def _file(array: zarr.Array, index: tuple[int, ...]) -> str:
    """The file that a chunk is in, from the store's folder on; versions differ in how they name it."""
    return f"{array.basename}/{array.metadata.encode_chunk_key(index)}"  # pyright: ignore[reportAttributeAccessIssue]


def _read(array: zarr.Array, place: tuple[slice, ...]) -> tuple[Values | None, str]:
    try:
        return np.asarray(array[place]), ""
    except Exception as error:  # of codecs, of the file system
        return None, f"cannot be read ({first_line(error)})"


def _gathered(
    path: Path, array: zarr.Array, damages: list[Damage], step: Shaped[np.ndarray, " time"] | None = None
) -> Values:
    """All values, zero where they cannot be read; `step` says which each chunk is of."""
    found = np.zeros(array.shape, array.dtype)
    for chunk in _chunks(path, array):
        if chunk.values is None:
            damages.append(Damage(chunk.file, chunk.error, None if step is None else _only_step(step[chunk.place[0]])))
        else:
            found[chunk.place] = chunk.values
    return found


def _record_damages(
    path: Path,
    array: zarr.Array,
    step: Shaped[np.ndarray, " time"],
    recorded: Bool[np.ndarray, " time"],
    healthy: Bool[np.ndarray, "time member"],
) -> Iterator[Damage]:
    """Chunks that cannot be read, and those in which a healthy member's numbers are not finite: what was never written
    reads as NaN. Members have no metrics at step 0.
    """
    vouched = recorded[:, None] & healthy
    if array.basename in METRICS:
        vouched &= step[:, None] > 0
    for chunk in _chunks(path, array, recorded):
        rows, columns = chunk.place[:2]
        lost, steps = vouched[rows, columns], step[rows]
        if chunk.values is None or not chunk.there:
            lost = lost | recorded[rows, None] if chunk.error else lost  # also members whose numbers do not count
            if lost.any():
                which, at = _members(columns, lost.any(axis=0)), steps[lost.any(axis=1)].tolist()
                detail = (
                    f"{chunk.error or 'is missing'}: {which} at step{'s' * (len(at) > 1)} {', '.join(map(str, at))}"
                )
                yield Damage(chunk.file, detail, _only_step(steps))
            continue
        lost = lost & ~np.isfinite(chunk.values).all(axis=tuple(range(2, chunk.values.ndim)))
        for row in np.flatnonzero(lost.any(axis=1)):
            detail = f"holds numbers that are not finite: {_members(columns, lost[row])} at step {steps[row]}"
            yield Damage(chunk.file, detail, int(steps[row]))


def _only_step(steps: Shaped[np.ndarray, " time"]) -> int | None:
    """The step of a file that holds one; None for several, of which a run that goes on writes the later ones alone."""
    return int(steps[0]) if len(steps) == 1 else None


def _members(columns: slice, which: Any) -> str:
    return listed(np.arange(columns.start, columns.stop)[which])


def _coordinate_damages(path: Path, array: zarr.Array, expected: Values) -> Iterator[Damage]:
    """Chunks that cannot be read, and those with other values than follow from the configuration."""
    if array.shape != expected.shape:
        yield Damage(f"{array.basename}/zarr.json", f"has shape {array.shape}, but the run's has {expected.shape}")
        return
    for chunk in _chunks(path, array):
        if chunk.values is None:
            yield Damage(chunk.file, chunk.error)
        elif not _agree(chunk.values, expected[chunk.place]):
            how = "holds other values than follow from config.json" if chunk.there else "is missing"
            yield Damage(chunk.file, how)


def _agree(found: Values, expected: Values) -> bool:
    """Equal, sums of learning rates to the rounding of another library's schedule."""
    if np.issubdtype(expected.dtype, np.floating):
        return np.allclose(found, expected, rtol=1e-5, atol=0)
    return np.array_equal(found, expected)
