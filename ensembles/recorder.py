"""The store of a run, one zarr group: every member's logits on every evaluation set at every recorded time, and more.

`xarray.open_zarr(path)` reads it. `logits` has dims (time, member, sample, logit); each sample has its `evaluation_set`
(an index into the attribute `evaluation_sets`), its number in it, `image`, and the group `element` it was moved by.
`healthy` (time, member) says whose numbers are to be trusted, `recorded` (time) what has been written. A member's last
batch left `loss`, `gradient_norm` and, of classes, `accuracy` (time, member), NaN at step 0. `time` is the training
time, Σ of learning rates; where these differ between members it is `training_time` (time, member).

Arrays that are small are one file, put in place whole at each record, for 500 runs of small stores to be few files. Of
others each record is files of its own, of some members each.
"""

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import xarray as xr
import zarr
from jaxtyping import Bool, Float, Shaped
from zarr.codecs import ZstdCodec

from widesym.ensembles.checks import listed
from widesym.ensembles.files import readable, whole_directory
from widesym.ensembles.stores import METRICS, check_lengths, open_group, open_labelled
from widesym.models.errors import UserError

CHECKED = ZstdCodec(level=0, checksum=True)  # a flipped bit fails the read; without, most are read as other numbers
CHUNK_BYTES = 2**24  # of one file, at most, unless one member's record takes more
WHOLE_BYTES = 2**20  # of an array that is one file: what is written anew at each record …
REWRITTEN_BYTES = 2**26  # … and at all of them together
KEYS: Any = {"name": "default", "separator": "."}  # files of an array in one folder, instead of one in four

Sick = Literal["refuse", "exclude", "include"]


class SickMembersError(UserError):
    """There are members whose numbers are not to be trusted, and nobody has said what to do with them."""


