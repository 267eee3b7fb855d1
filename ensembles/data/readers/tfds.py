"""Named sets from TensorFlow Datasets (https://www.tensorflow.org/datasets), kept as arrays once they have been read.

TensorFlow is needed to prepare most sets, never to read them. Sets are prepared as array_record, where TFDS keeps them
($TFDS_DATA_DIR, ~/tensorflow_datasets by default): its parquet files lose rows without a word. What is prepared there
may be removed once the cache has it.
"""

import contextlib
import difflib
import importlib
import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import ModuleType
from typing import Any

import numpy as np

from widesym.ensembles.data.cache import CacheEntry, cached, entry_of
from widesym.ensembles.data.dataset import DataError, Quantity, Splits
from widesym.ensembles.data.raw import Raw, RawSplit
from widesym.models.checks import check_seed

CATALOG = "https://www.tensorflow.org/datasets/catalog/overview"
ANSWERING = "https://storage.googleapis.com"  # has many of the sets
QUANTITIES = (  # of QM9 (Ramakrishnan et al., Scientific Data 2014, table 3); TFDS has them in single precision
    *(Quantity(name, "GHz") for name in ("A", "B", "C")),
    *(Quantity("mu", "D"), Quantity("alpha", "bohr³")),
    *(Quantity(name, "Ha") for name in ("homo", "lumo", "gap")),
    *(Quantity("r2", "bohr²"), Quantity("zpve", "Ha")),
    *(Quantity(name, "Ha") for name in ("U0", "U", "H", "G")),
    Quantity("Cv", "cal/(mol K)"),
    *(Quantity(f"{name}_atomization", "Ha") for name in ("U0", "U", "H", "G")),
)

Records = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Tfds:
    """An image classification set by its TFDS name ("mnist", "emnist/balanced", "cifar10", …).

    Images are normalised (`Raw.splits` says how, and what `train`, `test` and `seed` draw). The test samples are the
    set's own, or its validation samples, or a fifth held out of a set that has neither. Of "qm9" there is `raw` alone;
    `Qm9` makes signals of it.
    """

    name: str
    train: int | None = None
    test: int | None = None
    seed: int = 0
    stratified: bool = False

    def __post_init__(self):
        check_seed(self.seed, "Tfds: seed")
        if ":" in self.name:
            raise DataError(
                f"Tfds: name is {self.name!r}; names with a colon lead to code of other people's, which is not "
                f"run: give one of {CATALOG}, without a version"
            )

    @property
    def description(self) -> dict[str, str]:
        """What the cached arrays depend on."""
        return {"source": "tfds", "name": self.name}

    @property
    def title(self) -> str:
        """What the cached arrays are called."""
        return f"tfds-{self.name}"

    @property
    def entry(self) -> CacheEntry:
        """Where the cache keeps the set."""
        return entry_of(self.title, self.description)

    def load(self) -> Splits:
        """The set from the cache, or as TFDS has prepared it here; nothing is downloaded.

        Raises DataError where it is neither, or for names that TFDS does not know, sets that do not fit in an array and
        more samples than there are.
        """
        raw = self.raw()
        if not raw.classes:
            raise DataError(f"{self.name} has molecules, not images: load Qm9(origin='tfds')")
        return raw.splits(self.train, self.test, self.seed, self.stratified)

    def raw(self) -> Raw:
        """The set as it came; molecules are charges and positions in Å, [molecule, 29, 4]. Raises as `load` does."""
        return cached(self.title, self.description, self.read)

    def known(self) -> "Tfds":
        """Itself; raises DataError for a name that is neither in the cache nor one of TFDS's."""
        if not self.entry.path.exists():
            builder_of(self.name)
        return self

    def prepare(self) -> None:
        """Download, prepare and cache the set, unless that is done; raises DataError saying what is in the way."""
        cached(self.title, self.description, lambda: prepared(self.name))

    def read(self) -> Raw:
        """The set as TFDS has prepared it; raises DataError where it has not."""
        entry = self.entry.path
        try:
            builder = builder_of(self.name)
        except DataError as error:
            raise DataError(f"{self.name} is not in the cache ({entry}), and {error}") from None
        if not builder.is_prepared():
            _ = reader_of(builder)  # nobody is sent to prepare what we cannot read
            raise DataError(
                f"{self.name} is neither in the cache ({entry}) nor prepared by TFDS ({builder.data_path}). On a "
                f"machine with internet run `widesym data prepare {self.name}`, then copy the folder {entry} here"
            )
        return raw_of(self.name, builder)


def prepared(name: str) -> Raw:
    """The set, after TFDS has downloaded and prepared it; raises DataError saying what is in the way."""
    if (builder := builder_of(name)).is_prepared():
        return raw_of(name, builder)
    builder = builder_of(name, file_format="array_record")
    _ = reader_of(builder)  # what we cannot read is refused before it is downloaded
    try:
        with tried_once_offline():
            builder.download_and_prepare()
    except ImportError as error:
        raise missing_extra(f"{name} cannot be prepared, for which most sets need TensorFlow", error) from error
    except Exception as error:  # whatever the network, the disk and a builder's own code may raise
        hint = "pip install 'widesym[tfds]' has the versions that builders work with (qm9: pandas < 3)"
        if isinstance(error, OSError):
            hint = f"it takes internet: run `widesym data prepare {name}` where there is some, and copy the cache"
        found = f"{type(error).__name__}: {error}"
        raise DataError(f"TFDS could not prepare {name} in {builder.data_path} ({found}); {hint}") from error
    return raw_of(name, builder)


