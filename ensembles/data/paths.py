"""Which source reads a file or folder, as its name and what is in it say."""

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from widesym.ensembles.data.dataset import DataError, Source
from widesym.ensembles.data.readers.amat import VARIATIONS, Amat
from widesym.ensembles.data.readers.cifar import CifarBinary
from widesym.ensembles.data.readers.cifar10c import LABELS, Cifar10C
from widesym.ensembles.data.readers.cifar100 import Cifar100Binary
from widesym.ensembles.data.readers.cifar_python import CifarPython
from widesym.ensembles.data.readers.emnist import Emnist, Part
from widesym.ensembles.data.readers.files import contents
from widesym.ensembles.data.readers.idx import IdxFiles
from widesym.ensembles.data.readers.image_folders import ImageFolders
from widesym.ensembles.data.readers.npz import Npz
from widesym.ensembles.data.readers.picture_trees import holds_pictures
from widesym.ensembles.data.readers.qm9 import Qm9

IMAGES = "train-images[-.]idx3-ubyte*"
SHOWN = 3  # sources that a message lists at most


def source_at(path: Path) -> Source:
    """The source that reads a file or folder; raises DataError for none and for several."""
    found = [source_of_file(path)] if path.is_file() else sources_in(path)
    if len(found) > 1 and not holds_pictures(path):  # folders of something else
        found = [source for source in found if not isinstance(source, ImageFolders)]
    if len(found) > 1:
        shown = [as_written(source) for source in found[:SHOWN]]
        raise DataError(
            f"{path} may be read as {' or '.join(shown)}{f' or … ({len(found)} in all)' if found[SHOWN:] else ''}; "
            f"write the one that is meant in a configuration, or move the other files elsewhere; {contents(path)}"
        )
    if found and found[0] is not None:
        return found[0]
    raise DataError(
        f"{path} is no data set; expected a .npz file, or a .npy file of CIFAR-10-C beside {LABELS}, or a folder with "
        "the files of MNIST (train-images-idx3-ubyte), EMNIST, CIFAR-10 or CIFAR-100 (binary or Python version), "
        f"rotated MNIST (.amat) or QM9 (.xyz), or with a folder of pictures for each class; {contents(path)}"
    )


def source_of_file(path: Path) -> Source | None:
    """The source that reads a file; None where there is none."""
    if path.suffix.lower() == ".npz":
        return Npz(path)
    if path.suffix == ".npy" and path.name != LABELS and (path.parent / LABELS).is_file():
        return Cifar10C(path.parent, path.stem)
    return None


def sources_in(path: Path) -> list[Source | None]:
    """The sources that read what is in a folder, by the names of its files."""
    names = {entry.name for entry in path.glob("*") if entry.is_file()}
    found: list[Source | None] = [IdxFiles(path)] if any(path.glob(IMAGES)) else []
    found += [Emnist(path, part) for part in get_args(Part) if any(path.glob(f"emnist-{part}-{IMAGES}"))]
    found += [CifarBinary(path)] if "data_batch_1.bin" in names else []
    found += [Cifar100Binary(path)] if {"train.bin", "test.bin"} <= names else []
    found += [CifarPython(path)] if "data_batch_1" in names or {"train", "test", "meta"} <= names else []
    if LABELS in names:
        found += [Cifar10C(path, Path(name).stem) for name in sorted(names - {LABELS}) if name.endswith(".npy")]
    found += [Amat(path)] if any(each.train in names for each in VARIATIONS.values()) else []
    found += [Qm9(origin="files", directory=path)] if any(path.glob("dsgdb9nsd_*.xyz")) else []
    return found + ([ImageFolders(path)] if any(path.glob("[!.]*/")) else [])


def as_written(source: Any) -> str:
    """A source as a configuration has it, without what is as by default."""
    given = {each.name: getattr(source, each.name) for each in fields(source)}
    default = {each.name: each.default for each in fields(source)}
    parts = [f"{name}: {value}" for name, value in given.items() if value != default[name]]
    return "{" + ", ".join([f"type: {type(source).__name__}", *parts]) + "}"