@dataclass(frozen=True)
class Snapshot:
    """An array that is recorded for every member beside its logits."""

    name: str
    dimensions: tuple[str, ...]
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What is stored: at `steps`, of `members`, on `sets` (samples each; `orbits`: those also moved by a group, and its
    order), with so many logits, `metrics` of the last batches, and `snapshots`. `by_member` are coordinates of members,
    `member_numbers` who they are (by default 0, 1, …), and `times` is [1, time], or [member, time] where training times
    differ.
    """

    steps: tuple[int, ...]
    times: Float[np.ndarray, "member_or_1 time"]
    members: int
    sets: Mapping[str, int]
    logits: int
    orbits: Mapping[str, int] = field(default_factory=dict)
    snapshots: tuple[Snapshot, ...] = ()
    metrics: tuple[str, ...] = METRICS
    by_member: Mapping[str, Float[np.ndarray, " member"]] = field(default_factory=dict)
    member_numbers: tuple[int, ...] | None = None

    @property
    def samples(self) -> int:
        """Length of the sample axis."""
        return sum(samples * self.orbits.get(name, 1) for name, samples in self.sets.items())

    @property
    def arrays(self) -> tuple[Snapshot, ...]:
        """All floating-point arrays with dims (time, member, …)."""
        logits = Snapshot("logits", ("sample", "logit"), (self.samples, self.logits))
        return (logits, *(Snapshot(name, (), ()) for name in self.metrics), *self.snapshots)

    @property
    def bytes(self) -> int:
        """Size on disk, before compression: floats that differ between members hardly shrink."""
        return 4 * len(self.steps) * self.members * sum(math.prod(array.shape) for array in self.arrays)


def create_store(path: Path, layout: Layout) -> None:
    """Make an empty store (NaN, nothing recorded); it appears whole or not at all."""
    with whole_directory(path) as new:
        _fill_store(new, layout)


def _fill_store(path: Path, layout: Layout) -> None:
    root = zarr.create_group(path, zarr_format=3, attributes={"evaluation_sets": list(layout.sets)})
    shape = (len(layout.steps), layout.members)
    for array in layout.arrays:
        root.create_array(
            array.name,
            shape=(*shape, *array.shape),
            chunks=(*together(*shape, 4 * math.prod(array.shape)), *array.shape),
            dtype="float32",
            fill_value=np.nan,
            dimension_names=("time", "member", *array.dimensions),
            compressors=CHECKED,
            chunk_key_encoding=KEYS,
        )
    common = {"compressors": CHECKED, "chunk_key_encoding": KEYS}
    times, _ = together(*shape, 1)
    healthy, dimensions = np.zeros(shape, bool), ("time", "member")
    root.create_array("healthy", data=healthy, chunks=(times, shape[1]), dimension_names=dimensions, **common)
    for name, (dimensions, values) in coordinates(layout).items():
        root.create_array(name, data=values, dimension_names=dimensions, **common)
    with warnings.catch_warnings():
        # Consolidation is xarray's default way in; zarr warns that v3 has yet to specify it.
        warnings.filterwarnings("ignore", message="Consolidated metadata")
        zarr.consolidate_metadata(path)


def together(times: int, members: int, bytes_each: int) -> tuple[int, int]:
    """Of how many times and members one file holds the records, which take so many bytes of a member at a time."""
    whole = times * members * bytes_each
    if whole <= min(WHOLE_BYTES, CHUNK_BYTES) and times * whole <= REWRITTEN_BYTES:
        return times, members
    return 1, max(1, min(members, CHUNK_BYTES // max(1, bytes_each)))


def coordinates(layout: Layout) -> dict[str, tuple[tuple[str, ...], Shaped[np.ndarray, "..."]]]:
    """Dimensions and values of what stands along the axes, as it is before anything is recorded."""
    elements = [layout.orbits.get(name, 1) for name in layout.sets]
    sizes = list(zip(elements, layout.sets.values(), strict=True))
    common = len(layout.times) == 1
    return {
        "step": (("time",), np.array(layout.steps)),
        **(
            {"time": (("time",), layout.times[0])}
            if common
            else {"training_time": (("time", "member"), layout.times.T)}
        ),
        "recorded": (("time",), np.zeros(len(layout.steps), bool)),
        "member": (("member",), np.array(layout.member_numbers or range(layout.members))),
        **{name: (("member",), values) for name, values in layout.by_member.items()},
        "evaluation_set": (("sample",), np.repeat(np.arange(len(sizes)), [order * size for order, size in sizes])),
        "element": (("sample",), np.concatenate([np.repeat(np.arange(order), size) for order, size in sizes])),
        "image": (("sample",), np.concatenate([np.tile(np.arange(size), order) for order, size in sizes])),
    }


def check_store(path: Path, layout: Layout) -> None:
    """Raise ValueError for a store that holds other arrays than the layout's, or that cannot be read and written on:
    files of several times are read before a record is added to them.
    """
    with readable(path):
        root = open_group(path)
        check_lengths(root)
        for name in ("recorded", "healthy", *(array.name for array in layout.arrays)):
            array = root[name]
            if isinstance(array, zarr.Array) and array.chunks[0] > 1:
                _ = array[:]
        found = {array.name: getattr(root[array.name], "shape", None) for array in layout.arrays}
    for array in layout.arrays:
        expected = (len(layout.steps), layout.members, *array.shape)
        if found[array.name] != expected:
            raise ValueError(f"{path} holds {array.name} of shape {found[array.name]}, but the run's has {expected}")


def write_record(
    path: Path, index: int, arrays: Mapping[str, Shaped[np.ndarray, "member ..."]], healthy: Bool[np.ndarray, " member"]
) -> None:
    """Store one recorded time; writing it again replaces it. Raises ValueError for arrays of another shape, or others
    than the store has.
    """
    root = open_group(path, "r+")

    def stored(name: str) -> zarr.Array:
        array = root[name]
        assert isinstance(array, zarr.Array)
        return array

    for name, values in arrays.items():
        array = stored(name)
        if values.shape != array.shape[1:]:  # zarr would broadcast one member's logits to all
            raise ValueError(f"{name} has shape {values.shape}, but {path} stores {array.shape[1:]} a time")
        array[index] = values
    stored("healthy")[index] = healthy
    stored("recorded")[index] = True  # last: what it vouches for is there


def stored_metrics(path: Path) -> tuple[str, ...]:
    """Which of METRICS a store has: those of earlier versions have all, whatever was trained on."""
    root = open_group(path)
    return tuple(name for name in METRICS if name in root)


def read_logits(path: Path, sick: Sick = "refuse") -> dict[str, Float[np.ndarray, "time member sample logit"]]:
    """All logits, by evaluation set; NaN at times that are not recorded (yet).

    Members that were not healthy at some recorded time are included or excluded, at all times, as `sick` says; without
    being told, raises SickMembersError if there are any.
    """
    return {name: orbit[:, :, 0] for name, orbit in read_orbits(path, sick).items()}


def read_orbits(path: Path, sick: Sick = "refuse") -> dict[str, Float[np.ndarray, "time member element sample logit"]]:
    """The same on the group orbits of the evaluation sets; sets without have one element, the identity."""
    with open_labelled(path) as store:
        kept = members_kept(path, store, sick)
        names, of_sample = store.attrs["evaluation_sets"], store.evaluation_set.values
        orbits = {}
        for index, name in enumerate(names):
            logits = store.logits.values[:, :, of_sample == index][:, kept]
            order = int(store.element.values[of_sample == index].max()) + 1
            orbits[name] = logits.reshape(*logits.shape[:2], order, -1, logits.shape[-1])
        return orbits


def members_kept(path: Path, store: xr.Dataset, sick: Sick) -> Bool[np.ndarray, " member"]:
    """Which members to read: the healthy ones with sick="exclude", all with "include".

    Raises SickMembersError where there are sick ones and `sick` is "refuse", or where no healthy one is left.
    """
    healthy = store.healthy.values[store.recorded.values].all(axis=0)
    if healthy.all() or sick == "include":
        return np.ones(len(healthy), bool)
    found = np.flatnonzero(~healthy)
    what = (
        f"{len(found)} of {len(healthy)} members in {path} are not healthy: their numbers were not finite "
        f"({listed(found)})"
    )
    if sick == "refuse":
        raise SickMembersError(
            f"{what}; lower the learning rate or widen the networks, or read with sick='exclude' or 'include'"
        )
    if not healthy.any():
        raise SickMembersError(f"{what}; none is left")
    return healthy