@contextlib.contextmanager
def tried_once_offline() -> Iterator[None]:
    """Have TFDS try downloads once where there is no internet; it tries them for three minutes."""
    downloader: Any = importlib.import_module("tensorflow_datasets.core.download.downloader")
    tries = downloader.MAX_RETRIES
    downloader.MAX_RETRIES = tries if online() else 0
    try:
        yield
    finally:
        downloader.MAX_RETRIES = tries


def online() -> bool:
    """Whether the internet answers, through a proxy where the environment names one."""
    try:
        urllib.request.urlopen(ANSWERING, timeout=5).close()
    except urllib.error.HTTPError:  # an answer, too
        return True
    except OSError:
        return False
    return True


def library() -> ModuleType:
    """TFDS, imported when it is needed; raises DataError where it cannot be."""
    try:
        tfds = importlib.import_module("tensorflow_datasets")
    except ImportError as error:
        raise missing_extra("TFDS cannot be imported", error) from None
    if not hasattr(tfds, "builder"):  # it catches errors of its own import
        raise missing_extra("TFDS cannot be imported", "for the reason that it has printed")
    return tfds


def missing_extra(what: str, why: Any) -> DataError:
    """The error for what an installation without the extra cannot do."""
    return DataError(f"{what} ({why}): pip install 'widesym[tfds]'")


def builder_of(name: str, **options: str) -> Any:
    """The TFDS builder of that name; raises DataError, with the names that come close, where there is none."""
    tfds = library()
    try:
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR"), **options)
    except tfds.core.DatasetNotFoundError:
        names = tfds.list_builders(with_community_datasets=False)
        close = difflib.get_close_matches(name.split("/")[0], names)
        hint = f"did you mean {' or '.join(close)}?" if close else f"they are listed at {CATALOG}"
        raise DataError(f"TFDS has no data set named {name!r}; {hint}") from None
    except ImportError as error:
        raise missing_extra(f"{name} cannot be read", error) from None
    except (ValueError, TypeError, AssertionError) as error:  # an unknown configuration, version or option
        raise DataError(f"TFDS cannot find {name!r}: {str(error).splitlines()[0]}") from None


def raw_of(name: str, builder: Any) -> Raw:
    """A prepared set as arrays; raises DataError where it is in another format, or is not what we can read."""
    info = builder.info
    if "train" not in info.splits:
        raise DataError(f"{builder.data_path} has the splits {sorted(info.splits)}, expected one named train")
    try:
        records = builder.as_data_source(file_format="array_record")
    except ImportError as error:
        raise missing_extra(f"{name} cannot be read", error) from None
    except (NotImplementedError, ValueError):
        raise DataError(
            f"{builder.data_path} has files of format {info.file_format.value}, expected array_record; remove it, or "
            f"set TFDS_DATA_DIR to another folder, and run `widesym data prepare {name}`"
        ) from None
    held_out = next((split for split in ("test", "validation") if split in records), None)
    part_of, classes, quantities = reader_of(builder)
    try:
        train, test = part_of(records["train"]), None if held_out is None else part_of(records[held_out])
    except (RuntimeError, OSError) as error:  # records that are missing, cut short or changed
        raise DataError(
            f"{builder.data_path} cannot be read ({error}); remove it and run `widesym data prepare {name}`"
        ) from None
    versions = {"tensorflow-datasets": library().__version__, info.name: str(info.version)}
    provenance = f"TensorFlow Datasets, {info.full_name} ({info.homepage})"
    return Raw(name, train, test, provenance, classes, quantities, versions)


def reader_of(builder: Any) -> tuple[Callable[[Records], RawSplit], tuple[str, ...], tuple[Quantity, ...]]:
    """How a set's records become arrays, its classes and its quantities; raises DataError for sets of other things."""
    features, keys = dict(builder.info.features.items()), builder.info.supervised_keys or []
    if builder.info.name == "qm9":
        return molecules_of_records, (), QUANTITIES
    kinds = [type(features.get(key)).__name__ for key in keys if isinstance(key, str)]
    if kinds != ["Image", "ClassLabel"]:
        raise DataError(
            f"{builder.info.full_name} is no image classification set: expected an image and a label, found "
            f"{', '.join(f'{name} ({type(feature).__name__})' for name, feature in features.items())}"
        )
    image, label = keys
    return (
        partial(images_of_records, where=str(builder.data_path), image=image, label=label),
        tuple(features[label].names),
        (),
    )


def images_of_records(records: Records, where: str, image: str, label: str) -> RawSplit:
    """Images of one size, and their labels; raises DataError where sizes differ."""
    first = records[0][image]
    images, labels = np.empty((len(records), *first.shape), first.dtype), np.empty(len(records), np.int64)
    for index, record in enumerate(records):
        if record[image].shape != first.shape:
            raise DataError(
                f"{where} has images of several sizes, {first.shape} and {record[image].shape} (row, column, channel); "
                "expected one"
            )
        images[index], labels[index] = record[image], record[label]
    return RawSplit(images, labels)


def molecules_of_records(records: Records) -> RawSplit:
    """Charges and positions of atoms, side by side, and the quantities of molecules."""
    rows = [
        (np.column_stack([record["charges"], record["positions"]]), [record[quantity.name] for quantity in QUANTITIES])
        for record in records
    ]
    inputs, values = (np.array(column, np.float32) for column in zip(*rows, strict=True))
    return RawSplit(inputs, None, values)
