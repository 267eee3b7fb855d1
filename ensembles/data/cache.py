"""Named sets kept as arrays under the user's cache directory, so that each is fetched and decoded once.

An entry is a folder NAME-DIGEST in `$WIDESYM_CACHE/data` (~/.cache/widesym/data by default), the digest being that of
the source's description. It holds each array as it came, images as bytes, in a .npy file of its own, and `entry.json`,
which says what they are and their checksums. An entry appears whole, by a rename; the folder may be read-only later on.
"""

import contextlib
import hashlib
import json
import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np

from widesym.ensembles.data.dataset import DataError, Quantity, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.ensembles.files import locked, open_without_link, read_text, readable, whole_directory
from widesym.models.description import describe

LONGEST = 80  # characters of a name; file systems take 255 bytes
FACTS = {"format", "name", "provenance", "source", "classes", "quantities", "files", "versions"}
FORMAT = 1  # of an entry; it grows when older ones can no longer be read


@dataclass(frozen=True)
class CacheEntry:
    """A set in the cache: the folder of its arrays and of `entry.json`."""

    path: Path

    @property
    def size(self) -> int:
        """The bytes that the entry's files take on disk."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    @property
    def facts(self) -> dict[str, Any]:
        """What `entry.json` says; raises DataError where it is missing or is not an entry's."""
        path = self.path / "entry.json"
        try:
            found = (facts := json.loads(read_text(path)))["format"]
            if missing := FACTS - facts.keys():
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{path} does not describe a cached set ({error!r}); {self.remedy}") from None
        if found != FORMAT:
            raise DataError(f"{path} has format {found}; this widesym reads format {FORMAT}; {self.remedy}")
        return facts

    @property
    def remedy(self) -> str:
        """What to do about an entry that cannot be used."""
        return f"remove {self.path} and prepare the set again"

    def verify(self) -> None:
        """Raise DataError for a file that is missing, cut short or changed: the path, what is found and expected."""
        for name, expected in self.facts["files"].items():
            path = self.path / name
            if not path.exists():
                raise DataError(f"{path} is missing; {self.remedy}")
            if (found := path.stat().st_size) != expected["bytes"]:
                raise DataError(f"{path} has {found} bytes, expected {expected['bytes']}; {self.remedy}")
            if (found := file_sha256(path)) != expected["sha256"]:
                raise DataError(f"{path} has sha256 {found}, expected {expected['sha256']}; {self.remedy}")

    def read(self) -> Raw:
        """The set, once verified; raises DataError as `verify` does."""
        self.verify()
        with readable(self.path, DataError, self.remedy):
            return self._raw(self.facts)

    def _raw(self, facts: dict[str, Any]) -> Raw:
        def part(split: str) -> RawSplit:
            kept = [name for name in RawSplit._fields if f"{split}.{name}.npy" in facts["files"]]
            return RawSplit(**{name: _array(self.path / f"{split}.{name}.npy") for name in kept})

        test = part("test") if "test.inputs.npy" in facts["files"] else None
        about = facts["provenance"], tuple(facts["classes"]), tuple(Quantity(**each) for each in facts["quantities"])
        return Raw(facts["name"], part("train"), test, *about, facts["versions"])


def _array(path: Path) -> np.ndarray:
    """The array in a file, mapped first, so that a header that says more than the file holds takes no memory."""
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


@runtime_checkable
class Cacheable(Protocol):
    """A source of a set that is kept in the cache."""

    @property
    def entry(self) -> CacheEntry:
        """Where it is kept, whether it is there or not."""
        ...

    def prepare(self) -> None:
        """Bring it into the cache, downloading it where it takes that; raises DataError saying what is in the way."""
        ...

    def load(self) -> Splits:
        """The data, normalised with training statistics; raises DataError where they cannot be had."""
        ...


class FromFiles(ABC):
    """A source that makes its set of files that somebody has, and keeps it in the cache until these change: what is
    `Cacheable`, from where the set is kept (`_title`, `_description`) and how it is read (`_read`).
    """

    def raw(self) -> Raw:
        """All samples, from the cache where that has them; raises DataError where they cannot be had."""
        return cached(self._title, self._description, self._read)

    def prepare(self) -> None:
        """Cache the samples; raises as `raw` does."""
        self.raw()

    @property
    def entry(self) -> CacheEntry:
        """Where the cache keeps the samples of the files as they are now."""
        return entry_of(self._title, self._description)

    @property
    @abstractmethod
    def _title(self) -> str:
        """What the entry is called."""

    @property
    @abstractmethod
    def _description(self) -> dict[str, Any]:
        """What the samples follow from, the state of the files included."""

    @abstractmethod
    def _read(self) -> Raw:
        """The samples, from the files."""


def cache_home() -> Path:
    """Where this machine keeps what is used again: data sets and compiled programs.

    Raises DataError where that is in the home of somebody who has none: there would be a folder of the name ~.
    """
    asked = os.environ.get("WIDESYM_CACHE") or "~/.cache/widesym"
    path = os.path.expanduser(asked)
    if path.startswith("~"):
        raise DataError(f"the cache would be in {asked}, but there is no such home; set WIDESYM_CACHE to a folder")
    return Path(path)


def folder() -> Path:
    """Where entries are kept; raises DataError as `cache_home` does."""
    return cache_home() / "data"


def entries() -> list[CacheEntry]:
    """All entries of the cache, sorted by name; none is read yet."""
    return [CacheEntry(path) for path in sorted(folder().glob("[!.]*")) if path.is_dir()]


def entry_of(name: str, source: Any) -> CacheEntry:
    """Where the set of that name is kept, whether it is there or not; `source` is what `describe` takes."""
    digest = hashlib.sha256(json.dumps(describe(source), sort_keys=True).encode()).hexdigest()[:12]
    return CacheEntry(folder() / f"{re.sub(r'[^A-Za-z0-9_-]+', '-', name)[:LONGEST]}-{digest}")


def cached(name: str, source: Any, make: Callable[[], Raw]) -> Raw:
    """The set that `make` makes, which it does once for all that `source` describes alike, even if two processes ask.

    Nothing is kept of a set whose making fails or is killed. Raises DataError for an entry that is damaged or a folder
    that cannot be written to.
    """
    entry = entry_of(name, source)
    if not entry.path.exists():
        lock = entry.path.with_name(f".{entry.path.name}.lock")
        with explained(lock.parent):
            lock.parent.mkdir(parents=True, exist_ok=True)
            open_without_link(lock, "a").close()
        with locked(lock):
            if not entry.path.exists():  # another process may have made it while this one waited
                write(entry.path, make(), source)
    return entry.read()


@contextlib.contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn what the system says on writing to `path` into what a person can do about it."""
    try:
        yield
    except OSError as error:
        raise DataError(
            f"{path} cannot be written to ({error.strerror or error}); set WIDESYM_CACHE to a folder with room for it"
        ) from None


def write(path: Path, raw: Raw, source: Any) -> None:
    """Write an entry beside its place, and move it there when it is whole; the lock is held."""
    with explained(path), whole_directory(path) as new:
        for split, part in raw.parts.items():
            for name, array in part._asdict().items():
                if array is not None:
                    np.save(new / f"{split}.{name}.npy", array, allow_pickle=False)
        files = {file.name: {"bytes": file.stat().st_size, "sha256": file_sha256(file)} for file in new.iterdir()}
        about = {"format": FORMAT, "name": raw.name, "provenance": raw.provenance, "source": describe(source)}
        about |= {"classes": raw.classes, "quantities": list(map(asdict, raw.quantities)), "files": files}
        (new / "entry.json").write_text(json.dumps(about | {"versions": dict(raw.versions)}, indent=2) + "\n")


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
